// The algorithm, written once over the vector type of the file that includes this one: Vec, Mask and Labels (LANES
// each), ACCUMULATORS, NAME, RANK, supported() and the functions in isa_scalar.cpp. It lands in an unnamed namespace
// under that file's target options, so nothing in here may come from the standard library's templates: a weak symbol
// with these instructions could be linked in for everyone.

#include "basics.inl"
#include "bfloat16.inl"
#include "transpose.inl"
#include "pooling_axis.inl"
#include "source.inl"

constexpr int TERMS = 1;
inline Vec multiply_add(Vec a, Vec b, Vec c) { return fma(a, b, c); }
#include "convolve.inl"

#include "forward_plan.inl"
#include "forward_rows.inl"
#include "pool_window.inl"
template <int M>
inline void pool_numbers(const Vec (&four)[4][M], bf16* y, uint8_t* place, int64_t filters) {
  pool_rounded(four, y, place, filters);
}
#include "forward_windows.inl"

#include "forward.inl"
#include "forward_single.inl"

#include "segments.inl"

#include "backward_weight_plan.inl"
#include "backward_weight_list.inl"
#include "backward_weight_lookup.inl"

#include "backward_weight.inl"

#include "backward_input_plan.inl"
#include "backward_input_windows.inl"

#include "backward_input.inl"

#include "frozen_single.inl"
#include "frozen.inl"
FrozenKernelsOf<float> frozen_here(NAME, FROZEN_LAYOUT, frozen_elements, frozen_workspace<float>, frozen_run<float>);

#include "linear_tile.inl"
#include "head_forward.inl"
#include "head_backward.inl"

template <class T>
size_t workspace_bytes(Pass pass, const Geometry& geometry, int threads) {
  constexpr bool narrow = sizeof(T) < sizeof(float);
  switch (pass) {
    case Pass::forward: return forward_workspace(geometry, threads, narrow);
    case Pass::backward_input: return InputGradientPlan(geometry, threads, narrow).bytes;
    default: return WeightGradientPlan(geometry, threads, narrow).bytes;
  }
}

template <class T>
constexpr KernelsOf<T> kernels() {
  return {NAME, workspace_bytes<T>, forward<T>, backward_input<T>, backward_weight<T>};
}

Isa isa({NAME, kernels<float>(), kernels<bf16>()}, RANK, supported);
