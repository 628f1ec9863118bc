// How a weight gradient is cut up, and what its pieces share. See backward_weight.inl.

// An output that passes a gradient, on the road by lists.
struct Item {
  int32_t offset;  // from the block's input to the first tap under the place
  float g;
};

struct WeightGradientPlan {
  static constexpr int64_t GROUP = 64;  // filters of a task, on the road by lists

  Channels channels;
  Segments segments;
  Axis h, w;
  bool lookup;                     // the road
  bool narrow;                     // bfloat16: x and gradients
  int64_t block_p, block_q;        // pooled rows and columns of a block of windows
  int64_t blocks_p, blocks_q;      // blocks of an image
  int64_t groups, chunks;          // tasks are groups of filters times chunks of blocks
  int64_t rows, columns;           // most of the padded input under a block
  int64_t filters;                 // whole vectors of them
  int64_t filter, partial_floats;  // of a packed filter; of one chunk's sums
  size_t partial, partial_bias, wide, lanes;
  size_t patch, items, counts, neighbours, gradient, places, sum, lane_bytes;
  size_t bytes;

  WeightGradientPlan(const Geometry& g, int threads, bool narrow)
      : channels(g.C, g.S),
        segments(g, channels, ACCUMULATORS, Segments::MOST_VECTORS),
        h(Axis::h(g)),
        w(Axis::w(g)),
        narrow(narrow) {
    lookup = prefers_lookup(g);
    // The input of a block stays in L1 while all filters pass over it.
    const int64_t pixels = 20 * 1024 / int64_t(sizeof(float)) / (lookup ? 4 : channels.width);
    block_q = w.windows_within(pixels / h.span(1), 16);
    blocks_q = ceil_div(w.pooled, block_q);
    columns = round_up(w.span(block_q), 4);
    block_p = h.windows_within(pixels / columns, 1);
    blocks_p = ceil_div(h.pooled, block_p);
    rows = h.span(block_p);
    const int64_t windows = block_p * block_q;

    filters = round_up(g.K, LANES);
    filter = channels.blocks * segments.rows * segments.pitch;
    partial_floats = lookup ? g.C * g.R * g.S * filters : g.K * filter;
    groups = lookup ? 1 : ceil_div(g.K, GROUP);
    // Enough chunks for the threads, few enough that adding them up is nothing.
    chunks = clamp(128 * 1024 / partial_floats, ceil_div(16, groups), 64);
    chunks = clamp(g.N * blocks_p * blocks_q, 1, chunks);

    Layout shared, lane;
    partial = shared.take<float>(chunks * partial_floats);
    partial_bias = shared.take<float>(chunks * filters);
    wide = shared.take<float>(narrow ? g.K * g.C * g.R * g.S : 0);
    patch = lane.take<float>(rows * columns * (lookup ? g.C : channels.width));
    items = lane.take<Item>(lookup ? 0 : GROUP * windows);
    counts = lane.take<int64_t>(lookup ? 0 : GROUP);
    neighbours = lane.take<float>(lookup ? 4 * g.C * rows * columns : 0);
    gradient = lane.take<float>(lookup ? windows * filters : narrow ? windows * min(g.K, GROUP) : 0);
    places = lane.take<uint8_t>(lookup ? windows * filters : 0);
    sum = lane.take<float>(lookup ? 0 : filter);
    lanes = shared.bytes;
    lane_bytes = lane.bytes;
    bytes = lanes + size_t(max(threads, 1)) * lane_bytes;
  }

  // Measured: a lookup and its FMA take two FMAs' time for each tap and vector of filters; a list takes one for each
  // vector of taps, and two for the item itself.
  bool prefers_lookup(const Geometry& g) const {
    if (g.pool_h != 2 || g.pool_w != 2 || g.pool_padding_h || g.pool_padding_w) return false;
    return 2 * g.C * g.R * g.S < (segments.rows * segments.vectors + 2) * min(g.K, LANES);
  }
};

struct WeightGradientPass {
  const Geometry& g;
  const WeightGradientPlan plan;
  const Source x, grad_y;
  const uint8_t* const place;
  float* const grad_weight;   // the call's, or float32 until it is rounded
  float* const partial;       // (chunk, partial_floats)
  float* const partial_bias;  // (chunk, filters)
  char* const lanes;

  template <class T>
  WeightGradientPass(const BackwardWeightOf<T>& call, int threads, void* workspace)
      : g(call.geometry),
        plan(call.geometry, threads, sizeof(T) < sizeof(float)),
        x(call.x),
        grad_y(call.grad_y),
        place(call.place),
        grad_weight(plan.narrow ? at<float>(workspace, plan.wide) : reinterpret_cast<float*>(call.grad_weight)),
        partial(at<float>(workspace, plan.partial)),
        partial_bias(at<float>(workspace, plan.partial_bias)),
        lanes(at<char>(workspace, plan.lanes)) {}
};

// Windows [p0, p1) x [q0, q1) of image n, and the padded input under them.
struct Block {
  int64_t n, p0, p1, q0, q1;
  Patch patch;
};

// What the windows of a block pass on: steps from one window to the next, and from one filter to the next.
struct Outputs {
  const float* g;
  ptrdiff_t g_row, g_column, g_filter;
  const uint8_t* place;
  ptrdiff_t place_row, place_column;
};

// Those of filter k and on, where they lie; of bfloat16 a copy in scratch, `filters` in `width` floats.
Outputs outputs_of(const WeightGradientPass& f, const Block& block, int64_t k, int64_t filters, int64_t width,
                   bool in_place, char* scratch) {
  Outputs out;
  const int64_t* stride = f.grad_y.stride;
  const int64_t K = f.g.K, Q = f.plan.w.pooled, rows = block.p1 - block.p0, columns = block.q1 - block.q0;
  const int64_t corner = block.n * stride[0] + k * stride[1] + block.p0 * stride[2] + block.q0 * stride[3];
  out.place = f.place + ((block.n * f.plan.h.pooled + block.p0) * Q + block.q0) * K + k;
  out.place_row = Q * K, out.place_column = K;
  if (in_place) {
    out.g = static_cast<const float*>(f.grad_y.data) + corner;
    out.g_row = stride[2], out.g_column = stride[3], out.g_filter = stride[1];
    return out;
  }
  float* g = at<float>(scratch, f.plan.gradient);
  const auto copy_rows = [&](const auto* in) {
    for (int64_t p = 0; p < rows; ++p)
      copy_pixels(g + p * columns * width, in + p * stride[2], columns, filters, width, stride[1], stride[3]);
  };
  f.plan.narrow ? copy_rows(static_cast<const bf16*>(f.grad_y.data) + corner)
                : copy_rows(static_cast<const float*>(f.grad_y.data) + corner);
  out.g = g, out.g_row = columns * width, out.g_column = width, out.g_filter = 1;
  return out;
}
