// The gradient of the pool's output at the place it came from: a dense image of the convolution's output, zero where
// nothing won. AMX is fast enough that multiplying these zeros beats looking for what is not zero.
//
// Where windows overlap, several gradients may meet at one place, and their sum has more digits than a bfloat16. Then
// there is a second plane with what rounding the first has cut off, and products run over both: 16 digits remain.

struct Expansion {
  Axis h, w;
  bool overlap;
  int64_t planes;

  explicit Expansion(const Geometry& g)
      : h(Axis::h(g)), w(Axis::w(g)), overlap(h.pool > h.pool_stride || w.pool > w.pool_stride), planes(1 + overlap) {}

  int64_t sum_values(int64_t pixels, int64_t filters) const { return overlap ? pixels * filters : 0; }
};

// Filters [filter, filter + filters), and of the convolution's output the rows and columns from (row, column) on.
struct Piece {
  int64_t n, filter, filters;
  int64_t row, rows, column, columns;
};

struct Windows {
  int64_t p0, p1, q0, q1;

  // All that cover a position in [begin, end).
  static int64_t first(const Axis& a, int64_t begin) {
    return clamp(ceil_div(max(begin + a.pool_padding - a.pool + 1, 0), a.pool_stride), 0, a.pooled);
  }
  static int64_t last(const Axis& a, int64_t end) {
    return clamp(ceil_div(max(end + a.pool_padding, 0), a.pool_stride), 0, a.pooled);
  }
  static Windows over(const Expansion& e, const Piece& piece) {
    return {first(e.h, piece.row), last(e.h, piece.row + piece.rows), first(e.w, piece.column),
            last(e.w, piece.column + piece.columns)};
  }
};

// The gradients of one window's filters, side by side: where they lie, or gathered.
inline const bf16* gradients(const StridedOf<bf16>& grad_y, const Piece& piece, int64_t p, int64_t q, bf16* room) {
  const ptrdiff_t* stride = grad_y.stride;
  const bf16* in = grad_y.data + piece.n * stride[0] + piece.filter * stride[1] + p * stride[2] + q * stride[3];
  if (stride[1] == 1) return in;
  for (int64_t k = 0; k < piece.filters; ++k) room[k] = in[k * stride[1]];
  return room;
}

// What goes to position `here`: a mask instead of a choice, which the compiler would make of two half loads.
template <int64_t COUNT>
inline void pass_on(bf16* to, const bf16* g, const uint8_t* where, uint8_t here, int64_t count = COUNT) {
  for (int64_t k = 0; k < count; ++k) to[k] = bf16(g[k] & -bf16(where[k] == here));
}
inline void pass_on_all(bf16* to, const bf16* g, const uint8_t* where, uint8_t here, int64_t filters) {
  int64_t k = 0;
  for (; k + BLOCK <= filters; k += BLOCK) pass_on<BLOCK>(to + k, g + k, where + k, here);
  if (k < filters) pass_on<0>(to + k, g + k, where + k, here, filters - k);
}

inline void split(bf16* upper, bf16* lower, const float* sums, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    upper[i] = narrow(sums[i]);
    lower[i] = narrow(sums[i] - widen(upper[i]));
  }
}

// out (planes, rows, columns, width), planes `plane` values apart; sums (rows, columns, filters) where windows overlap.
void expand(bf16* out, int64_t plane, int64_t width, float* sums, bf16* room, const Expansion& e,
            const StridedOf<bf16>& grad_y, const uint8_t* place, int64_t K, const Piece& piece,
            const Windows& windows) {
  const int64_t filters = piece.filters, P = e.h.pooled, Q = e.w.pooled, pixels = piece.rows * piece.columns;
  clear(out, pixels * width);
  if (e.overlap) std::memset(sums, 0, size_t(pixels * filters) * sizeof(float));
  for (int64_t p = windows.p0; p < windows.p1; ++p)
    for (int64_t q = windows.q0; q < windows.q1; ++q) {
      const bf16* g = gradients(grad_y, piece, p, q, room);
      const uint8_t* where = place + ((piece.n * P + p) * Q + q) * K + piece.filter;
      const int64_t i0 = max(e.h.conv_begin(p), piece.row), i1 = min(e.h.conv_end(p), piece.row + piece.rows);
      const int64_t j0 = max(e.w.conv_begin(q), piece.column), j1 = min(e.w.conv_end(q), piece.column + piece.columns);
      for (int64_t i = i0; i < i1; ++i) {
        uint8_t here = uint8_t((i - e.h.corner(p)) * e.w.pool + j0 - e.w.corner(q));
        const int64_t pixel = (i - piece.row) * piece.columns + j0 - piece.column;
        bf16* to = out + pixel * width;
        float* sum = sums + pixel * filters;
        for (int64_t j = j0; j < j1; ++j, ++here, to += width, sum += filters)
          if (!e.overlap)
            pass_on_all(to, g, where, here, filters);
          else
            for (int64_t k = 0; k < filters; ++k) sum[k] += where[k] == here ? widen(g[k]) : 0.0f;
      }
    }
  if (!e.overlap) return;
  clear(out + plane, pixels * width);
  if (filters == width) return split(out, out + plane, sums, pixels * filters);
  for (int64_t i = 0; i < pixels; ++i)
    split(out + i * width, out + plane + i * width, sums + i * filters, filters);
}
