// The forward pass: which kernel, which instance, which tile.

#include "border.h"
#include "forward_direct.cuh"
#include "forward_mma.cuh"
#include "launch.cuh"
#include "plan.h"

namespace cnnzoo::cuda {
namespace {

constexpr int64_t MMA_LEAST_CHANNELS = 16;  // below, most of a matrix product would be zeros

// Tensor cores for this type: half from compute capability 7.5, bfloat16 and TF32 from 8.0.
bool has_mma(Type type, Device device) {
  if (type == Type::float32) return device.allow_tf32 && device.capability >= 80;
  return device.capability >= (type == Type::float16 ? 75 : 80);
}

WindowPlan mma_plan(const Geometry& g, Type type, Device device) {
  if (g.C < MMA_LEAST_CHANNELS || !has_mma(type, device)) return {};
  return plan_mma(shape_of(g), type == Type::float32 ? 4 : 2);
}

template <class T>
cudaError_t run(const ForwardCall& call, cudaStream_t stream) {
  const Shape s = shape_of(call.geometry);
  const WindowPlan mma = mma_plan(call.geometry, call.type, call.device), plan = mma.shared ? mma : plan_direct(s);
  const Forward<T> f = {s, plan.tile, static_cast<const T*>(call.x.data), strides_of(call.x),
                        static_cast<const T*>(call.weight), static_cast<const T*>(call.bias),
                        static_cast<T*>(call.y), call.place};
  const dim3 grid(unsigned(int64_t(s.N) * f.tile.tiles_p * f.tile.tiles_q), unsigned(ceil_div(s.K, LANES)));
  const bool fixed = s.R == 3 && s.S == 3 && s.stride_h == 1 && s.stride_w == 1 && s.pool_h == 2 && s.pool_w == 2;
  if (mma.shared) {
    const auto kernel = plan.accumulators == 10 ? forward_mma<T, 5> : forward_mma<T, 2>;
    return launch(kernel, grid, MMA_THREADS, plan.shared, stream, f);
  }
  const auto kernel = plan.accumulators == 9                    ? forward_direct<T, 9, false>
                      : fixed && f.tile.taps == s.R * s.S ? forward_direct<T, 4, true>
                                                                : forward_direct<T, 4, false>;
  return launch(kernel, grid, DIRECT_THREADS, plan.shared, stream, f);
}

}  // namespace

const char* forward_kernel(const Geometry& g, Type type, Device device) {
  return mma_plan(g, type, device).shared ? "forward_mma" : "forward_direct";
}

cudaError_t forward(const ForwardCall& call, cudaStream_t stream) {
  if (call.type == Type::float32) return run<float>(call, stream);
  if (call.type == Type::bfloat16) return run<__nv_bfloat16>(call, stream);
  return run<__half>(call, stream);
}

}  // namespace cnnzoo::cuda
