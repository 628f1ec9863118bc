// The road by lookup, with filters in the lanes: for few taps and 2x2 windows. Beside every input its neighbours at
// the window's other three places are kept, so that one permutation whose control is `place` picks each filter's own:
//
//   dW[tap] += g * neighbours[window + tap][place]

constexpr int LOOKUP_TAPS = 9;                                  // of a tile
constexpr int LOOKUP_VECTORS = ACCUMULATORS > 12 ? 2 : 1;       // of filters

// A block's windows: steps in floats from one to the next.
struct Lookup {
  int64_t rows, columns;
  const float* x;
  ptrdiff_t x_row, x_column;
  Outputs outputs;
};

// A dead output has g = 0 and looks up whatever its place says. Where inputs are not all finite, CAREFUL clears that.
template <bool CAREFUL>
struct LookupTiles {
  template <int T, int M>
  struct Tile {
    // Adds to T rows of dw, `pitch` floats apart, and the gradients themselves to db.
    static void run(const Lookup& in, const ptrdiff_t* tap, float* dw, ptrdiff_t pitch, float* db) {
      Vec acc[T][M], sum[M];
      UNROLL for (int u = 0; u < M; ++u) sum[u] = load(db + u * LANES);
      UNROLL for (int t = 0; t < T; ++t)
        UNROLL for (int u = 0; u < M; ++u) acc[t][u] = load(dw + t * pitch + u * LANES);
      for (int64_t p = 0; p < in.rows; ++p) {
        const float *x = in.x + p * in.x_row, *gp = in.outputs.g + p * in.outputs.g_row;
        const uint8_t* place = in.outputs.place + p * in.outputs.place_row;
        for (int64_t q = 0; q < in.columns; ++q) {
          Vec g[M];
          UNROLL for (int u = 0; u < M; ++u) {
            g[u] = pick(alive(place + u * LANES), load(gp + u * LANES), zero());
            sum[u] = add(sum[u], g[u]);
          }
          UNROLL for (int t = 0; t < T; ++t) {
            UNROLL for (int u = 0; u < M; ++u) {
              Vec a = lookup(x + tap[t], lookup_control(place + u * LANES));
              if (CAREFUL) a = pick(alive(place + u * LANES), a, zero());
              acc[t][u] = fma(g[u], a, acc[t][u]);
            }
          }
          x += in.x_column, gp += in.outputs.g_column, place += in.outputs.place_column;
        }
      }
      UNROLL for (int t = 0; t < T; ++t)
        UNROLL for (int u = 0; u < M; ++u) store(dw + t * pitch + u * LANES, acc[t][u]);
      UNROLL for (int u = 0; u < M; ++u) store(db + u * LANES, sum[u]);
    }
  };
};

bool finite(const float* x, int64_t n) {  // x * 0 is 0, or NaN
  Vec sum = zero();
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) sum = fma(load(x + i), zero(), sum);
  float rest = 0;
  for (; i < n; ++i) rest += x[i] * 0;
  return !has_nan(sum) && rest == 0;
}

// out (channel, row, column, 4): the inputs at the four places of a window whose corner is there.
void gather_neighbours(float* out, const float* x, const WeightGradientPlan& plan, const Patch& patch) {
  const int64_t rows = patch.rows - plan.h.stride, columns = patch.columns - plan.w.stride;
  const ptrdiff_t right = plan.w.stride, below = plan.h.stride * patch.columns;
  for (int64_t i = 0; i < rows; ++i) {
    const float* p = x + i * patch.columns;
    float* q = out + 4 * i * patch.columns;
    int64_t j = 0;
    for (; j + 4 <= columns; j += 4, p += 4, q += 16)
      turn(q, 4, load_quad(p), load_quad(p + right), load_quad(p + below), load_quad(p + below + right));
    for (; j < columns; ++j, ++p, q += 4) q[0] = p[0], q[1] = p[right], q[2] = p[below], q[3] = p[below + right];
  }
}

// Outputs to be read in whole vectors of filters: where they lie, or copied.
Outputs whole_vectors(const WeightGradientPass& f, const Block& block, char* scratch) {
  const int64_t rows = block.p1 - block.p0, columns = block.q1 - block.q0, filters = f.g.K, width = f.plan.filters;
  const bool in_place = !f.plan.narrow && f.grad_y.stride[1] == 1 && filters == width;
  Outputs out = outputs_of(f, block, 0, filters, width, in_place, scratch);
  if (filters < width) {
    uint8_t* place = at<uint8_t>(scratch, f.plan.places);
    std::memset(place, DEAD, size_t(rows * columns * width));
    for (int64_t i = 0; i < rows * columns; ++i)
      std::memcpy(place + i * width, out.place + i / columns * out.place_row + i % columns * filters, size_t(filters));
    out.place = place, out.place_row = columns * width, out.place_column = width;
  }
  return out;
}

// All filters over one block; dw is (tap, filters).
template <bool CAREFUL>
void add_lookups(const WeightGradientPass& f, const Lookup& in, const Patch& patch, float* dw, float* db) {
  const Geometry& g = f.g;
  const int64_t taps = g.C * g.R * g.S, tiles = ceil_div(taps, LOOKUP_TAPS);
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t t0 = part(taps, tiles, i), t1 = part(taps, tiles, i + 1);
    ptrdiff_t tap[LOOKUP_TAPS];
    for (int64_t t = t0; t < t1; ++t)
      tap[t - t0] = 4 * ((t / (g.R * g.S) * patch.rows + t / g.S % g.R) * patch.columns + t % g.S);
    for (int64_t k = 0; k < f.plan.filters; k += LOOKUP_VECTORS * LANES) {
      Lookup at = in;
      at.outputs.g += k, at.outputs.place += k;
      const bool whole = k + LOOKUP_VECTORS * LANES <= f.plan.filters;
      const auto tile = whole ? find<LookupTiles<CAREFUL>::template Tile, LOOKUP_TAPS, LOOKUP_VECTORS>(t1 - t0)
                              : find<LookupTiles<CAREFUL>::template Tile, LOOKUP_TAPS, 1>(t1 - t0);
      float again[LOOKUP_VECTORS * LANES] = {};  // the first tile has added up db
      tile(at, tap, dw + t0 * f.plan.filters + k, f.plan.filters, i == 0 ? db + k : again);
    }
  }
}

void add_block_by_lookup(const WeightGradientPass& f, const Block& block, float* dw, float* db, char* scratch) {
  const Patch& patch = block.patch;
  const int64_t plane = patch.rows * patch.columns;
  float* x = at<float>(scratch, f.plan.patch);
  float* neighbours = at<float>(scratch, f.plan.neighbours);
  for (int64_t c = 0; c < f.g.C; ++c) {
    copy_patch(x + c * plane, f.x, f.g, block.n, Channels::planes(f.g.C), c, patch);
    gather_neighbours(neighbours + 4 * c * plane, x + c * plane, f.plan, patch);
  }
  const Lookup in{block.p1 - block.p0, block.q1 - block.q0, neighbours, 4 * f.plan.h.step() * patch.columns,
                  4 * f.plan.w.step(), whole_vectors(f, block, scratch)};
  finite(x, f.g.C * plane) ? add_lookups<false>(f, in, patch, dw, db) : add_lookups<true>(f, in, patch, dw, db);
}

// Taps [t0, t1) of the sum over chunks, in torch's order.
void store_lookup_sums(const WeightGradientPass& f, int64_t t0, int64_t t1) {
  float* sum = f.partial + t0 * f.plan.filters;
  const int64_t floats = (t1 - t0) * f.plan.filters;
  for (int64_t i = 1; i < f.plan.chunks; ++i)
    for (int64_t j = 0; j < floats; j += LANES)
      store(sum + j, add(load(sum + j), load(sum + i * f.plan.partial_floats + j)));
  transpose(f.grad_weight + t0, f.g.C * f.g.R * f.g.S, sum, f.plan.filters, t1 - t0, f.g.K);
}
