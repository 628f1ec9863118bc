// How a weight gradient is cut up. See backward_weight.inl.

bool pairs_windows(const Geometry& g);  // pairs.inl

struct WeightGradientPlan {
  static constexpr int64_t GROUP = 256;  // filters of a task

  Expansion e;
  int64_t halo_h, halo_w;            // rows and columns of pixels behind those of the convolution's output
  int64_t phases_h, phases_w;        // remainders of pixels by the stride that taps meet
  bool packed;                       // a row of A is a tap and a channel, otherwise a channel
  bool dense;                        // the gradient goes through a dense image; see pairs.inl
  int64_t lines, taps;               // rows of A for each of so many shifts
  int64_t block_p, block_q, blocks_p, blocks_q;
  int64_t rows, columns, pixels;     // most under a block; pixels are even
  int64_t together;                  // blocks whose pixels follow each other
  int64_t depth;                     // pixels of them all, and zeros, in whole steps of 32
  bool odds;                         // is any tap at an odd distance?
  int64_t shift;                     // largest distance of a tap
  int64_t pitch;                     // of a channel's pixels
  int64_t pairs_before, pairs;       // zeros before the gradient, and pairs of its rows in all
  int64_t filters, groups, chunks;   // of a group; tasks are groups times chunks
  int64_t line_blocks, filter_blocks, partial_values;  // of one chunk's sums
  size_t partial, partial_bias, lanes;
  size_t channels, packed_rows, dense_gradient, carry, expanded, room, even, odd, lane_bytes;
  size_t bytes;

  WeightGradientPlan(const Geometry& g, int threads) : e(g) {
    halo_h = ceil_div(g.R, g.stride_h) - 1, halo_w = ceil_div(g.S, g.stride_w) - 1;
    phases_h = min(g.stride_h, g.R), phases_w = min(g.stride_w, g.S);
    // Packed rows cost a copy of each, channels alone a share of every tile.
    packed = 2 * ceil_div(g.C * g.R * g.S, ROWS) <= g.R * g.S * ceil_div(g.C, ROWS);
    dense = !pairs_windows(g);
    lines = packed ? g.C * g.R * g.S : g.C, taps = packed ? 1 : g.R * g.S;
    filters = min(g.K, GROUP), groups = ceil_div(g.K, GROUP);

    const int64_t pixel_bytes = 2 * (g.C * phases_h * phases_w + (packed ? lines : 0) + 3 * e.planes * filters);
    constexpr int64_t LEAST = Tiles::OPERANDS / 2048;  // fewer would spend their time on the sums
    const int64_t most = clamp(Tiles::OPERANDS / pixel_bytes, LEAST, 8 * LEAST);
    block_q = w_windows(most);
    blocks_q = ceil_div(e.w.pooled, block_q);
    columns = span(e.w, block_q) + halo_w;
    if (!dense) columns = round_up(columns, 2);
    const int64_t fit = (most / columns - halo_h - e.h.pool) / e.h.pool_stride + 1;
    block_p = ceil_div(e.h.pooled, ceil_div(e.h.pooled, clamp(fit, 1, e.h.pooled)));
    blocks_p = ceil_div(e.h.pooled, block_p);
    rows = span(e.h, block_p) + halo_h;
    pixels = round_up(rows * columns, 2);
    const int64_t blocks = g.N * blocks_p * blocks_q;
    together = clamp(LEAST / pixels, 1, max(blocks, 1));
    depth = round_up(together * pixels, DEPTH);
    shift = halo_h * columns + halo_w;
    odds = !packed && (halo_w > 0 || (halo_h > 0 && columns % 2));
    pitch = round_up(depth + shift, DEPTH);
    if (pitch % 1024 == 0) pitch += DEPTH;  // rows of a tile would share few sets of the cache
    pairs_before = packed ? 0 : shift / 2;
    pairs = pairs_before + depth / 2;

    line_blocks = ceil_div(lines, BLOCK), filter_blocks = ceil_div(g.K, BLOCK);
    partial_values = filter_blocks * line_blocks * taps * BLOCK * BLOCK;
    // Enough chunks for the threads, few enough that adding them up is nothing. Sizes alone say how many.
    chunks = clamp(8 * 1024 * 1024 / partial_values, 1, 16);
    chunks = clamp(ceil_div(blocks, together), 1, chunks);

    Layout shared, lane;
    partial = shared.take<float>(chunks * partial_values);
    partial_bias = shared.take<float>(chunks * g.K);
    lanes = shared.bytes;
    channels = lane.take<bf16>(channel_values(g));
    packed_rows = lane.take<bf16>(packed ? row_values() : 0);
    dense_gradient = lane.take<bf16>(dense ? e.planes * pixels * round_up(filters, ROWS) : 0);
    carry = lane.take<bf16>(dense ? 0 : e.h.pool * round_up(filters, ROWS));
    expanded = lane.take<float>(e.sum_values(pixels, filters));
    room = lane.take<bf16>(filters);
    even = lane.take<bf16>(pair_values());
    odd = lane.take<bf16>(odds ? pair_values() : 0);
    lane_bytes = lane.bytes;
    bytes = lanes + size_t(max(threads, 1)) * lane_bytes;
  }

  static int64_t span(const Axis& a, int64_t windows) {
    return min((windows - 1) * a.pool_stride + a.pool, a.conv);
  }
  int64_t w_windows(int64_t most) const {
    const int64_t rows = span(e.h, 1) + halo_h;
    const int64_t fit = clamp((most / rows - halo_w - e.w.pool) / e.w.pool_stride + 1, min(8, e.w.pooled), e.w.pooled);
    return ceil_div(e.w.pooled, ceil_div(e.w.pooled, fit));
  }

  int64_t channel_values(const Geometry& g) const { return phases_h * phases_w * round_up(g.C, ROWS) * pitch; }
  int64_t row_values() const { return round_up(lines, ROWS) * pitch; }
  int64_t columns_of_tiles() const { return ceil_div(filters, ROWS); }
  int64_t plane_values() const { return columns_of_tiles() * pairs * DEPTH; }
  int64_t pair_values() const { return e.planes * plane_values(); }
};

struct WeightGradientPass {
  const BackwardWeightOf<bf16>& call;
  const Geometry& g;
  const WeightGradientPlan plan;
  float* const partial;       // (chunk, filter block, line block, tap, half of lines, half of filters, 16, 16)
  float* const partial_bias;  // (chunk, K)
  char* const lanes;

  WeightGradientPass(const BackwardWeightOf<bf16>& call, int threads, void* workspace)
      : call(call),
        g(call.geometry),
        plan(call.geometry, threads),
        partial(buffer<float>(workspace, plan.partial, plan.chunks * plan.partial_values)),
        partial_bias(at<float>(workspace, plan.partial_bias)),
        lanes(at<char>(workspace, plan.lanes)) {}
};
