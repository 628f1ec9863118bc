// What the CUDA kernels leave to the reference, and the sentence that says why.

#include <algorithm>

#include "api.h"
#include "border.h"
#include "plan.h"

namespace cnnzoo::cuda {

const char* covers(const Geometry& g) {
  constexpr int64_t SIZE = 1 << 24;        // of one dimension; their products are taken in 64 bits
  constexpr int64_t GRID = (1LL << 31) - 1;  // blocks along x, and 65535 along y
  if (g.N < 0 || g.C < 1 || g.K < 1) return "CUDA kernels expect at least one input channel and one filter";
  if (g.R < 1 || g.S < 1 || g.stride_h < 1 || g.stride_w < 1 || g.padding_h < 0 || g.padding_w < 0)
    return "CUDA kernels expect a kernel size and stride of at least 1, and padding that is not negative";
  if (g.pool_h < 1 || g.pool_w < 1 || g.pool_stride_h < 1 || g.pool_stride_w < 1)
    return "CUDA kernels expect a pool size and pool stride of at least 1";
  if (g.pool_h >= DEAD || g.pool_w >= DEAD || g.pool_h * g.pool_w >= DEAD)
    return "CUDA kernels keep a maximum's place in one byte, which ends at pools of 254 positions";
  if (g.pool_padding_h < 0 || g.pool_padding_w < 0 || 2 * g.pool_padding_h > g.pool_h ||
      2 * g.pool_padding_w > g.pool_w)
    return "CUDA kernels expect pool padding between 0 and half the pool size";
  if (std::max({g.stride_h, g.stride_w, g.pool_stride_h, g.pool_stride_w}) > 1 << 12)
    return "CUDA kernels take strides of at most 4096";
  if (g.H < 1 || g.W < 1 || std::max({g.N, g.C, g.H + 2 * g.padding_h, g.W + 2 * g.padding_w, g.R, g.S}) > SIZE)
    return "CUDA kernels take sizes between 1 and 2^24";
  if (g.K > 32 * 65535 || g.C > 32 * 65535) return "CUDA kernels take at most 2^21 channels and filters";
  if (g.H + 2 * g.padding_h < g.R || g.W + 2 * g.padding_w < g.S)
    return "CUDA kernels expect a kernel that fits into the padded input";
  if (g.conv_h() + 2 * g.pool_padding_h < g.pool_h || g.conv_w() + 2 * g.pool_padding_w < g.pool_w)
    return "CUDA kernels expect a pool window that fits into the padded output of the convolution";
  const Shape shape = shape_of(g);
  const WindowTile direct = plan_direct(shape).tile;
  const PixelPlan input = plan_backward_input(shape);
  if (!plan_direct(shape).shared || !plan_backward_weight(shape).shared || !input.shared)
    return "CUDA kernels keep the input under a pool window in 48 KiB of shared memory, and this one is larger";
  if (double(g.N) * direct.tiles_p * direct.tiles_q > GRID || double(g.N) * input.tile.tiles_h * input.tile.tiles_w > GRID)
    return "CUDA kernels take at most 2^31 tiles of windows or pixels";
  if (double(g.K) * double(g.C) * double(g.R) * double(g.S) > double(GRID))
    return "CUDA kernels take at most 2^31 weights";
  return nullptr;
}

}  // namespace cnnzoo::cuda
