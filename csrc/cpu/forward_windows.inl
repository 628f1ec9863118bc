// The road by windows: 2x2 windows side by side, pooled in registers. A tile is two conv rows of whole windows.

// Windows of a tile; two vectors of filters over one window beat one vector over two, since they share its broadcasts.
constexpr int tile_windows(int vectors) { return int(max(ACCUMULATORS / 4 / vectors, 1)); }

template <bool NANS, class T, int J, int M>
inline void pool_tile(const Vec (&acc)[2][J][M], T* y, uint8_t* place, int64_t K, int64_t filters) {
  UNROLL for (int j = 0; j < J / 2; ++j) {
    Vec four[4][M];
    UNROLL for (int i = 0; i < 4; ++i)
      UNROLL for (int u = 0; u < M; ++u) four[i][u] = acc[i / 2][2 * j + i % 2][u];
    uint8_t* const at = place ? place + j * K : nullptr;
    NANS ? pool_any(four, y + j * K, at, filters) : pool_numbers(four, y + j * K, at, filters);
  }
}

template <bool NANS, int J, int M>
inline void pool_tile(const Vec (&acc)[2][J][M], const Target& to, int64_t K, int64_t filters) {
  if (TERMS == 2 || to.narrow)
    pool_tile<NANS>(acc, static_cast<bf16*>(to.y), to.place, K, filters);
  else
    pool_tile<NANS>(acc, static_cast<float*>(to.y), to.place, K, filters);
}

// Asking each value whether it is NaN would cost as much as the maximum. A NaN makes this sum NaN; so does inf - inf,
// which only costs time.
template <int J, int M>
inline Vec total(const Vec (&acc)[2][J][M], Vec sum) {
  UNROLL for (int j = 0; j < J; ++j)
    UNROLL for (int u = 0; u < M; ++u) sum = add(sum, add(acc[0][j][u], acc[1][j][u]));
  return sum;
}

inline bool has_nan(Vec sum) { return any(unordered(sum, sum)); }

template <int J, int M>
struct WindowTile {
  static void run(const Plane& plane, const float* x, const ptrdiff_t* tap, const ptrdiff_t* end, const float* w,
                  const float* bias, const Target& to, int64_t K, int64_t filters) {
    Vec acc[2][2 * J][M];
    UNROLL for (int u = 0; u < M; ++u) {
      const Vec start = load(bias + u * LANES);
      UNROLL for (int j = 0; j < 2 * J; ++j) acc[0][j][u] = acc[1][j][u] = start;
    }
    convolve(acc, x, plane.row, plane.column, tap, end, w);
    if (__builtin_expect(has_nan(total(acc, zero())), 0))
      pool_tile<true>(acc, to, K, filters);
    else
      pool_tile<false>(acc, to, K, filters);
  }
};

// One channel and 3x3 taps at stride 1: the weights of M vectors fit into registers beside a window's four positions,
// and each of the window's 16 elements is broadcast once. Where an element is two neighbours, every second one of them
// makes a row of taps. False: a NaN turned up, and the row has to be done with NANS.
template <bool NANS, class T, int M>
bool nine_tap_row(const float* x, ptrdiff_t row, const float* w, const float* bias, T* y, uint8_t* place,
                  int64_t windows, int64_t K, int64_t filters) {
  constexpr int TAPS = (3 + TERMS - 1) / TERMS;  // in a row
  Vec weight[3 * TAPS][M], start[M], sum = zero();
  UNROLL for (int u = 0; u < M; ++u) {
    start[u] = load(bias + u * LANES);
    UNROLL for (int t = 0; t < 3 * TAPS; ++t) weight[t][u] = load(w + t * KB + u * LANES);
  }
  for (int64_t q = 0; q < windows; ++q, x += 2, y += K, place += place ? K : 0) {
    Vec acc[2][2][M];
    UNROLL for (int u = 0; u < M; ++u) acc[0][0][u] = acc[0][1][u] = acc[1][0][u] = acc[1][1][u] = start[u];
    UNROLL for (int h = 0; h < 4; ++h) {
      UNROLL for (int v = 0; v < 4; ++v) {
        const Vec a = splat(x[h * row + v]);
        UNROLL for (int i = 0; i < 2; ++i)
          UNROLL for (int j = 0; j < 2; ++j)
            if (h - i >= 0 && h - i < 3 && v - j >= 0 && (v - j) % TERMS == 0 && (v - j) / TERMS < TAPS)
              UNROLL for (int u = 0; u < M; ++u)
                acc[i][j][u] = multiply_add(a, weight[(h - i) * TAPS + (v - j) / TERMS][u], acc[i][j][u]);
      }
    }
    if (!NANS) sum = total(acc, sum);
    pool_tile<NANS>(acc, y, place, K, filters);
  }
  return NANS || !has_nan(sum);
}

template <class T, int M>
void forward_nine_taps(const ForwardPass& f, const Strip& strip) {
  constexpr int TOGETHER = ACCUMULATORS > 12 ? M : 1;
  const int64_t windows = f.plan.w.pooled, K = f.g.K, block = strip.filter_block;
  for (int64_t p = strip.p0; p < strip.p1; ++p) {
    const float* x = strip.x.corner + 2 * p * strip.x.row;
    const int64_t row = (strip.n * f.plan.h.pooled + p) * windows * K;
    for (int64_t k = block * KB; k < block * KB + M * LANES; k += TOGETHER * LANES) {
      const float* w = f.weights + block * f.plan.taps * KB + k - block * KB;
      const auto run = [&](auto nine_tap_row) {
        return nine_tap_row(x, strip.x.row, w, f.bias + k, static_cast<T*>(f.y.y) + row + k,
                            f.y.place ? f.y.place + row + k : nullptr, windows, K, K - k);
      };
      if (!run(nine_tap_row<false, T, TOGETHER>)) run(nine_tap_row<true, T, TOGETHER>);
    }
  }
}

template <int M>
void forward_windows(const ForwardPass& f, const Strip& strip) {
  const Geometry& g = f.g;
  const Plane& x = strip.x;
  if (g.C == 1 && g.R == 3 && g.S == 3 && g.stride_h == 1 && x.column == 1)
    return TERMS == 2 || f.plan.narrow ? forward_nine_taps<bf16, M>(f, strip) : forward_nine_taps<float, M>(f, strip);
  const float* w = f.weights + strip.filter_block * f.plan.taps * KB;
  const float* bias = f.bias + strip.filter_block * KB;
  const int64_t k = strip.filter_block * KB, windows = f.plan.w.pooled, tiles = ceil_div(windows, tile_windows(M));
  for (int64_t p = strip.p0; p < strip.p1; ++p) {
    const float* in = x.corner + 2 * p * x.row;
    const Target y = f.y + ((strip.n * f.plan.h.pooled + p) * windows * g.K + k);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t q = part(windows, tiles, t), width = part(windows, tiles, t + 1) - q;
      const auto tile = find<WindowTile, tile_windows(M), M>(width);
      tile(x, in + 2 * q * x.column, f.offsets, f.offsets + f.plan.taps, w, bias, y + q * g.K, g.K, g.K - k);
    }
  }
}
