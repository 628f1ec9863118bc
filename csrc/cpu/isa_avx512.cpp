// AVX-512 (F, DQ, BW, VL).

#include "isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,bmi,bmi2")

namespace cnnzoo {
namespace {

constexpr const char* NAME = "avx512";
constexpr int RANK = 30;

#include "avx512.inl"

bool supported() { return supports_avx512(); }

#include "kernels.inl"

}  // namespace
}  // namespace cnnzoo

#pragma GCC pop_options
#endif
