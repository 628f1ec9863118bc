// The vector type of AVX-512 (F, DQ, BW, VL), also for instruction sets that add to these: 16 lanes, 32 registers, masks
// for comparisons and tails.

constexpr int LANES = 16;
constexpr int ACCUMULATORS = 24;  // of 32 registers: the others hold weights and a broadcast

using Vec = __m512;
using Mask = __mmask16;
using Labels = __m128i;  // a byte a lane

// GCC's headers read an uninitialised variable in the plain form of some intrinsics, and warn of it; the masked form
// with this mask is the same instruction.
constexpr Mask ALL = 0xffff;

inline bool supports_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

inline Mask first(int n) { return Mask((1u << n) - 1); }

inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec splat(float a) { return _mm512_set1_ps(a); }
inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
inline void store(float* p, Vec v, int n) { _mm512_mask_storeu_ps(p, first(n), v); }
inline Vec maximum(Vec a, Vec b) { return _mm512_maskz_max_ps(ALL, a, b); }
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }

inline Mask above(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
inline Mask unordered(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
inline Mask either(Mask a, Mask b) { return _kor_mask16(a, b); }
inline bool any(Mask a) { return !_kortestz_mask16_u8(a, a); }
inline Vec pick(Mask m, Vec yes, Vec no) { return _mm512_mask_mov_ps(no, m, yes); }

inline Labels label(uint8_t a) { return _mm_set1_epi8(char(a)); }
inline Labels pick(Mask m, Labels yes, Labels no) { return _mm_mask_mov_epi8(no, m, yes); }
inline void store(uint8_t* p, Labels a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), a); }
inline void store(uint8_t* p, Labels a, int n) { _mm_mask_storeu_epi8(p, first(n), a); }

inline Mask alive(const uint8_t* place) {  // not DEAD, lane by lane
  return _mm_cmpneq_epi8_mask(_mm_loadu_si128(reinterpret_cast<const __m128i*>(place)), label(DEAD));
}

// Bit i: p[i] == a. Not by a mask register: widened to 64 bits, GCC 12 spills it as 32 bits and reads back 64.
inline uint32_t equal32(const uint8_t* p, uint8_t a) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(char(a)))));
}

// Lane i of the result is four[place[i] % 4].
inline Vec lookup(const float* four, __m512i place) {
  return _mm512_maskz_permutevar_ps(ALL, _mm512_maskz_broadcast_f32x4(ALL, _mm_loadu_ps(four)), place);
}
inline __m512i lookup_control(const uint8_t* place) {
  return _mm512_maskz_cvtepu8_epi32(ALL, _mm_loadu_si128(reinterpret_cast<const __m128i*>(place)));
}
