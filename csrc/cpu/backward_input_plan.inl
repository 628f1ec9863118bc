// How an input gradient is cut up, and what its pieces share. See backward_input.inl.

constexpr int64_t BUCKET = 64;  // filters whose places are compared at once; their part of a tile fits into L1

struct InputGradientPlan {
  Channels channels;
  Segments segments;
  Axis h, w;
  int64_t buckets, places;
  int64_t columns;        // of padded dx that windows reach
  int64_t group, rows;    // pooled rows taken together, and rows of padded dx under them
  int64_t strip, strips;  // shares of an image, in pooled rows
  size_t weights, lanes;
  size_t sums, masks, lane_bytes;
  size_t bytes;

  InputGradientPlan(const Geometry& g, int threads)
      : channels(g.C, g.S),
        segments(g, channels, 12, ACCUMULATORS > 12 ? 4 : 12),  // more registers, and the weights leave L1
        h(Axis::h(g)),
        w(Axis::w(g)) {
    buckets = ceil_div(g.K, BUCKET);
    places = g.pool_h * g.pool_w;
    columns = w.end(w.pooled - 1);
    // Enough windows to earn back the loading of a bucket's weights.
    group = clamp(ceil_div(32, w.pooled), 1, h.pooled);
    rows = h.span(group);
    // No more strips than threads ask for: each repeats the windows above it.
    strip = ceil_div(h.pooled, ceil_div(max(threads, 1), max(g.N, 1)));
    strips = ceil_div(h.pooled, strip);

    Layout shared, lane;
    weights = shared.take<float>(channels.blocks * g.K * segments.rows * segments.pitch);
    sums = lane.take<float>(channels.blocks * rows * columns * channels.width);
    masks = lane.take<uint64_t>(buckets * group * w.pooled * places);
    lanes = shared.bytes;
    lane_bytes = lane.bytes;
    bytes = lanes + size_t(max(threads, 1)) * lane_bytes;
  }
};

struct InputGradientPass {
  const BackwardInput& call;
  const Geometry& g;
  const InputGradientPlan plan;
  float* const weights;  // (channel block, k, r, (s, c)), segments in whole vectors
  char* const lanes;

  InputGradientPass(const BackwardInput& call, int threads, void* workspace)
      : call(call),
        g(call.geometry),
        plan(call.geometry, threads),
        weights(at<float>(workspace, plan.weights)),
        lanes(at<char>(workspace, plan.lanes)) {}
};

// Rows [begin, end) of padded dx of image n while windows add to them, each block of channels (row, column, width).
struct Sums {
  int64_t n, begin, end;
  float* data;
  uint64_t* masks;

  float* block(const InputGradientPass& f, int64_t c) const {
    return data + c * f.plan.rows * f.plan.columns * f.plan.channels.width;
  }
};
