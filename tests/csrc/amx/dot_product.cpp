// A stand-in for isa_amx.cpp: the kernels for AMX on tiles in memory that AVX512-BF16 multiplies. Fast enough for many
// cases, and on real dot products.

#include "cpu/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>
#include <cstring>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma,bmi,bmi2")

namespace cnnzoo {
namespace {

struct alignas(64) TileRegister {
  uint8_t row[16][64];
};
thread_local TileRegister tmm[8];

struct Tiles {
  static constexpr int64_t STRIP = 256 * 1024, SUMS = 32 * 1024, OPERANDS = 1024 * 1024, WORTH_A_THREAD = 1;

  struct Session {
    Session() {}
    ~Session() {}
    Session(const Session&) = delete;
  };
  template <int T>
  static void load(const void* from, ptrdiff_t pitch) {
    for (int i = 0; i < 16; ++i)
      _mm512_store_si512(tmm[T].row[i], _mm512_loadu_si512(static_cast<const char*>(from) + i * pitch));
  }
  template <int T>
  static void store(void* to, ptrdiff_t pitch) {
    for (int i = 0; i < 16; ++i)
      _mm512_storeu_si512(static_cast<char*>(to) + i * pitch, _mm512_load_si512(tmm[T].row[i]));
  }
  template <int T>
  static void zero() {
    std::memset(&tmm[T], 0, sizeof tmm[T]);
  }
  template <int C, int A, int B>
  static void dot() {
    for (int m = 0; m < 16; ++m) {
      __m512 sum = _mm512_load_ps(reinterpret_cast<const float*>(tmm[C].row[m]));
      for (int k = 0; k < 16; ++k) {
        int32_t pair;
        std::memcpy(&pair, tmm[A].row[m] + 4 * k, sizeof pair);
        sum = _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(pair),
                               (__m512bh)_mm512_load_si512(tmm[B].row[k]));
      }
      _mm512_store_ps(reinterpret_cast<float*>(tmm[C].row[m]), sum);
    }
  }
  static void round16(bf16* to, const float* from) {
    const __m256bh halves = _mm512_cvtneps_pbh(_mm512_loadu_ps(from));
    std::memcpy(to, &halves, sizeof halves);
  }
  static void round32(bf16* to, const float* from) {
    const __m512bh halves = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + 16), _mm512_loadu_ps(from));
    std::memcpy(to, &halves, sizeof halves);
  }
  static void know(const void*, size_t) {}
};

#include "cpu/amx/vector.inl"
#include "cpu/amx/kernels.inl"

bool supported() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}

Isa isa({"amx", {}, {"amx", workspace_bytes, forward, backward_input, backward_weight}}, 50, supported, "scalar");

const KernelsOf<bf16>& widened() { return isa.base->bfloat16; }

}  // namespace
}  // namespace cnnzoo

#pragma GCC pop_options
#endif
