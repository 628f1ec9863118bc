// The input as tiles read it, from any layout: pixel by pixel for the forward pass, channel by channel for dW.

typedef uint16_t Eight __attribute__((vector_size(16)));

inline Eight load_eight(const bf16* p) {
  Eight v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// out[j * out_pitch + i] = in[i * in_pitch + j] for i, j < 8
inline void turn_eight(bf16* out, ptrdiff_t out_pitch, const bf16* in, ptrdiff_t in_pitch) {
  Eight a[8], b[8];
  UNROLL for (int i = 0; i < 8; ++i) a[i] = load_eight(in + i * in_pitch);
  // Three rounds, each of which interleaves the rows of one half with those of the other.
  UNROLL for (int i = 0; i < 4; ++i) {
    b[2 * i] = __builtin_shufflevector(a[i], a[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
    b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    a[2 * i] = __builtin_shufflevector(b[i], b[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
    a[2 * i + 1] = __builtin_shufflevector(b[i], b[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    b[2 * i] = __builtin_shufflevector(a[i], a[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
    b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
  }
  UNROLL for (int i = 0; i < 8; ++i) std::memcpy(out + i * out_pitch, &b[i], sizeof b[i]);
}

// out[j * out_pitch + i] = in[i * in_pitch + j] for i < rows, j < columns
inline void turn(bf16* out, ptrdiff_t out_pitch, const bf16* in, ptrdiff_t in_pitch, int64_t rows, int64_t columns) {
  int64_t i = 0;
  for (; i + 8 <= rows; i += 8) {
    int64_t j = 0;
    for (; j + 8 <= columns; j += 8) turn_eight(out + j * out_pitch + i, out_pitch, in + i * in_pitch + j, in_pitch);
    for (; j < columns; ++j)
      for (int64_t k = i; k < i + 8; ++k) out[j * out_pitch + k] = in[k * in_pitch + j];
  }
  for (; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) out[j * out_pitch + i] = in[i * in_pitch + j];
}

// A tile (16 pairs, 16, 2) of B from rows (16, 16 pairs, 2).
inline void turn_pairs(bf16* tile, const bf16* rows) {
  for (int64_t i = 0; i < ROWS; i += 4)
    for (int64_t j = 0; j < ROWS; j += 4) {
      const float* in = reinterpret_cast<const float*>(rows + i * DEPTH + j * 2);  // read as quads, which may alias
      turn(reinterpret_cast<float*>(tile + j * DEPTH + i * 2), ROWS, load_quad(in), load_quad(in + ROWS),
           load_quad(in + 2 * ROWS), load_quad(in + 3 * ROWS));
    }
}

inline void clear(bf16* out, int64_t count) {
  if (count > 0) std::memset(out, 0, size_t(count) * sizeof(bf16));
}

// out[i * row + j * column] = in[i * in_row + j * in_column] for i < rows, j < columns; row or column is 1
inline void copy_matrix(bf16* out, ptrdiff_t row, ptrdiff_t column, const bf16* in, ptrdiff_t in_row,
                        ptrdiff_t in_column, int64_t rows, int64_t columns) {
  if (column != 1) return copy_matrix(out, column, row, in, in_column, in_row, columns, rows);
  if (columns == 1) {
    for (int64_t i = 0; i < rows; ++i) out[i * row] = in[i * in_row];
  } else if (in_column == 1 && in_row == columns && row == columns) {
    std::memcpy(out, in, size_t(rows * columns) * sizeof(bf16));
  } else if (in_column == 1) {
    for (int64_t i = 0; i < rows; ++i) std::memcpy(out + i * row, in + i * in_row, size_t(columns) * sizeof(bf16));
  } else if (in_row == 1) {
    turn(out, row, in, in_column, columns, rows);
  } else {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) out[i * row + j] = in[i * in_row + j * in_column];
  }
}

// The columns [begin, end) of `count` in steps of `step` from `first` on that lie inside an axis of `size`.
struct Inside {
  int64_t begin, end;

  Inside(int64_t first, int64_t step, int64_t count, int64_t size)
      : begin(first < 0 ? min(ceil_div(-first, step), count) : 0),
        end(first < size ? min(ceil_div(size - first, step), count) : 0) {
    if (end < begin) end = begin;
  }
};

// Rows of pixels: `fold` rows of the input side by side in a pixel, which has `width` values.
struct Rows {
  int64_t row, count, row_step;  // of the padded input: first, how many, from one to the next
  int64_t column, columns;
  int64_t fold, width;
};

// out (count, columns, width): pixel values in the order (row of the fold, channel), zeros in the padding and behind.
void gather_pixels(bf16* out, const StridedOf<bf16>& x, const Geometry& g, int64_t n, const Rows& rows) {
  const Inside columns(rows.column - g.padding_w, 1, rows.columns, g.W);
  const bf16* image = x.data + n * x.stride[0] + (rows.column + columns.begin - g.padding_w) * x.stride[3];
  const int64_t whole = rows.columns * rows.width;
  for (int64_t i = 0; i < rows.count; ++i, out += whole) {
    const int64_t h = rows.row + i * rows.row_step - g.padding_h;
    if (rows.fold > 1 || g.C < rows.width || h < 0 || h >= g.H) {
      clear(out, whole);
    } else {
      clear(out, columns.begin * rows.width);
      clear(out + columns.end * rows.width, (rows.columns - columns.end) * rows.width);
    }
    for (int64_t r = 0; r < rows.fold; ++r)
      if (h + r >= 0 && h + r < g.H && columns.begin < columns.end)
        copy_matrix(out + columns.begin * rows.width + r * g.C, rows.width, 1, image + (h + r) * x.stride[2],
                    x.stride[3], x.stride[1], columns.end - columns.begin, g.C);
  }
}
