// The road by windows: 2x2 windows side by side, pooled in registers. A tile is two conv rows of whole windows.

// Windows of a tile; two vectors of filters over one window beat one vector over two, since they share its broadcasts.
constexpr int tile_windows(int vectors) { return int(max(ACCUMULATORS / 4 / vectors, 1)); }

template <bool NANS, int J, int M>
inline void pool_tile(const Vec (&acc)[2][J][M], float* y, uint8_t* place, int64_t K, int64_t filters) {
  UNROLL for (int j = 0; j < J / 2; ++j) {
    UNROLL for (int u = 0; u < M; ++u) {
      Best best = Best::none();
      UNROLL for (int i = 0; i < 4; ++i) {
        const Vec v = acc[i / 2][2 * j + i % 2][u];
        NANS ? best.meet(v, i) : best.meet_number(v, i);
      }
      const int64_t to = j * K + u * LANES;
      best.write(y + to, place ? place + to : nullptr, filters - u * LANES);
    }
  }
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
                  const float* bias, float* y, uint8_t* place, int64_t K, int64_t filters) {
    Vec acc[2][2 * J][M];
    UNROLL for (int u = 0; u < M; ++u) {
      const Vec start = load(bias + u * LANES);
      UNROLL for (int j = 0; j < 2 * J; ++j) acc[0][j][u] = acc[1][j][u] = start;
    }
    convolve(acc, x, plane.row, plane.column, tap, end, w);
    if (__builtin_expect(has_nan(total(acc, zero())), 0))
      pool_tile<true>(acc, y, place, K, filters);
    else
      pool_tile<false>(acc, y, place, K, filters);
  }
};

// One channel and 3x3 taps at stride 1: the weights of M vectors fit into registers beside a window's four positions,
// and each of the window's 16 inputs is broadcast once. False: a NaN turned up, and the row has to be done with NANS.
template <bool NANS, int M>
bool nine_tap_row(const float* x, ptrdiff_t row, const float* w, const float* bias, float* y, uint8_t* place,
                  int64_t windows, int64_t K, int64_t filters) {
  Vec weight[9][M], start[M], sum = zero();
  UNROLL for (int u = 0; u < M; ++u) {
    start[u] = load(bias + u * LANES);
    UNROLL for (int t = 0; t < 9; ++t) weight[t][u] = load(w + t * KB + u * LANES);
  }
  for (int64_t q = 0; q < windows; ++q, x += 2, y += K, place += place ? K : 0) {
    Vec acc[2][2][M];
    UNROLL for (int u = 0; u < M; ++u) acc[0][0][u] = acc[0][1][u] = acc[1][0][u] = acc[1][1][u] = start[u];
    UNROLL for (int h = 0; h < 4; ++h) {
      UNROLL for (int v = 0; v < 4; ++v) {
        const Vec a = splat(x[h * row + v]);
        UNROLL for (int i = 0; i < 2; ++i)
          UNROLL for (int j = 0; j < 2; ++j)
            if (h - i >= 0 && h - i < 3 && v - j >= 0 && v - j < 3)
              UNROLL for (int u = 0; u < M; ++u)
                acc[i][j][u] = fma(a, weight[(h - i) * 3 + v - j][u], acc[i][j][u]);
      }
    }
    if (!NANS) sum = total(acc, sum);
    pool_tile<NANS>(acc, y, place, K, filters);
  }
  return NANS || !has_nan(sum);
}

template <int M>
void forward_windows(const ForwardPass& f, const Strip& strip) {
  const Geometry& g = f.g;
  const Plane& x = strip.x;
  const float* w = f.weights + strip.filter_block * f.plan.taps * KB;
  const float* bias = f.bias + strip.filter_block * KB;
  const int64_t k = strip.filter_block * KB, windows = f.plan.w.pooled;
  const bool nine_taps = g.C == 1 && g.R == 3 && g.S == 3 && g.stride_h == 1 && x.column == 1;
  for (int64_t p = strip.p0; p < strip.p1; ++p) {
    const float* in = x.corner + 2 * p * x.row;
    float* y = f.call.y + (strip.n * f.plan.h.pooled + p) * windows * g.K + k;
    uint8_t* place = f.call.place ? f.call.place + (y - f.call.y) : nullptr;
    if (nine_taps) {
      constexpr int TOGETHER = ACCUMULATORS > 12 ? M : 1;
      for (int u = 0; u < M; u += TOGETHER) {
        const int v = u * LANES;
        const auto run = [&](auto row) {
          return row(in, x.row, w + v, bias + v, y + v, place ? place + v : nullptr, windows, g.K, g.K - k - v);
        };
        if (!run(nine_tap_row<false, TOGETHER>)) run(nine_tap_row<true, TOGETHER>);
      }
      continue;
    }
    const int64_t tiles = ceil_div(windows, tile_windows(M));
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t q = part(windows, tiles, t), width = part(windows, tiles, t + 1) - q;
      const auto tile = find<WindowTile, tile_windows(M), M>(width);
      tile(x, in + 2 * q * x.column, f.offsets, f.offsets + f.plan.taps, w, bias, y + q * g.K,
           place ? place + q * g.K : nullptr, g.K, g.K - k);
    }
  }
}
