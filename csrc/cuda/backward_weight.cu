// The gradients of weight and bias: shares of the sums, then their sum.

#include "backward_weight.cuh"

#include "border.h"
#include "launch.cuh"
#include "plan.h"

namespace cnnzoo::cuda {
namespace {

template <class T>
cudaError_t run(const BackwardWeightCall& call, cudaStream_t stream) {
  const Shape s = shape_of(call.geometry);
  const WeightPlan plan = plan_backward_weight(s);
  float* const partial = static_cast<float*>(call.workspace);
  const BackwardWeight<T> f = {s, plan.tile, static_cast<const T*>(call.x.data), strides_of(call.x),
                               static_cast<const T*>(call.grad_y.data), strides_of(call.grad_y), call.place, partial,
                               plan.splits, plan.groups};
  const int64_t units = int64_t(s.C) * plan.groups, weights = int64_t(s.K) * s.C * s.R * s.S;
  const dim3 grid(unsigned(ceil_div(units, WEIGHT_WARPS)), unsigned(ceil_div(s.K, LANES)), unsigned(plan.splits));
  const cudaError_t error = launch(backward_weight_partial<T>, grid, WEIGHT_THREADS, plan.shared, stream, f);
  if (error != cudaSuccess) return error;
  const BackwardWeightReduce<T> r = {partial, static_cast<T*>(call.grad_weight), static_cast<T*>(call.grad_bias),
                                     weights, s.K, plan.splits};
  const dim3 sums(unsigned(ceil_div(weights + s.K, WEIGHT_THREADS)));
  return launch(backward_weight_reduce<T>, sums, WEIGHT_THREADS, 0, stream, r);
}

}  // namespace

size_t backward_weight_workspace(const Geometry& g) { return plan_backward_weight(shape_of(g)).workspace; }

cudaError_t backward_weight(const BackwardWeightCall& call, cudaStream_t stream) {
  if (call.type == Type::float32) return run<float>(call, stream);
  if (call.type == Type::bfloat16) return run<__nv_bfloat16>(call, stream);
  return run<__half>(call, stream);
}

}  // namespace cnnzoo::cuda
