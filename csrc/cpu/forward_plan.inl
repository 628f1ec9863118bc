// How a forward pass is cut up, and what its pieces share. See forward.inl for the two roads.

// The convolution's view of the input: where one block of channels, one position and the next one begin.
struct Plane {
  const float* corner;           // conv position (0, 0), channel 0
  ptrdiff_t row, column, block;  // to the position below, to the one on the right, to the next block of channels
};

// What the tiles multiply, in elements of 32 bits (see TERMS in convolve.inl).
struct Elements {
  Channels channels;         // of a pixel, in blocks
  int64_t taps, block_taps;  // of a filter; of one of its blocks of channels
};

struct ForwardPlan {
  Channels channels;
  Axis h, w;
  bool narrow;                   // bfloat16: x, y, and the weights before they are packed
  bool direct;                   // the input is read where it lies, without padding
  bool windows;                  // the road
  int64_t taps, block_taps;
  int64_t filter_blocks;
  int64_t conv_columns;          // the pool drops those to the right of them
  int64_t columns;               // of the padded input under them
  int64_t strip, strips;         // pooled rows taken together; strips in an image
  int64_t group;                 // pooled rows whose conv rows wait in the ring until all channels are in
  int64_t ring;                  // conv rows
  size_t weights, bias, offsets, wide_weights, wide_bias, lanes;
  size_t patch, pixels, conv, lane_bytes;
  size_t bytes;

  ForwardPlan(const Geometry& g, const Elements& elements, int threads, bool narrow, bool direct)
      : channels(elements.channels),
        h(Axis::h(g)),
        w(Axis::w(g)),
        narrow(narrow),
        direct(direct),
        taps(elements.taps),
        block_taps(elements.block_taps) {
    filter_blocks = ceil_div(g.K, KB);
    conv_columns = w.conv_end(w.pooled - 1);
    columns = w.end(w.pooled - 1);
    // From about a hundred FMAs a value a store costs nothing, and wide rows beat tiles of two.
    const auto side_by_side = [](const Axis& a) { return a.pool == 2 && a.pool_stride == 2 && a.pool_padding == 0; };
    windows = side_by_side(h) && side_by_side(w) && channels.blocks == 1 && taps < MOST_WINDOW_TAPS;

    // A copied strip stays in L2 beside the weights; images are cut further where there are too few for the threads.
    const int64_t row = columns * channels.width * channels.blocks;
    strip = direct ? h.pooled : h.windows_within(64 * 1024 / row, 1);
    if (threads > 1 && g.N < 4 * threads)
      strip = min(strip, ceil_div(h.pooled, ceil_div(4 * threads, max(g.N, 1))));
    strips = ceil_div(h.pooled, strip);

    // With several blocks of channels, partial sums of some rows wait in L1.
    const int64_t row_bytes = conv_columns * KB * int64_t(sizeof(float));
    group = channels.blocks == 1 ? 1 : clamp(24 * 1024 / row_bytes / h.pool_stride, 1, strip);
    ring = min(h.conv, (group - 1) * h.pool_stride + h.pool);

    Layout shared, lane;
    weights = shared.take<float>(filter_blocks * taps * KB);
    bias = shared.take<float>(filter_blocks * KB);
    offsets = shared.take<ptrdiff_t>(block_taps);
    wide_weights = shared.take<float>(narrow ? g.K * taps : 0);
    wide_bias = shared.take<float>(narrow ? g.K : 0);
    patch = lane.take<float>(direct ? 0 : h.span(strip) * row);
    pixels = lane.take<bf16>(TERMS == 1 ? 0 : row + 2 * LANES);
    conv = lane.take<float>(windows ? 0 : ring * conv_columns * KB);
    lanes = shared.bytes;
    lane_bytes = lane.bytes;
    bytes = lanes + size_t(max(threads, 1)) * lane_bytes;
  }

  static constexpr int64_t MOST_WINDOW_TAPS = 100;
};

struct ForwardPass {
  const Geometry& g;
  const ForwardPlan plan;
  const Source x;
  const Target y;
  float* const weights;        // (filter block, tap, KB)
  float* const bias;           // (filter block, KB)
  ptrdiff_t* const offsets;    // of the taps of one block of channels, from a position's first tap
  char* const lanes;

  template <class T>
  ForwardPass(const ForwardOf<T>& call, const ForwardPlan& plan, void* workspace)
      : ForwardPass(call, plan, at<float>(workspace, plan.weights), at<float>(workspace, plan.bias),
                    at<ptrdiff_t>(workspace, plan.offsets), at<char>(workspace, plan.lanes)) {}

  // Every piece in memory of its own: packed weights may outlive a pass.
  template <class T>
  ForwardPass(const ForwardOf<T>& call, const ForwardPlan& plan, float* weights, float* bias, ptrdiff_t* offsets,
              char* lanes)
      : g(call.geometry),
        plan(plan),
        x(call.x),
        y(call.y, call.place),
        weights(weights),
        bias(bias),
        offsets(offsets),
        lanes(lanes) {}
};

// Pooled rows [p0, p1) of image n for one block of filters: what a road works on.
struct Strip {
  int64_t n, p0, p1, filter_block;
  Plane x;
  char* scratch;
};
