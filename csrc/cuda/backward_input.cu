// The gradient of the input.

#include "backward_input.cuh"

#include "border.h"
#include "launch.cuh"
#include "plan.h"

namespace cnnzoo::cuda {
namespace {

template <class T>
cudaError_t run(const BackwardInputCall& call, cudaStream_t stream) {
  const Shape s = shape_of(call.geometry);
  const PixelPlan plan = plan_backward_input(s);
  const BackwardInput<T> f = {s, plan.tile, static_cast<const T*>(call.grad_y.data), strides_of(call.grad_y),
                              static_cast<const T*>(call.weight), call.place, static_cast<T*>(call.grad_x)};
  const dim3 grid(unsigned(int64_t(s.N) * plan.tile.tiles_h * plan.tile.tiles_w), unsigned(ceil_div(s.C, LANES)));
  return launch(backward_input<T>, grid, INPUT_THREADS, plan.shared, stream, f);
}

}  // namespace

cudaError_t backward_input(const BackwardInputCall& call, cudaStream_t stream) {
  if (call.type == Type::float32) return run<float>(call, stream);
  if (call.type == Type::bfloat16) return run<__nv_bfloat16>(call, stream);
  return run<__half>(call, stream);
}

}  // namespace cnnzoo::cuda
