// The border of csrc/cuda as plain functions of numbers and addresses, for ctypes.

#include "api.h"

using namespace cnnzoo;
using namespace cnnzoo::cuda;

namespace {

Geometry geometry_of(const int64_t* g) {
  return {g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15], g[16]};
}

Tensor4 tensor_of(const void* data, const int64_t* s) { return {data, {s[0], s[1], s[2], s[3]}}; }

}  // namespace

// g: N C H W K R S, then stride, padding, pool, pool stride, pool padding, each for h and w. type: 0 float32, 1 bfloat16,
// 2 float16. Strides in elements: N, C or K, H, W.
extern "C" {

const char* run_covers(const int64_t* g) { return cnnzoo::cuda::covers(geometry_of(g)); }

const char* run_forward_kernel(const int64_t* g, int type, int capability, int tf32) {
  return forward_kernel(geometry_of(g), Type(type), {capability, tf32 != 0});
}

int run_forward(const int64_t* g, int type, int capability, int tf32, const void* x, const int64_t* x_strides,
                const void* weight, const void* bias, void* y, uint8_t* place) {
  return forward({geometry_of(g), Type(type), {capability, tf32 != 0}, tensor_of(x, x_strides), weight, bias, y, place}, nullptr);
}

int run_backward_input(const int64_t* g, int type, const void* grad_y, const int64_t* strides, const void* weight,
                       const uint8_t* place, void* grad_x) {
  return backward_input({geometry_of(g), Type(type), tensor_of(grad_y, strides), weight, place, grad_x}, nullptr);
}

size_t run_backward_weight_workspace(const int64_t* g) { return backward_weight_workspace(geometry_of(g)); }

int run_backward_weight(const int64_t* g, int type, const void* x, const int64_t* x_strides, const void* grad_y,
                        const int64_t* strides, const uint8_t* place, void* grad_weight, void* grad_bias, void* workspace) {
  return backward_weight({geometry_of(g), Type(type), tensor_of(x, x_strides), tensor_of(grad_y, strides), place, grad_weight,
                          grad_bias, workspace}, nullptr);
}
}
