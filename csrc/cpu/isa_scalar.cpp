// Any machine: four lanes in the compiler's own vector type, which it maps on what the target guarantees (SSE2 on
// x86-64, NEON on ARM) and takes apart where there is nothing.

#include <cstring>

#include "isa.h"

namespace cnnzoo {
namespace {

constexpr const char* NAME = "scalar";
constexpr int RANK = 0;
constexpr int LANES = 4;
constexpr int ACCUMULATORS = 12;

typedef float Vec __attribute__((vector_size(16)));
typedef int32_t Mask __attribute__((vector_size(16)));
typedef int32_t Labels __attribute__((vector_size(16)));

bool supported() { return true; }

inline Vec zero() { return Vec{0, 0, 0, 0}; }
inline Vec splat(float a) { return Vec{a, a, a, a}; }
inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
inline void store(float* p, Vec v, int n) { std::memcpy(p, &v, size_t(n) * sizeof(float)); }
inline Vec maximum(Vec a, Vec b) { return a > b ? a : b; }
inline Vec add(Vec a, Vec b) { return a + b; }
inline Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }

inline Vec pick(Mask m, Vec yes, Vec no) { return Vec((Mask(yes) & m) | (Mask(no) & ~m)); }
inline Labels pick(Mask m, Labels yes, Labels no) { return (yes & m) | (no & ~m); }
inline Mask above(Vec a, Vec b) { return a > b; }
inline Mask unordered(Vec a, Vec b) { return (a != a) | (b != b); }
inline Mask either(Mask a, Mask b) { return a | b; }
inline bool any(Mask a) { return a[0] | a[1] | a[2] | a[3]; }

inline Labels label(uint8_t a) { return Labels{a, a, a, a}; }
inline void store(uint8_t* p, Labels a, int n) {
  for (int i = 0; i < n; ++i) p[i] = uint8_t(a[i]);
}
inline void store(uint8_t* p, Labels a) { store(p, a, LANES); }

inline Labels lookup_control(const uint8_t* place) { return Labels{place[0], place[1], place[2], place[3]}; }
inline Mask alive(const uint8_t* place) { return lookup_control(place) != label(DEAD); }  // lane by lane

inline uint32_t equal32(const uint8_t* p, uint8_t a) {  // bit i: p[i] == a
  uint32_t bits = 0;
  for (int i = 0; i < 32; ++i) bits |= uint32_t(p[i] == a) << i;
  return bits;
}

// Lane i of the result is four[place[i] % 4].
inline Vec lookup(const float* four, Labels place) {
  return Vec{four[place[0] & 3], four[place[1] & 3], four[place[2] & 3], four[place[3] & 3]};
}

#include "kernels.inl"

}  // namespace
}  // namespace cnnzoo
