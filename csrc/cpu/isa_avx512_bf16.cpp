// AVX512-BF16, for bfloat16: the forward pass by dot products of pairs. Zen 4 makes twice as many of them as FMAs.
// Gradients are those of AVX-512: a window passes one on, so its float32 kernels do a quarter of what dense dot
// products would have to.

#include "isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma,bmi,bmi2")

namespace cnnzoo {
namespace {

constexpr const char* NAME = "avx512_bf16";
constexpr int RANK = 40;

#include "avx512.inl"

bool supported() { return supports_avx512() && __builtin_cpu_supports("avx512bf16"); }

#include "basics.inl"
#include "bfloat16.inl"
#include "transpose.inl"

#include "pooling_axis.inl"
#include "source.inl"

constexpr int TERMS = 2;
inline Vec multiply_add(Vec a, Vec b, Vec c) { return _mm512_dpbf16_ps(c, __m512bh(a), __m512bh(b)); }
#include "convolve.inl"

#include "forward_plan.inl"
#include "forward_rows.inl"
#include "pool_window.inl"
#include "pool_pairs.inl"
#include "forward_windows.inl"

#include "forward.inl"
#include "forward_pairs.inl"

#include "frozen_pairs.inl"
#include "frozen.inl"

size_t workspace_bytes(Pass pass, const Geometry& geometry, int threads) {
  return pass == Pass::forward ? forward_workspace(geometry, threads)
                               : widened().workspace_bytes(pass, geometry, threads);
}

void backward_input(const BackwardInputOf<bf16>& call, void* workspace, const Pool& pool) {
  widened().backward_input(call, workspace, pool);
}

void backward_weight(const BackwardWeightOf<bf16>& call, void* workspace, const Pool& pool) {
  widened().backward_weight(call, workspace, pool);
}

Isa isa({NAME, {}, {NAME, workspace_bytes, forward, backward_input, backward_weight}}, RANK, supported, "avx512");

const KernelsOf<bf16>& widened() { return isa.base->bfloat16; }

// A machine with AMX has these instructions too, and one image is too little for its tiles.
FrozenKernelsOf<bf16> frozen_here(NAME, FROZEN_LAYOUT, frozen_elements, frozen_workspace<bf16>, frozen_run<bf16>);
FrozenKernelsOf<bf16> frozen_for_amx("amx", FROZEN_LAYOUT, frozen_elements, frozen_workspace<bf16>, frozen_run<bf16>);

}  // namespace
}  // namespace cnnzoo

#pragma GCC pop_options
#endif
