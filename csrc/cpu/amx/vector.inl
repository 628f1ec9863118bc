// What basics.inl and bfloat16.inl want of a vector, in the compiler's own: 16 floats on whatever the target has. The
// kernels on tiles use no vectors by name; their loops are plain and the compiler's to vectorise.

constexpr int LANES = 16;

typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef int32_t Mask __attribute__((vector_size(4 * LANES)));

inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
inline Mask unordered(Vec a, Vec b) { return ~((a < b) | (a >= b)); }
inline Vec pick(Mask m, Vec yes, Vec no) { return Vec((Mask(yes) & m) | (Mask(no) & ~m)); }
