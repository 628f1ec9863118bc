// c = a b, the one product of a linear layer's three passes: some rows of a against a panel of b.
//
//   pass       a                    b                     c
//   forward    x (N, in)            weightᵀ (in, out)     y (N, out)
//   dX         grad_y (N, out)      weight (out, in)      grad_x (N, in)
//   dW         grad_yᵀ (out, N)     x (N, in)             grad_weight (out, in)
//
// A panel is PANEL columns of b, its rows b_step floats apart; a may have any strides, as its elements are broadcast.
// The tile fills the registers with accumulators: two vectors wide, so that a panel of some hundred rows fits into L1
// and each load feeds many FMAs.

constexpr int TILE_VECTORS = 2;
constexpr int TILE_ROWS = ACCUMULATORS / TILE_VECTORS;
constexpr int64_t PANEL = TILE_VECTORS * LANES;

struct Product {
  const float* a;
  int64_t a_row, a_step;  // strides between rows and along the depth
  int64_t depth;
  const float* bias;  // (columns), what every row starts with, or nullptr
  float* c;
  int64_t pitch;  // of c
};

// The first n lanes from memory, of which no more is read; the others are 0.
inline Vec load_first(const float* p, int64_t n) {
  if (n >= LANES) return load(p);
  float part[LANES] = {};
  for (int64_t i = 0; i < n; ++i) part[i] = p[i];
  return load(part);
}

template <int R, int M>
void product_tile(const Product& p, const float* b, int64_t b_step, int64_t row, int64_t column,
                  int64_t columns) {
  Vec sum[R][M];
  UNROLL for (int u = 0; u < M; ++u) {
    const Vec start = p.bias ? load_first(p.bias + column + u * LANES, columns - u * LANES) : zero();
    UNROLL for (int r = 0; r < R; ++r) sum[r][u] = start;
  }
  const int64_t a_row = p.a_row, a_step = p.a_step;
  const float* a = p.a + row * a_row;
  for (int64_t k = 0; k < p.depth; ++k, a += a_step, b += b_step) {
    Vec w[M];
    UNROLL for (int u = 0; u < M; ++u) w[u] = load(b + u * LANES);
    UNROLL for (int r = 0; r < R; ++r) {
      const Vec x = splat(a[r * a_row]);
      UNROLL for (int u = 0; u < M; ++u) sum[r][u] = fma(x, w[u], sum[r][u]);
    }
  }
  float* c = p.c + row * p.pitch + column;
  const int last = int(columns - (M - 1) * LANES);
  UNROLL for (int r = 0; r < R; ++r, c += p.pitch) {
    UNROLL for (int u = 0; u + 1 < M; ++u) store(c + u * LANES, sum[r][u]);
    if (last == LANES)
      store(c + (M - 1) * LANES, sum[r][M - 1]);
    else
      store(c + (M - 1) * LANES, sum[r][M - 1], last);
  }
}

// What is left over goes to tiles of 8, 4, 2 and 1 rows.
constexpr int smaller(int rows) { return rows > 8 ? 8 : rows > 4 ? 4 : rows / 2; }

template <int M, int R = TILE_ROWS>
void product_rows(const Product& p, const float* b, int64_t b_step, int64_t begin, int64_t end, int64_t column,
                  int64_t columns) {
  for (; begin + R <= end; begin += R) product_tile<R, M>(p, b, b_step, begin, column, columns);
  if constexpr (R > 1) product_rows<M, smaller(R)>(p, b, b_step, begin, end, column, columns);
}

// Rows [begin, end) against the panel b, which holds `columns` columns of c from `column` on.
inline void product(const Product& p, const float* b, int64_t b_step, int64_t begin, int64_t end, int64_t column,
                    int64_t columns) {
  static_assert(TILE_VECTORS == 2);
  if (columns > LANES)
    product_rows<2>(p, b, b_step, begin, end, column, columns);
  else
    product_rows<1>(p, b, b_step, begin, end, column, columns);
}

// Columns [0, columns) of in as a panel, whole vectors of which may be read: in place, or copied to `own` (rows, PANEL)
// where they end too early, or where their rows would meet in a few sets of the cache.
struct Panel {
  const float* data;
  int64_t step;

  Panel(float* own, const float* in, int64_t pitch, int64_t rows, int64_t columns) : data(in), step(pitch) {
    if (columns == PANEL && pitch % 256 != 0) return;
    std::memset(own, 0, size_t(rows * PANEL) * sizeof(float));
    for (int64_t i = 0; i < rows; ++i) copy(own + i * PANEL, in + i * pitch, columns);
    data = own;
    step = PANEL;
  }
};
