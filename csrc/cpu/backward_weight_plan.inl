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
  int64_t block_p, block_q;        // pooled rows and columns of a block of windows
  int64_t blocks_p, blocks_q;      // blocks of an image
  int64_t groups, chunks;          // tasks are groups of filters times chunks of blocks
  int64_t rows, columns;           // most of the padded input under a block
  int64_t filters;                 // whole vectors of them
  int64_t filter, partial_floats;  // of a packed filter; of one chunk's sums
  size_t partial, partial_bias, lanes;
  size_t patch, items, counts, neighbours, gradient, places, sum, lane_bytes;
  size_t bytes;

  WeightGradientPlan(const Geometry& g, int threads)
      : channels(g.C, g.S), segments(g, channels, ACCUMULATORS, Segments::MOST_VECTORS), h(Axis::h(g)), w(Axis::w(g)) {
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
    patch = lane.take<float>(rows * columns * (lookup ? g.C : channels.width));
    items = lane.take<Item>(lookup ? 0 : GROUP * windows);
    counts = lane.take<int64_t>(lookup ? 0 : GROUP);
    neighbours = lane.take<float>(lookup ? 4 * g.C * rows * columns : 0);
    gradient = lane.take<float>(lookup ? windows * filters : 0);
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
  const BackwardWeight& call;
  const Geometry& g;
  const WeightGradientPlan plan;
  float* const partial;       // (chunk, partial_floats)
  float* const partial_bias;  // (chunk, filters)
  char* const lanes;

  WeightGradientPass(const BackwardWeight& call, int threads, void* workspace)
      : call(call),
        g(call.geometry),
        plan(call.geometry, threads),
        partial(at<float>(workspace, plan.partial)),
        partial_bias(at<float>(workspace, plan.partial_bias)),
        lanes(at<char>(workspace, plan.lanes)) {}
};

// Windows [p0, p1) x [q0, q1) of image n, and the padded input under them.
struct Block {
  int64_t n, p0, p1, q0, q1;
  Patch patch;
};

// What the windows of a block pass on: steps from one window to the next.
struct Outputs {
  const float* g;
  ptrdiff_t g_row, g_column;
  const uint8_t* place;
  ptrdiff_t place_row, place_column;

  // Those of filter k and on, where they lie.
  Outputs(const WeightGradientPass& f, const Block& block, int64_t k) {
    const ptrdiff_t* stride = f.call.grad_y.stride;
    const int64_t K = f.g.K, Q = f.plan.w.pooled;
    g = image(f.call.grad_y, block.n) + k * stride[1] + block.p0 * stride[2] + block.q0 * stride[3];
    g_row = stride[2], g_column = stride[3];
    place = f.call.place + ((block.n * f.plan.h.pooled + block.p0) * Q + block.q0) * K + k;
    place_row = Q * K, place_column = K;
  }
};
