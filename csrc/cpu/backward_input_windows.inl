// The windows of some pooled rows, added to the rows of dx under them: the arithmetic of backward_input.inl. The
// outputs of a window that share a place share an address, so their filters add up in registers before dx is touched.

template <int R, int V>
struct ScatterTile {
  // One place of one window: `filters` has a bit for each filter with its maximum there. `tail`: how many floats of
  // the last vector belong to dx.
  static void run(uint64_t filters, const float* g, ptrdiff_t g_filter, const float* w, ptrdiff_t w_filter,
                  ptrdiff_t pitch, float* dx, ptrdiff_t row, int tail) {
    Vec acc[R][V];
    UNROLL for (int r = 0; r < R; ++r)
      UNROLL for (int v = 0; v < V; ++v) acc[r][v] = load(dx + r * row + v * LANES);
    for (; filters; filters &= filters - 1) {
      const int k = __builtin_ctzll(filters);
      const Vec a = splat(g[k * g_filter]);
      const float* p = w + k * w_filter;
      UNROLL for (int r = 0; r < R; ++r)
        UNROLL for (int v = 0; v < V; ++v) acc[r][v] = fma(a, load(p + r * pitch + v * LANES), acc[r][v]);
    }
    UNROLL for (int r = 0; r < R; ++r) {
      UNROLL for (int v = 0; v < V - 1; ++v) store(dx + r * row + v * LANES, acc[r][v]);
      float* last = dx + r * row + (V - 1) * LANES;
      tail == LANES ? store(last, acc[r][V - 1]) : store(last, acc[r][V - 1], tail);
    }
  }
};

// masks (bucket, p, q, place): a bit for each filter of the bucket whose maximum is there.
void find_buckets(const InputGradientPass& f, int64_t n, int64_t p0, int64_t p1, uint64_t* masks) {
  const int64_t K = f.g.K, windows = (p1 - p0) * f.plan.w.pooled;
  const uint8_t* place = f.place + (n * f.plan.h.pooled + p0) * f.plan.w.pooled * K;
  for (int64_t b = 0; b < f.plan.buckets; ++b) {
    const int64_t filters = min(BUCKET, K - b * BUCKET);
    for (int64_t i = 0; i < windows; ++i) {
      const uint8_t* in = place + i * K + b * BUCKET;
      uint8_t whole[BUCKET];
      if (filters < BUCKET) {
        std::memset(whole, DEAD, BUCKET);
        std::memcpy(whole, in, size_t(filters));
        in = whole;
      }
      for (int64_t a = 0; a < f.plan.places; ++a)
        *masks++ = equal32(in, uint8_t(a)) | uint64_t(equal32(in + 32, uint8_t(a))) << 32;
    }
  }
}

// The gradients of pooled rows [p0, p1): where they lie, or widened.
Strided gradients(const InputGradientPass& f, const Sums& sums, int64_t p0, int64_t p1) {
  if (!f.plan.narrow) {
    Strided g = f.grad_y.as<float>();
    g.data += sums.n * g.stride[0] + p0 * g.stride[2];
    return g;
  }
  const int64_t* stride = f.grad_y.stride;
  const int64_t columns = f.plan.w.pooled, row = columns * f.g.K;
  const bf16* in = image(f.grad_y.as<bf16>(), sums.n);
  for (int64_t p = p0; p < p1; ++p)
    copy_pixels(sums.gradient + (p - p0) * row, in + p * stride[2], columns, f.g.K, f.g.K, stride[1], stride[3]);
  return {sums.gradient, {0, 1, row, f.g.K}};
}

void add_windows(const InputGradientPass& f, const Sums& sums, int64_t p0, int64_t p1) {
  const Geometry& g = f.g;
  const InputGradientPlan& plan = f.plan;
  const Segments& s = plan.segments;
  const ptrdiff_t column = plan.channels.width, row = plan.columns * column, w_filter = s.rows * s.pitch;
  const Strided grad_y = gradients(f, sums, p0, p1);
  const int64_t* g_stride = grad_y.stride;
  ptrdiff_t offset[DEAD];
  for (int64_t a = 0; a < plan.places; ++a)
    offset[a] = a / g.pool_w * g.stride_h * row + a % g.pool_w * g.stride_w * column;
  find_buckets(f, sums.n, p0, p1, sums.masks);
  const auto add_tile = [&](int64_t c, int64_t b, int64_t r, int64_t rows, int64_t v, int64_t vectors) {
    const auto tile = find_tile<ScatterTile>(rows, vectors);
    const int tail = v + vectors == s.vectors ? int(s.length - (s.vectors - 1) * LANES) : LANES;
    const float* w = f.weights + (c * g.K + b * BUCKET) * w_filter + r * s.pitch + v * LANES;
    const uint64_t* mask = sums.masks + b * (p1 - p0) * plan.w.pooled * plan.places;
    for (int64_t p = p0; p < p1; ++p) {
      const float* gp = grad_y.data + b * BUCKET * g_stride[1] + (p - p0) * g_stride[2];
      float* dx = sums.block(f, c) + (plan.h.corner(p) * g.stride_h - sums.begin + r) * row +
                  plan.w.corner(0) * g.stride_w * column + v * LANES;
      for (int64_t q = 0; q < plan.w.pooled; ++q, mask += plan.places) {
        for (int64_t a = 0; a < plan.places; ++a)
          if (mask[a]) tile(mask[a], gp, g_stride[1], w, w_filter, s.pitch, dx + offset[a], row, tail);
        gp += g_stride[3], dx += plan.w.step() * column;
      }
    }
  };
  for (int64_t c = 0; c < plan.channels.blocks; ++c)
    for (int64_t b = 0; b < plan.buckets; ++b)
      s.tiles([&](int64_t r, int64_t rows, int64_t v, int64_t vectors) { add_tile(c, b, r, rows, v, vectors); });
}
