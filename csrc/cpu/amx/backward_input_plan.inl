// How an input gradient is cut up. See backward_input.inl.

struct Phase {
  int64_t a, b, taps_h, taps_w;
  int64_t weights;  // where its tiles begin, within a block of channels
};

struct InputGradientPlan {
  Expansion e;
  Pixel pixel;                   // filters of a position of the gradient
  int64_t halo_h, halo_w;        // rows and columns of the gradient before a block's own
  int64_t u0, u1, v0, v1;        // the pixels that are not padding alone, and that a gradient reaches
  bool gaps;                     // are there others?
  int64_t channel_blocks;
  int64_t block_u, block_v, blocks_u, blocks_v;
  int64_t group_u;               // rows of pixels whose sums are computed together
  int64_t columns, plane_values, sums;
  int64_t block_weights;         // values of a block of channels, all phases
  size_t weights, lanes, gradient, expanded, room, plane, lane_bytes, bytes;

  InputGradientPlan(const Geometry& g, int threads) : e(g), pixel(g.K, ceil_div(g.S, g.stride_w)) {
    constexpr int64_t STRIP = Tiles::STRIP / sizeof(bf16), SUMS = Tiles::SUMS / (BLOCK * sizeof(float));
    halo_h = ceil_div(g.R, g.stride_h) - 1, halo_w = ceil_div(g.S, g.stride_w) - 1;
    const int64_t seen_h = e.h.conv_end(e.h.pooled - 1), seen_w = e.w.conv_end(e.w.pooled - 1);
    u0 = g.padding_h / g.stride_h, v0 = g.padding_w / g.stride_w;
    u1 = ceil_div(g.padding_h + g.H, g.stride_h), v1 = ceil_div(g.padding_w + g.W, g.stride_w);
    gaps = g.stride_h > g.R || g.stride_w > g.S || u1 > seen_h + halo_h || v1 > seen_w + halo_w;
    u1 = max(min(u1, seen_h + halo_h), u0 + 1), v1 = max(min(v1, seen_w + halo_w), v0 + 1);
    channel_blocks = ceil_div(g.C, BLOCK);
    block_weights = 0;
    each_phase(g, [&](const Phase& p) { block_weights = p.weights + tiles_of(p) * 2 * TILE; });

    const int64_t width = pixel.width * e.planes;
    block_v = clamp(STRIP / width / (halo_h + 4) - halo_w, min(ROWS, v1 - v0), v1 - v0);
    blocks_v = ceil_div(v1 - v0, block_v);
    columns = block_v + halo_w;
    if (blocks_v == 1)  // zeros behind a row are those before the next
      columns -= clamp(min(halo_w - v0, v1 - seen_w), 0, columns - 1);
    const int64_t strips = threads > 1 ? ceil_div(2 * int64_t(threads), max(g.N * blocks_v, 1)) : 1;
    block_u = clamp(STRIP / width / columns - halo_h, 1, ceil_div(u1 - u0, strips));
    blocks_u = ceil_div(u1 - u0, block_u);
    plane_values = (block_u + halo_h) * columns * pixel.width + zeros() + Grid::behind(pixel.width);
    group_u = clamp(SUMS / columns, 1, block_u);
    sums = Grid::positions(group_u, block_v, columns * pixel.width, pixel.width);

    Layout shared, lane;
    weights = shared.take<bf16>(channel_blocks * block_weights);
    lanes = shared.bytes;
    gradient = lane.take<bf16>(e.planes * plane_values);
    expanded = lane.take<float>(e.sum_values((block_u + halo_h) * columns, g.K));
    room = lane.take<bf16>(g.K);
    plane = lane.take<float>(sums * BLOCK);
    lane_bytes = lane.bytes;
    bytes = lanes + size_t(max(threads, 1)) * lane_bytes;
  }

  // What the last position of a block reads behind the gradient.
  int64_t zeros() const { return halo_w * pixel.width + DEPTH; }
  int64_t steps(const Phase& p) const { return ceil_div(p.taps_w * pixel.width, DEPTH); }
  int64_t tiles_of(const Phase& p) const { return p.taps_h * steps(p); }

  // body(phase) for each of them, with its place among the packed weights.
  template <class Body>
  void each_phase(const Geometry& g, const Body& body) const {
    int64_t weights = 0;
    for (int64_t a = 0; a < min(g.stride_h, g.R); ++a)
      for (int64_t b = 0; b < min(g.stride_w, g.S); ++b) {
        const Phase p{a, b, ceil_div(g.R - a, g.stride_h), ceil_div(g.S - b, g.stride_w), weights};
        weights += tiles_of(p) * 2 * TILE;
        body(p);
      }
  }
};

struct InputGradientPass {
  const BackwardInputOf<bf16>& call;
  const Geometry& g;
  const InputGradientPlan plan;
  bf16* const weights;  // (channel block, phase, row of taps, step, half, 16, 16, 2)
  char* const lanes;

  InputGradientPass(const BackwardInputOf<bf16>& call, int threads, void* workspace)
      : call(call),
        g(call.geometry),
        plan(call.geometry, threads),
        weights(buffer<bf16>(workspace, plan.weights, plan.channel_blocks * plan.block_weights)),
        lanes(at<char>(workspace, plan.lanes)) {}
};
