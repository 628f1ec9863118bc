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
  bool narrow;            // bfloat16: gradients, and the weights before they are packed
  size_t weights, wide, lanes;
  size_t sums, masks, gradient, lane_bytes;
  size_t bytes;

  InputGradientPlan(const Geometry& g, int threads, bool narrow)
      : channels(g.C, g.S),
        segments(g, channels, 12, ACCUMULATORS > 12 ? 4 : 12),  // more registers, and the weights leave L1
        h(Axis::h(g)),
        w(Axis::w(g)),
        narrow(narrow) {
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
    wide = shared.take<float>(narrow ? g.K * g.C * g.R * g.S : 0);
    gradient = lane.take<float>(narrow ? group * w.pooled * g.K : 0);
    sums = lane.take<float>(channels.blocks * rows * columns * channels.width);
    masks = lane.take<uint64_t>(buckets * group * w.pooled * places);
    lanes = shared.bytes;
    lane_bytes = lane.bytes;
    bytes = lanes + size_t(max(threads, 1)) * lane_bytes;
  }
};

struct InputGradientPass {
  const Geometry& g;
  const InputGradientPlan plan;
  const Source grad_y;
  const uint8_t* const place;
  void* const grad_x;
  float* const weights;  // (channel block, k, r, (s, c)), segments in whole vectors
  char* const lanes;

  template <class T>
  InputGradientPass(const BackwardInputOf<T>& call, int threads, void* workspace)
      : g(call.geometry),
        plan(call.geometry, threads, sizeof(T) < sizeof(float)),
        grad_y(call.grad_y),
        place(call.place),
        grad_x(call.grad_x),
        weights(at<float>(workspace, plan.weights)),
        lanes(at<char>(workspace, plan.lanes)) {}
};

// Rows [begin, end) of padded dx of image n while windows add to them, each block of channels (row, column, width).
struct Sums {
  int64_t n, begin, end;
  float* data;
  uint64_t* masks;
  float* gradient;  // (p, q, K), of bfloat16

  float* block(const InputGradientPass& f, int64_t c) const {
    return data + c * f.plan.rows * f.plan.columns * f.plan.channels.width;
  }
};
