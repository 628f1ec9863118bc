// AMX (tiles, bfloat16) on Linux, beside AVX-512: bfloat16 kernels of its own, and the float32 kernels of avx512.

#include "isa.h"

#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "amx/permission.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma,bmi,bmi2")

namespace cnnzoo {
namespace {

constexpr const char* NAME = "amx";
constexpr int RANK = 50;

bool supported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && !amx_refusal();
}

#include "amx/tiles.inl"
#include "amx/vector.inl"

#include "amx/kernels.inl"

Isa isa({NAME, {}, {NAME, workspace_bytes, forward, backward_input, backward_weight}}, RANK, supported, "avx512");

const KernelsOf<bf16>& widened() { return isa.base->bfloat16; }

}  // namespace
}  // namespace cnnzoo

#pragma GCC pop_options
#endif
