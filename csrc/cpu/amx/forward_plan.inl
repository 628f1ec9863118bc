// How a forward pass is cut up. See forward.inl.

struct ForwardPlan {
  Axis h, w;
  int64_t fold;          // rows of the input in a pixel: 1 or R
  Pixel pixel;
  int64_t segments;      // runs of a position
  int64_t filter_blocks;
  int64_t block_p, block_q, blocks_p, blocks_q;
  int64_t group_p;       // pooled rows whose sums are computed together
  int64_t columns;       // of the strip's input
  int64_t strip_values;  // of the strip's input, with what tiles read behind it
  int64_t sums;          // positions of a group
  int64_t weight_values;
  size_t weights, bias, lanes, strip, plane, lane_bytes, bytes;

  ForwardPlan(const Geometry& g, int threads) : h(Axis::h(g)), w(Axis::w(g)), fold(1), pixel(g.C, g.S), segments(g.R) {
    constexpr int64_t STRIP = Tiles::STRIP / sizeof(bf16), SUMS = Tiles::SUMS / (BLOCK * sizeof(float));
    const Pixel folded(g.C * g.R, g.S);
    if (folded.cost < pixel.cost * g.R) fold = g.R, pixel = folded, segments = 1;
    filter_blocks = ceil_div(g.K, BLOCK);

    block_q = w.windows_within(STRIP / pixel.width / h.span(1), 16);
    blocks_q = ceil_div(w.pooled, block_q);
    columns = w.span(block_q);
    if (w.stride <= 4) columns = round_up(columns, w.stride);  // so that tiles can run on from row to row
    const int64_t strips = ceil_div(2 * int64_t(threads), max(g.N * blocks_q, 1));
    block_p = min(h.windows_within(STRIP / pixel.width / columns, 1), ceil_div(h.pooled, threads > 1 ? strips : 1));
    blocks_p = ceil_div(h.pooled, block_p);
    const int64_t rows = fold > 1 ? conv_rows(block_p) : h.span(block_p);
    strip_values = rows * columns * pixel.width + Grid::behind(column());

    const int64_t row_positions = max(columns, round_up(conv_columns(block_q), ROWS));
    group_p = clamp((SUMS / row_positions - h.pool) / h.pool_stride + 1, 1, block_p);
    sums = Grid::positions(conv_rows(group_p), conv_columns(block_q), row(), column());

    weight_values = filter_blocks * segments * pixel.steps * 2 * TILE;
    Layout shared, lane;
    weights = shared.take<bf16>(weight_values);
    bias = shared.take<float>(filter_blocks * BLOCK);
    lanes = shared.bytes;
    strip = lane.take<bf16>(strip_values);
    plane = lane.take<float>(sums * BLOCK);
    lane_bytes = lane.bytes;
    bytes = lanes + size_t(max(threads, 1)) * lane_bytes;
  }

  int64_t conv_rows(int64_t windows) const { return min((windows - 1) * h.pool_stride + h.pool, h.conv); }
  int64_t conv_columns(int64_t windows) const { return min((windows - 1) * w.pool_stride + w.pool, w.conv); }
  ptrdiff_t row() const { return (fold > 1 ? 1 : h.stride) * columns * pixel.width; }  // between positions
  ptrdiff_t column() const { return w.stride * pixel.width; }

  int64_t strip_tiles() const { return ceil_div(conv_rows(block_p) * conv_columns(block_q), ROWS); }

  // Do runs end among values of a neighbour, which meet zeros in B?
  bool overruns(const Geometry& g) const { return pixel.steps * DEPTH > pixel.width * g.S; }
};

struct ForwardPass {
  const ForwardOf<bf16>& call;
  const Geometry& g;
  const ForwardPlan plan;
  bf16* const weights;  // (filter block, segment, step, half, 16, 16, 2)
  float* const bias;    // (filter block, 32)
  char* const lanes;

  ForwardPass(const ForwardOf<bf16>& call, int threads, void* workspace)
      : call(call),
        g(call.geometry),
        plan(call.geometry, threads),
        weights(buffer<bf16>(workspace, plan.weights, plan.weight_values)),
        bias(buffer<float>(workspace, plan.bias, plan.filter_blocks * BLOCK)),
        lanes(at<char>(workspace, plan.lanes)) {}

  int64_t block_values() const { return plan.segments * plan.pixel.steps * 2 * TILE; }
};
