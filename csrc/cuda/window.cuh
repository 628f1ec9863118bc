// What the kernels that walk over pool windows share: where a block stands, how its input reaches shared memory, and
// the maximum that is ReLU and place as well.
#pragma once

#include "platform.cuh"
#include "shape.h"

namespace cnnzoo::cuda {

// The tile of windows that a number stands for: image n, first window (p, q), and the input row and column under its
// corner, which may lie outside of the image.
struct Corner {
  int n, p, q, h, w;

  __device__ Corner(const Shape& s, const WindowTile& t, int64_t tile) {
    q = int(tile % t.tiles_q) * t.windows_w;
    tile /= t.tiles_q;
    p = int(tile % t.tiles_p) * t.windows_h;
    n = int(tile / t.tiles_p);
    h = (p * s.pool_stride_h - s.pool_padding_h) * s.stride_h - s.padding_h;
    w = (q * s.pool_stride_w - s.pool_padding_w) * s.stride_w - s.padding_w;
  }
};

// One value of x, and zero in its padding.
template <class T>
__device__ __forceinline__ T padded(const Shape& s, const T* x, const Strides& strides, int n, int c, int h, int w) {
  const bool inside = c < s.C && h >= 0 && h < s.H && w >= 0 && w < s.W;
  return inside ? x[n * strides.n + c * strides.c + h * strides.h + w * strides.w] : from_float<T>(0.0f);
}

// The maximum of a window, taken position by position in row-major order. It begins as ReLU leaves it: 0, and DEAD.
// A tie stays with the first; a NaN beats everything, and the last NaN wins.
struct Maximum {
  float value = 0.0f;
  int place = DEAD;

  __device__ __forceinline__ void take(float a, int at) {
    if (a > value || a != a) value = a, place = at;
  }
};

// Whether position a of the window in row p, column q lies in the convolution's output, and not in the pool's padding.
__device__ __forceinline__ bool in_conv(const Shape& s, int p, int q, int a, int pool_w) {
  const int i = p * s.pool_stride_h - s.pool_padding_h + a / pool_w;
  const int j = q * s.pool_stride_w - s.pool_padding_w + a % pool_w;
  return i >= 0 && i < s.conv_h && j >= 0 && j < s.conv_w;
}

}  // namespace cnnzoo::cuda
