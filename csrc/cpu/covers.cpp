// What the kernels leave to the reference, and the sentence that says why.

#include <algorithm>

#include "../conv_relu_maxpool.h"

namespace cnnzoo {

const char* covers(const Geometry& g) {
  // Offsets into the input under a block of windows are 32 bits wide, and pixels may be widened to four channels.
  constexpr double LIMIT = 1 << 28;
  constexpr int64_t MOST_STRIDE = 1 << 15;
  if (g.N < 0 || g.C < 1 || g.K < 1) return "native kernels expect at least one input channel and one filter";
  if (g.R < 1 || g.S < 1 || g.stride_h < 1 || g.stride_w < 1 || g.padding_h < 0 || g.padding_w < 0)
    return "native kernels expect a kernel size and stride of at least 1, and padding that is not negative";
  if (g.pool_h < 1 || g.pool_w < 1 || g.pool_stride_h < 1 || g.pool_stride_w < 1)
    return "native kernels expect a pool size and pool stride of at least 1";
  if (g.pool_h >= DEAD || g.pool_w >= DEAD || g.pool_h * g.pool_w >= DEAD)
    return "native kernels keep a maximum's place in one byte, which ends at pools of 254 positions";
  if (g.pool_padding_h < 0 || g.pool_padding_w < 0 || 2 * g.pool_padding_h > g.pool_h ||
      2 * g.pool_padding_w > g.pool_w)
    return "native kernels expect pool padding between 0 and half the pool size";
  if (std::max(g.stride_h, g.stride_w) > MOST_STRIDE || std::max(g.pool_stride_h, g.pool_stride_w) > MOST_STRIDE)
    return "native kernels take strides of at most 32768";
  const double h = double(g.H) + 2 * double(g.padding_h), w = double(g.W) + 2 * double(g.padding_w);
  if (g.H < 1 || g.W < 1 || h * w * double(g.C) > LIMIT || double(g.R) * double(g.S) * double(g.C) > LIMIT)
    return "native kernels take padded images and filters of at most 2^28 values";
  if (double(g.K) * double(g.R) * double(g.S) * double(g.C) > 16 * LIMIT || h * w * double(g.K) > 64 * LIMIT)
    return "native kernels take at most 2^32 weights, and at most 2^34 outputs of the convolution an image";
  if (double(g.H) + 2 * double(g.padding_h) < double(g.R) || g.W + 2 * g.padding_w < g.S)
    return "native kernels expect a kernel that fits into the padded input";
  if (g.conv_h() + 2 * g.pool_padding_h < g.pool_h || g.conv_w() + 2 * g.pool_padding_w < g.pool_w)
    return "native kernels expect a pool window that fits into the padded output of the convolution";
  return nullptr;
}

}  // namespace cnnzoo
