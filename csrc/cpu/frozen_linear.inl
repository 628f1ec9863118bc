// y = relu(x w + b), a linear layer with packed weights: a tile is some rows of x against one block of outputs.
//
// A row alone would wait for its own FMAs, so each output is summed in several chains (inputs k, k + CHAINS, ...), added
// up in pairs at the end. How many depends on the width of the block alone: a row has the same bits in every tile.

constexpr int LINEAR_ROWS = 3;
constexpr int LINEAR_SUMS = ACCUMULATORS / LINEAR_ROWS;  // accumulators of a row
constexpr int LINEAR_VECTORS = LINEAR_SUMS / 2;          // vectors of outputs in a block

constexpr int linear_chains(int vectors) {
  int chains = 1;
  while (2 * chains * vectors <= LINEAR_SUMS) chains *= 2;
  return chains;
}

template <int R, int M>
struct LinearTile {
  static void run(const float* x, int64_t in, const float* w, const float* bias, float* y, int64_t out, int64_t filters,
                  bool relu) {
    constexpr int CHAINS = linear_chains(M);
    Vec sum[R][M][CHAINS];
    UNROLL for (int r = 0; r < R; ++r)
      UNROLL for (int u = 0; u < M; ++u) {
        sum[r][u][0] = load(bias + u * LANES);
        UNROLL for (int c = 1; c < CHAINS; ++c) sum[r][u][c] = zero();
      }
    const auto step = [&](int64_t k, int c) {
      Vec weight[M];
      UNROLL for (int u = 0; u < M; ++u) weight[u] = load(w + (k * M + u) * LANES);
      UNROLL for (int r = 0; r < R; ++r) {
        const Vec a = splat(x[r * in + k]);
        UNROLL for (int u = 0; u < M; ++u) sum[r][u][c] = fma(a, weight[u], sum[r][u][c]);
      }
    };
    int64_t k = 0;
    for (; k + CHAINS <= in; k += CHAINS)
      UNROLL for (int c = 0; c < CHAINS; ++c) step(k + c, c);
    UNROLL for (int c = 0; c < CHAINS; ++c)
      if (k + c < in) step(k + c, c);
    UNROLL for (int r = 0; r < R; ++r)
      UNROLL for (int u = 0; u < M; ++u) {
        UNROLL for (int half = CHAINS / 2; half > 0; half /= 2)
          UNROLL for (int c = 0; c < half; ++c) sum[r][u][c] = add(sum[r][u][c], sum[r][u][c + half]);
        Vec v = sum[r][u][0];
        if (relu) v = pick(above(zero(), v), zero(), v);  // keeps NaN
        const int64_t left = filters - u * LANES;
        float* const to = y + r * out + u * LANES;
        if (left >= LANES)
          store(to, v);
        else
          store(to, v, int(left));
      }
  }
};

// All rows against outputs [begin, end) of a layer, counted in blocks.
template <int M>
void linear_block(const FrozenStage& stage, const float* x, int64_t rows, int64_t block, float* y) {
  const int64_t k = block * LINEAR_VECTORS * LANES;
  const float *w = stage.weight + k * stage.in, *bias = stage.bias + k;
  for (int64_t r = 0; r < rows; r += LINEAR_ROWS) {
    const auto run = rows - r >= 3 ? LinearTile<3, M>::run : rows - r == 2 ? LinearTile<2, M>::run : LinearTile<1, M>::run;
    run(x + r * stage.in, stage.in, w, bias, y + r * stage.out + k, stage.out, stage.out - k, stage.relu);
  }
}

template <int M = LINEAR_VECTORS>
auto find_linear(int64_t vectors) -> decltype(&linear_block<1>) {
  if constexpr (M > 1)
    return vectors >= M ? linear_block<M> : find_linear<M - 1>(vectors);
  else
    return linear_block<1>;
}

void linear(const FrozenStage& stage, const float* x, int64_t rows, float* y, const Pool& pool) {
  const int64_t vectors = ceil_div(stage.out, LANES), blocks = ceil_div(vectors, LINEAR_VECTORS);
  parallel(pool, blocks, 1, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) find_linear(vectors - b * LINEAR_VECTORS)(stage, x, rows, b, y);
  });
}
