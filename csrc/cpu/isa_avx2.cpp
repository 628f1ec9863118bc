// AVX2 and FMA: 8 lanes, 16 registers.

#include "isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")

namespace cnnzoo {
namespace {

constexpr const char* NAME = "avx2";
constexpr int RANK = 20;
constexpr int LANES = 8;
constexpr int ACCUMULATORS = 12;  // of 16 registers: the others hold weights and a broadcast

using Vec = __m256;
using Mask = __m256;
using Labels = __m256i;  // 32 bits a lane

bool supported() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}

inline Vec zero() { return _mm256_setzero_ps(); }
inline Vec splat(float a) { return _mm256_set1_ps(a); }
inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
inline void store(float* p, Vec v, int n) { std::memcpy(p, &v, size_t(n) * sizeof(float)); }
inline Vec maximum(Vec a, Vec b) { return _mm256_max_ps(a, b); }
inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }

inline Mask above(Vec a, Vec b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
inline Mask unordered(Vec a, Vec b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
inline Mask either(Mask a, Mask b) { return _mm256_or_ps(a, b); }
inline bool any(Mask a) { return _mm256_movemask_ps(a) != 0; }
inline Vec pick(Mask m, Vec yes, Vec no) { return _mm256_blendv_ps(no, yes, m); }

inline Labels label(uint8_t a) { return _mm256_set1_epi32(a); }
inline Labels pick(Mask m, Labels yes, Labels no) {
  return _mm256_blendv_epi8(no, yes, _mm256_castps_si256(m));
}
inline __m128i bytes(Labels a) {
  const __m128i pairs = _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  return _mm_packus_epi16(pairs, pairs);
}
inline void store(uint8_t* p, Labels a) { _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes(a)); }
inline void store(uint8_t* p, Labels a, int n) {
  const __m128i all = bytes(a);
  std::memcpy(p, &all, size_t(n));
}

inline __m256i lookup_control(const uint8_t* place) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(place)));
}
inline Mask alive(const uint8_t* place) {  // not DEAD, lane by lane
  return _mm256_castsi256_ps(_mm256_cmpgt_epi32(label(DEAD), lookup_control(place)));
}

inline uint32_t equal32(const uint8_t* p, uint8_t a) {  // bit i: p[i] == a
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(char(a)))));
}

// Lane i of the result is four[place[i] % 4].
inline Vec lookup(const float* four, __m256i place) {
  return _mm256_permutevar_ps(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(four)), place);
}

#include "kernels.inl"

}  // namespace
}  // namespace cnnzoo

#pragma GCC pop_options
#endif
