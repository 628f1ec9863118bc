// The forward pass of a classifier head (head.h). First the threads transpose the weights into panels together, the
// first layer's in the order in which x lies in memory, so that flatten moves nothing. Then each takes its own images
// through all layers, and nobody waits for anybody.

// How many threads a pass of so many operations is worth.
inline int64_t head_shares(const Head& call, const Pool& pool) {
  int64_t operations = 0;
  for (int64_t i = 0; i < call.count; ++i) operations += 2 * call.images * call.layers[i].in * call.layers[i].out;
  return clamp(operations >> 20, 1, pool.threads);
}

constexpr int64_t panels(int64_t columns) { return ceil_div(columns, PANEL); }

// out (in) = a row of the first layer's weight, from torch's order (C, S) into that of x (S, C)
inline void permute_row(float* out, const float* row, int64_t channels, int64_t pixels) {
  transpose(out, channels, row, pixels, channels, pixels);
}

// panel (in, PANEL) = rows [0, rows) of weight, transposed and in the order of x. Four rows at a time are put in order
// first, where L1 holds them: straight into the panel, the pixels of a channel would meet in one set of the cache.
void transpose_panel(float* panel, const float* weight, int64_t in, int64_t rows, int64_t channels, int64_t pixels,
                     float* ordered) {
  constexpr int64_t AT_ONCE = 32;  // rows of the panel, which stay in L1 until they are full
  if (rows < PANEL) std::memset(panel, 0, size_t(in * PANEL) * sizeof(float));
  const float* from = weight;
  if (pixels > 1) {
    for (int64_t j = 0; j < rows; ++j) permute_row(ordered + j * in, weight + j * in, channels, pixels);
    from = ordered;
  }
  for (int64_t f = 0; f < in; f += AT_ONCE)
    transpose(panel + f * PANEL, PANEL, from + f, in, rows, min(AT_ONCE, in - f));
}

// y = relu(y), which keeps NaN.
void relu(float* y, int64_t n) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    const Vec v = load(y + i);
    store(y + i, pick(above(zero(), v), zero(), v));
  }
  for (; i < n; ++i) y[i] = y[i] < 0 ? 0 : y[i];
}

struct HeadForward {
  const Head& call;
  int64_t shares;
  size_t packed = 0;                   // panels of every layer, one after the other
  size_t lane = 0, lane_bytes = 0, bytes = 0;

  HeadForward(const Head& call, const Pool& pool) : call(call), shares(head_shares(call, pool)) {
    Layout layout, own;
    int64_t floats = 0;
    for (int64_t i = 0; i < call.count; ++i) floats += panel_floats(i);
    packed = layout.take<float>(floats);
    lane = layout.bytes;
    own.take<float>(call.pixels > 1 ? PANEL * call.layers[0].in : 0);
    lane_bytes = own.bytes;
    bytes = lane + size_t(shares) * lane_bytes;
  }

  int64_t panel_floats(int64_t i) const { return panels(call.layers[i].out) * PANEL * call.layers[i].in; }
};

void head_forward(const Head& call, void* workspace, const Pool& pool) {
  if (call.images == 0) return;
  const HeadForward f(call, pool);
  parallel(pool, f.shares, 1, [&](int64_t lane, int64_t share, int64_t) {
    float* const ordered = at<float>(workspace, f.lane + size_t(lane) * f.lane_bytes);
    float* packed = at<float>(workspace, f.packed);
    for (int64_t i = 0; i < call.count; packed += f.panel_floats(i), ++i) {
      const HeadLayer& layer = call.layers[i];
      const int64_t all = panels(layer.out), panel = PANEL * layer.in;
      for (int64_t p = part(all, f.shares, share); p < part(all, f.shares, share + 1); ++p)
        transpose_panel(packed + p * panel, layer.weight + p * panel, layer.in, min(PANEL, layer.out - p * PANEL),
                        i ? layer.in : call.channels, i ? 1 : call.pixels, ordered);
    }
  });
  parallel(pool, f.shares, 1, [&](int64_t, int64_t share, int64_t) {
    const int64_t begin = part(call.images, f.shares, share), end = part(call.images, f.shares, share + 1);
    const float *x = call.x, *packed = at<float>(workspace, f.packed);
    for (int64_t i = 0; i < call.count; packed += f.panel_floats(i), ++i) {
      const HeadLayer& layer = call.layers[i];
      const Product p{x, layer.in, 1, layer.in, layer.bias, layer.y, layer.out};
      for (int64_t k = 0; k < layer.out; k += PANEL)
        product(p, packed + k * layer.in, PANEL, begin, end, k, min(PANEL, layer.out - k));
      if (i + 1 < call.count) relu(layer.y + begin * layer.out, (end - begin) * layer.out);
      x = layer.y;
    }
  });
}
