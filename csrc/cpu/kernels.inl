// The algorithm, written once over the vector type of the file that includes this one: Vec, Mask and Labels (LANES
// each), ACCUMULATORS, NAME, RANK, supported() and the functions in isa_scalar.cpp. It lands in an unnamed namespace
// under that file's target options, so nothing in here may come from the standard library's templates: a weak symbol
// with these instructions could be linked in for everyone.

#include "basics.inl"
#include "pooling_axis.inl"
#include "source.inl"

#include "convolve.inl"

#include "forward_plan.inl"
#include "forward_rows.inl"
#include "forward_windows.inl"

#include "forward.inl"

#include "segments.inl"

#include "backward_weight_plan.inl"
#include "backward_weight_list.inl"
#include "backward_weight_lookup.inl"

#include "backward_weight.inl"

#include "backward_input_plan.inl"
#include "backward_input_windows.inl"

#include "backward_input.inl"

#include "frozen.inl"

size_t workspace_bytes(Pass pass, const Geometry& geometry, int threads) {
  switch (pass) {
    case Pass::forward: return forward_workspace(geometry, threads);
    case Pass::backward_input: return InputGradientPlan(geometry, threads).bytes;
    default: return WeightGradientPlan(geometry, threads).bytes;
  }
}

Isa isa({NAME, workspace_bytes, forward, backward_input, backward_weight}, RANK, supported);
