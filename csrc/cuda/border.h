// From the border's structs to those of the kernels.
#pragma once

#include "../conv_relu_maxpool.h"
#include "api.h"
#include "shape.h"

namespace cnnzoo::cuda {

static_assert(DEAD == cnnzoo::DEAD, "one byte means the same on every device");
static_assert(sizeof(Shape) == 84 && sizeof(WindowTile) == 32 && sizeof(PixelTile) == 32, "as in KERNELS.md");
static_assert(sizeof(Forward<float>) == 192 && sizeof(BackwardWeight<float>) == 224, "as in KERNELS.md");
static_assert(sizeof(BackwardWeightReduce<float>) == 40 && sizeof(BackwardInput<float>) == 184, "as in KERNELS.md");

inline Shape shape_of(const Geometry& g) {
  const auto i = [](int64_t a) { return int32_t(a); };
  return {i(g.N),          i(g.C),          i(g.H),         i(g.W),      i(g.K),      i(g.R),
          i(g.S),          i(g.stride_h),   i(g.stride_w),  i(g.padding_h), i(g.padding_w), i(g.pool_h),
          i(g.pool_w),     i(g.pool_stride_h), i(g.pool_stride_w), i(g.pool_padding_h), i(g.pool_padding_w),
          i(g.conv_h()),   i(g.conv_w()),   i(g.P()),       i(g.Q())};
}

inline Strides strides_of(const Tensor4& tensor) {
  const int64_t* s = tensor.stride;
  return {s[0], s[1], s[2], s[3]};
}

}  // namespace cnnzoo::cuda
