// The road by rows: conv rows into a ring in L1, then the pool windows over them. Any pool, any number of channels.

template <int J, int M>
struct RowTile {
  // J positions from x on, started from `start` (the bias, or the sums so far) into out (J, KB), where `round` as
  // bfloat16 has them.
  static void run(const float* x, ptrdiff_t column, const ptrdiff_t* tap, const ptrdiff_t* end, const float* w,
                  const float* start, ptrdiff_t start_pitch, float* out, bool round) {
    Vec acc[1][J][M];
    UNROLL for (int j = 0; j < J; ++j)
      UNROLL for (int u = 0; u < M; ++u) acc[0][j][u] = load(start + j * start_pitch + u * LANES);
    convolve(acc, x, 0, column, tap, end, w);
    if (round)
      UNROLL for (int j = 0; j < J; ++j)
        UNROLL for (int u = 0; u < M; ++u) acc[0][j][u] = round_bf16(acc[0][j][u]);
    UNROLL for (int j = 0; j < J; ++j)
      UNROLL for (int u = 0; u < M; ++u) store(out + j * KB + u * LANES, acc[0][j][u]);
  }
};

inline float* ring_row(const ForwardPass& f, const Strip& strip, int64_t i) {
  return at<float>(strip.scratch, f.plan.conv) + i % f.plan.ring * f.plan.conv_columns * KB;
}

// Conv row i over channel block c, into the ring. Tiles are of nearly equal width, since a narrow one is slow.
template <int M>
void conv_row(const ForwardPass& f, const Strip& strip, int64_t i, int64_t c) {
  const int64_t tap = c * f.plan.block_taps, taps = min(f.plan.block_taps, f.plan.taps - tap);
  const float* w = f.weights + (strip.filter_block * f.plan.taps + tap) * KB;
  const float* x = strip.x.corner + c * strip.x.block + i * strip.x.row;
  const float* bias = f.bias + strip.filter_block * KB;
  float* out = ring_row(f, strip, i);
  const bool round = f.plan.narrow && c + 1 == f.plan.channels.blocks;
  const int64_t columns = f.plan.conv_columns, tiles = ceil_div(columns, COLUMNS);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t j = part(columns, tiles, t), width = part(columns, tiles, t + 1) - j;
    find<RowTile, COLUMNS, M>(width)(x + j * strip.x.column, strip.x.column, f.offsets, f.offsets + taps, w,
                                     c == 0 ? bias : out + j * KB, c == 0 ? 0 : KB, out + j * KB, round);
  }
}

template <int M>
void pool_row(const ForwardPass& f, const Strip& strip, int64_t p) {
  const Axis &h = f.plan.h, &w = f.plan.w;
  const int64_t k = strip.filter_block * KB;
  int64_t out = (strip.n * h.pooled + p) * w.pooled * f.g.K + k;
  for (int64_t q = 0; q < w.pooled; ++q, out += f.g.K) {
    Best best[M];
    UNROLL for (int u = 0; u < M; ++u) best[u] = Best::none();
    for (int64_t i = h.conv_begin(p); i < h.conv_end(p); ++i) {
      const float* row = ring_row(f, strip, i);
      for (int64_t j = w.conv_begin(q); j < w.conv_end(q); ++j) {
        const int place = int((i - h.corner(p)) * w.pool + j - w.corner(q));
        UNROLL for (int u = 0; u < M; ++u) best[u].meet(load(row + j * KB + u * LANES), place);
      }
    }
    UNROLL for (int u = 0; u < M; ++u) (f.y + (out + u * LANES)).write(best[u], f.g.K - k - u * LANES);
  }
}

template <int M>
void forward_rows(const ForwardPass& f, const Strip& strip) {
  const Axis& h = f.plan.h;
  int64_t done = h.conv_begin(strip.p0);  // conv rows before it are in the ring, or past
  for (int64_t p = strip.p0; p < strip.p1; p += f.plan.group) {
    const int64_t end = min(p + f.plan.group, strip.p1);
    for (int64_t c = 0; c < f.plan.channels.blocks; ++c)
      for (int64_t i = max(done, h.conv_begin(p)); i < h.conv_end(end - 1); ++i)
        if ((i + h.pool_padding) % h.pool_stride < h.pool) conv_row<M>(f, strip, i, c);  // else between windows
    done = h.conv_end(end - 1);
    for (int64_t q = p; q < end; ++q) pool_row<M>(f, strip, q);
  }
}
