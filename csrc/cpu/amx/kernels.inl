// The operator in bfloat16 on tiles of AMX, over whatever `Tiles` the including file has. `widened()`, which that file
// defines too, are the bfloat16 kernels that take inf and NaN. It lands in an unnamed namespace under that file's
// target options; see ../kernels.inl.
//
// Everything here is a product of tiles: 16 rows of 32 values of A, by 16 pairs of rows of 16 columns of B, summed in
// float32. A pass lays its operands out so that tiles are read where they lie.
//
//   forward  A: 16 positions x 32 values under the filter (channels, or taps and channels)    B: those x 16 filters
//   dX       A: 16 pixels x 32 values of the expanded gradient                               B: those x 16 channels
//   dW       A: 16 channels (or taps and channels) x 32 pixels                               B: those x 16 filters
//
// Read in this order; every file opens with its idea.

const KernelsOf<bf16>& widened();

#include "../basics.inl"
#include "../bfloat16.inl"
#include "../pooling_axis.inl"
#include "../transpose.inl"

#include "buffers.inl"
#include "finite.inl"

#include "gather.inl"
#include "correlate.inl"

#include "pool.inl"
#include "forward_plan.inl"

#include "forward.inl"

#include "expand.inl"
#include "backward_input_plan.inl"

#include "backward_input.inl"

#include "backward_weight_plan.inl"
#include "channels.inl"
#include "pairs.inl"

#include "backward_weight.inl"

size_t workspace_bytes(Pass pass, const Geometry& g, int threads) {
  const size_t fallback = widened().workspace_bytes(pass, g, threads);
  size_t bytes;
  switch (pass) {
    case Pass::forward: bytes = ForwardPlan(g, threads).bytes; break;
    case Pass::backward_input: bytes = InputGradientPlan(g, threads).bytes; break;
    default: bytes = WeightGradientPlan(g, threads).bytes;
  }
  return bytes > fallback ? bytes : fallback;
}
