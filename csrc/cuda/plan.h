// How a pass is cut into blocks: the tables of tiles, and the shared memory they need. Plain C++ on the host.
//
// Blocks take at most 48 KiB, which every architecture gives without being asked. A plan depends on sizes alone, never
// on the device, so that the same call gives the same bits on every GPU of one kind of arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shape.h"

namespace cnnzoo::cuda {

constexpr int64_t SHARED_BYTES = 48 << 10;

// shared == 0: no tile fits.
struct WindowPlan {
  WindowTile tile;
  size_t shared;
  int accumulators;  // positions of a pool window at a time
};

struct PixelPlan {
  PixelTile tile;
  size_t shared;
};

struct WeightPlan {
  WindowTile tile;
  size_t shared;
  int32_t splits, groups;
  size_t workspace;  // bytes of partial sums
};

WindowPlan plan_direct(const Shape& shape);
WindowPlan plan_mma(const Shape& shape, int bytes);  // bytes of a value: 2, or 4 for TF32
WeightPlan plan_backward_weight(const Shape& shape);
PixelPlan plan_backward_input(const Shape& shape);

}  // namespace cnnzoo::cuda
