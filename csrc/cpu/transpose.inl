// Changes of layout: squares of four by four, turned in registers, of either type.

// Four floats in whatever the target offers; a 4x4 square of them is what every change of layout turns.
typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));

inline Quad load_quad(const float* p) { return *reinterpret_cast<const Quad*>(p); }
inline Quad load_quad(const bf16* p) {
  typedef uint16_t Eight __attribute__((vector_size(16)));
  Eight in = {};
  std::memcpy(&in, p, 4 * sizeof(bf16));
  return Quad(__builtin_shufflevector(Eight{}, in, 0, 8, 0, 9, 0, 10, 0, 11));
}

// out[j * pitch + i] = lane j of input i
inline void turn(float* out, ptrdiff_t pitch, Quad a, Quad b, Quad c, Quad d) {
  const Quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Quad ef = __builtin_shufflevector(a, b, 2, 6, 3, 7), gh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *reinterpret_cast<Quad*>(out) = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  *reinterpret_cast<Quad*>(out + pitch) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  *reinterpret_cast<Quad*>(out + 2 * pitch) = __builtin_shufflevector(ef, gh, 0, 1, 4, 5);
  *reinterpret_cast<Quad*>(out + 3 * pitch) = __builtin_shufflevector(ef, gh, 2, 3, 6, 7);
}

// out[j * out_pitch + i] = in[i * in_pitch + j] for i < rows, j < columns
template <class T>
inline void transpose(float* out, ptrdiff_t out_pitch, const T* in, ptrdiff_t in_pitch, int64_t rows, int64_t columns) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    const T* p = in + i * in_pitch;
    float* q = out + i;
    int64_t j = 0;
    for (; j + 4 <= columns; j += 4, p += 4, q += 4 * out_pitch)
      turn(q, out_pitch, load_quad(p), load_quad(p + in_pitch), load_quad(p + 2 * in_pitch),
           load_quad(p + 3 * in_pitch));
    for (; j < columns; ++j, ++p, q += out_pitch)
      for (int k = 0; k < 4; ++k) q[k] = widen(p[k * in_pitch]);
  }
  for (; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) out[j * out_pitch + i] = widen(in[i * in_pitch + j]);
}
