// The gradient as rows of B for dW: pairs of neighbouring pixels, for 16 filters at a time.
//
//   even  pixels (0, 1), (2, 3)…      odd  (-1, 0), (1, 2)…      for taps at an even and at an odd distance
//
// Both are (plane, 16 filters, pairs_before + depth / 2, 16, 2), and zero before the first pixel and beside windows.

// From a dense gradient (planes, pixels, width) of one block, whose pixels begin at `at`.
void pair_up(const WeightGradientPass& f, const bf16* dense, int64_t filters, int64_t width, bf16* even, bf16* odd,
             int64_t at) {
  const WeightGradientPlan& plan = f.plan;
  for (int64_t plane = 0; plane < plan.e.planes; ++plane)
    for (int64_t column = 0; column < ceil_div(filters, ROWS); ++column) {
      const int64_t offset =
          plane * plan.plane_values() + (column * plan.pairs + plan.pairs_before + at / 2) * DEPTH;
      const bf16* in = dense + plane * plan.pixels * width + column * ROWS;
      bf16* to = even + offset;
      for (int64_t j = 0; j < plan.pixels; j += 2, to += DEPTH) pair(to, in + j * width, in + (j + 1) * width);
      if (!plan.odds) continue;
      to = odd + offset;  // the pixel before the first and the last one are zero where a tap has a distance
      const bf16 zeros[ROWS] = {};
      pair(to, zeros, in);
      for (int64_t j = 1; j + 1 < plan.pixels; j += 2) pair(to += DEPTH, in + j * width, in + (j + 1) * width);
    }
}

// Where pools are two wide and lie side by side, the two columns of a window are a pair: no dense gradient is needed.
bool pairs_windows(const Geometry& g) {
  return g.pool_w == 2 && g.pool_stride_w == 2 && g.pool_padding_w == 0 && g.pool_padding_h == 0 &&
         g.pool_stride_h >= g.pool_h;
}

inline const uint8_t* places(const WeightGradientPass& f, const Piece& piece, int64_t p, int64_t q) {
  return f.call.place + ((piece.n * f.plan.e.h.pooled + p) * f.plan.e.w.pooled + q) * f.g.K + piece.filter;
}

// What of 16 gradients goes to position `here`.
inline void pass_on_16(bf16* to, const bf16* g, const uint8_t* where, uint8_t here, int64_t filters) {
  if (filters == ROWS) return pass_on<ROWS>(to, g, where, here);
  for (int64_t k = 0; k < ROWS; ++k) to[k] = 0;
  pass_on<0>(to, g, where, here, filters);
}

// carry (pool_h, filters rounded up to 16): the right column of the window before
void pair_windows(const WeightGradientPass& f, const Piece& piece, const Windows& windows, bf16* room, bf16* carry,
                  bf16* even, bf16* odd, int64_t at) {
  const WeightGradientPlan& plan = f.plan;
  const int64_t width = round_up(piece.filters, ROWS), row = plan.columns / 2 * DEPTH, column = plan.pairs * DEPTH;
  const bool smaller = windows.p1 - windows.p0 < plan.block_p || windows.q1 - windows.q0 < plan.block_q;
  for (int64_t c = 0; c < width / ROWS && smaller; ++c) {  // a larger block may have been here
    clear(even + c * column + (plan.pairs_before + at / 2) * DEPTH, plan.pixels / 2 * DEPTH);
    if (plan.odds) clear(odd + c * column + (plan.pairs_before + at / 2) * DEPTH, plan.pixels / 2 * DEPTH);
  }
  for (int64_t p = windows.p0; p < windows.p1; ++p) {
    int64_t to = (plan.pairs_before + at / 2) * DEPTH + (p - windows.p0) * plan.e.h.pool_stride * row;
    if (plan.odds) clear(carry, plan.e.h.pool * width);
    for (int64_t q = windows.q0; q < windows.q1; ++q, to += DEPTH) {
      const bf16* g = gradients(f.call.grad_y, piece, p, q, room);
      const uint8_t* where = places(f, piece, p, q);
      for (int64_t c = 0; c < width; c += ROWS)
        for (int64_t i = 0; i < plan.e.h.pool; ++i) {
          bf16 left[ROWS], right[ROWS];
          const int64_t filters = min(ROWS, piece.filters - c), here = to + c / ROWS * column + i * row;
          pass_on_16(left, g + c, where + c, uint8_t(2 * i), filters);
          pass_on_16(right, g + c, where + c, uint8_t(2 * i + 1), filters);
          pair(even + here, left, right);
          if (!plan.odds) continue;
          pair(odd + here, carry + i * width + c, left);
          std::memcpy(carry + i * width + c, right, sizeof right);
        }
    }
    const bf16 zeros[ROWS] = {};
    for (int64_t c = 0; c < width && plan.odds; c += ROWS)
      for (int64_t i = 0; i < plan.e.h.pool; ++i)
        pair(odd + to + c / ROWS * column + i * row, carry + i * width + c, zeros);
  }
}

// db: gradients of windows whose maximum was alive, in order.
void add_bias(const WeightGradientPass& f, const Piece& piece, const Windows& windows, bf16* room, float* sums) {
  for (int64_t p = windows.p0; p < windows.p1; ++p)
    for (int64_t q = windows.q0; q < windows.q1; ++q) {
      const bf16* g = gradients(f.call.grad_y, piece, p, q, room);
      const uint8_t* where = places(f, piece, p, q);
      for (int64_t k = 0; k < piece.filters; ++k) sums[k] += widen(bf16(g[k] & -bf16(where[k] != DEAD)));
    }
}
