// y = relu(x w + b), a linear layer with packed weights: a tile is some rows of x against one block of outputs.
//
// A row alone would wait for its own FMAs, so each output is summed in several chains (inputs k, k + CHAINS, ...), added
// up in pairs at the end. How many depends on the width of the block alone: a row has the same bits in every tile.
// Where an input is two neighbours (TERMS), an odd row ends in one beside a 0.

constexpr int LINEAR_ROWS = 3;
constexpr int LINEAR_SUMS = ACCUMULATORS / LINEAR_ROWS;  // accumulators of a row
constexpr int LINEAR_VECTORS = LINEAR_SUMS / 2;          // vectors of outputs in a block

constexpr int linear_chains(int vectors) {
  int chains = 1;
  while (2 * chains * vectors <= LINEAR_SUMS) chains *= 2;
  return chains;
}

// Element k of a row, from the `values` that are left there: all of them, but for the end of an odd row.
inline Vec linear_input(const float* x, int64_t k, int64_t) { return splat(x[k]); }
inline Vec linear_input(const bf16* x, int64_t k, int64_t values) {
  float pair = 0;
  std::memcpy(&pair, x + 2 * k, values > 1 ? sizeof pair : sizeof(bf16));  // the lower half comes first
  return splat(pair);
}

template <class T>
inline Vec rounded_to(Vec v) {
  return sizeof(T) < sizeof(float) ? round_bf16(v) : v;
}

// The first n values of a vector that has been rounded already.
template <class T>
inline void write(T* y, Vec v, int64_t n) {
  if (n >= LANES)
    store(y, v);
  else
    store(y, v, int(n));
}

template <class T, int R, int M>
struct LinearTile {
  static void run(const T* x, int64_t in, const float* w, const float* bias, T* y, int64_t out, int64_t filters,
                  bool relu) {
    constexpr int CHAINS = linear_chains(M);
    const int64_t whole = in / TERMS, elements = ceil_div(in, TERMS);
    Vec sum[R][M][CHAINS];
    UNROLL for (int r = 0; r < R; ++r)
      UNROLL for (int u = 0; u < M; ++u) {
        sum[r][u][0] = load(bias + u * LANES);
        UNROLL for (int c = 1; c < CHAINS; ++c) sum[r][u][c] = zero();
      }
    const auto step = [&](int64_t k, int c, int64_t values) {
      Vec weight[M];
      UNROLL for (int u = 0; u < M; ++u) weight[u] = load(w + (k * M + u) * LANES);
      UNROLL for (int r = 0; r < R; ++r) {
        const Vec a = linear_input(x + r * in, k, values);
        UNROLL for (int u = 0; u < M; ++u) sum[r][u][c] = multiply_add(a, weight[u], sum[r][u][c]);
      }
    };
    int64_t k = 0;
    for (; k + CHAINS <= whole; k += CHAINS)
      UNROLL for (int c = 0; c < CHAINS; ++c) step(k + c, c, TERMS);
    UNROLL for (int c = 0; c < CHAINS; ++c)
      if (k + c < elements) step(k + c, c, in - (k + c) * TERMS);
    UNROLL for (int r = 0; r < R; ++r)
      UNROLL for (int u = 0; u < M; ++u) {
        UNROLL for (int half = CHAINS / 2; half > 0; half /= 2)
          UNROLL for (int c = 0; c < half; ++c) sum[r][u][c] = add(sum[r][u][c], sum[r][u][c + half]);
        Vec v = sum[r][u][0];
        if (relu) v = pick(above(zero(), v), zero(), v);  // keeps NaN
        write(y + r * out + u * LANES, rounded_to<T>(v), filters - u * LANES);
      }
  }
};

// All rows against outputs [begin, end) of a layer, counted in blocks.
template <class T, int M>
void linear_block(const FrozenStage& stage, const T* x, int64_t rows, int64_t block, T* y) {
  const int64_t k = block * LINEAR_VECTORS * LANES;
  const float *w = stage.weight + k * ceil_div(stage.in, TERMS), *bias = stage.bias + k;
  for (int64_t r = 0; r < rows; r += LINEAR_ROWS) {
    const int64_t left = rows - r;
    const auto run = left >= 3 ? LinearTile<T, 3, M>::run : left == 2 ? LinearTile<T, 2, M>::run : LinearTile<T, 1, M>::run;
    run(x + r * stage.in, stage.in, w, bias, y + r * stage.out + k, stage.out, stage.out - k, stage.relu);
  }
}

template <class T, int M = LINEAR_VECTORS>
auto find_linear(int64_t vectors) -> decltype(&linear_block<T, 1>) {
  if constexpr (M > 1)
    return vectors >= M ? linear_block<T, M> : find_linear<T, M - 1>(vectors);
  else
    return linear_block<T, 1>;
}

template <class T>
void linear(const FrozenStage& stage, const T* x, int64_t rows, T* y, const Pool& pool) {
  const int64_t vectors = ceil_div(stage.out, LANES), blocks = ceil_div(vectors, LINEAR_VECTORS);
  parallel(pool, blocks, 1, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) find_linear<T>(vectors - b * LINEAR_VECTORS)(stage, x, rows, b, y);
  });
}
