// The tables of tiles, one entry a line, and the choice among them: fewest blocks, then least input to stage.

#include "plan.h"

#include <algorithm>

namespace cnnzoo::cuda {
namespace {

struct Size {
  int32_t h, w;
};

constexpr Size DIRECT_TILES[] = {
    {2, 8},   // 16 windows: all of a block with 2 windows a thread
    {4, 4},   //
    {1, 16},  //
    {1, 8},   // 8 windows: all of a block with 1 window a thread
    {2, 4},   //
    {8, 2},   // narrow images
    {4, 2},   //
    {1, 4},   // long filters, whose input fills the shared memory
    {1, 2},   //
    {1, 1},   //
};

constexpr Size MMA_TILES[] = {
    {4, 8},   // 32 windows: all of a block
    {8, 4},   //
    {2, 16},  //
    {1, 32},  //
    {16, 2},  // narrow images
    {2, 8},   // large filters or strides
    {4, 4},   //
    {1, 8},   //
    {2, 4},   //
    {1, 4},   //
    {1, 1},   //
};

constexpr Size WEIGHT_TILES[] = {
    {4, 8},  // windows of one step
    {8, 4},  //
    {2, 8},  //
    {4, 4},  //
    {2, 4},  //
    {1, 4},  //
    {1, 2},  //
    {1, 1},  //
};

constexpr Size PIXEL_TILES[] = {
    {4, 8},  // 32 pixels: all of a block
    {2, 8},  //
    {2, 4},  //
    {1, 2},  //
    {1, 1},  //
};

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The windows of an entry, no more than there are, and the input below them.
WindowTile lay(const Shape& s, Size size) {
  WindowTile t = {};
  t.windows_h = std::min(size.h, s.P), t.windows_w = std::min(size.w, s.Q);
  t.tiles_p = int32_t(ceil_div(s.P, t.windows_h)), t.tiles_q = int32_t(ceil_div(s.Q, t.windows_w));
  const int64_t conv_h = int64_t(t.windows_h - 1) * s.pool_stride_h + s.pool_h - 1;
  const int64_t conv_w = int64_t(t.windows_w - 1) * s.pool_stride_w + s.pool_w - 1;
  // Beyond any shared memory the number no longer matters, only that it does not wrap.
  t.rows = int32_t(std::min<int64_t>(conv_h * s.stride_h + s.R, SHARED_BYTES));
  t.columns = int32_t(std::min<int64_t>(conv_w * s.stride_w + s.S, SHARED_BYTES));
  return t;
}

// The best of a table: `fill` completes a tile and returns its bytes of shared memory, or 0.
template <class Table, class Fill>
WindowPlan best(const Shape& s, const Table& table, int64_t most_windows, const Fill& fill) {
  WindowPlan chosen = {};
  int64_t least_blocks = 0, least_input = 0;
  for (const Size size : table) {
    WindowTile t = lay(s, size);
    if (int64_t(t.windows_h) * t.windows_w > most_windows) continue;
    const int64_t bytes = fill(t);
    if (bytes == 0 || bytes > SHARED_BYTES) continue;
    const int64_t blocks = int64_t(t.tiles_p) * t.tiles_q, input = blocks * t.rows * t.columns;
    if (chosen.shared && (blocks > least_blocks || (blocks == least_blocks && input >= least_input))) continue;
    chosen.tile = t, chosen.shared = size_t(bytes), least_blocks = blocks, least_input = input;
  }
  return chosen;
}

}  // namespace

WindowPlan plan_direct(const Shape& s) {
  const int64_t taps = int64_t(s.R) * s.S, positions = int64_t(s.pool_h) * s.pool_w;
  const int accumulators = positions > 4 && positions <= 9 ? 9 : 4;
  const int64_t windows = accumulators == 4 ? 16 : 8;
  WindowPlan plan = best(s, DIRECT_TILES, windows, [&](WindowTile& t) -> int64_t {
    const int64_t x = 4 * int64_t(t.rows) * t.columns, w = 4 * WEIGHT_PITCH;
    for (t.channels = std::min(s.C, 8), t.taps = int32_t(taps); t.channels > 1; t.channels /= 2)
      if (t.channels * (x + w * taps) <= SHARED_BYTES) break;
    if (x + w > SHARED_BYTES) return 0;
    t.taps = int32_t(std::min(taps, (SHARED_BYTES / t.channels - x) / w));
    return t.channels * (x + w * t.taps);
  });
  plan.accumulators = accumulators;
  return plan;
}

WindowPlan plan_mma(const Shape& s, int bytes) {
  const int64_t taps = int64_t(s.R) * s.S, positions = int64_t(s.pool_h) * s.pool_w;
  const int64_t pixel = bytes == 4 ? 80 : 48;  // 16 channels and the gap
  WindowPlan plan = best(s, MMA_TILES, 32, [&](WindowTile& t) -> int64_t {
    const int64_t x = pixel * t.rows * t.columns, w = pixel * 32;
    if (x + w > SHARED_BYTES) return 0;
    t.channels = 16;
    t.taps = int32_t(std::min(taps, (SHARED_BYTES - x) / w));
    return x + w * t.taps;
  });
  plan.accumulators = positions > 4 && positions <= 10 ? 10 : 4;
  return plan;
}

WeightPlan plan_backward_weight(const Shape& s) {
  constexpr int64_t TAPS = 9, WARPS = 8;
  constexpr int64_t BLOCKS = 512;         // worth having: several for each multiprocessor of a large GPU
  constexpr int64_t PARTIALS = 16 << 20;  // at most, where there are two shares or more: 64 MiB
  WeightPlan plan = {};
  const int64_t weights = int64_t(s.K) * s.C * s.R * s.S;
  plan.groups = int32_t(ceil_div(int64_t(s.R) * s.S, TAPS));
  // Eight units in a row begin in one channel and end, at worst, in this many.
  const int64_t channels = std::min<int64_t>(s.C, (WARPS - 2) / plan.groups + 2);
  const WindowPlan windows = best(s, WEIGHT_TILES, 32, [&](WindowTile& t) -> int64_t {
    t.channels = int32_t(channels), t.taps = TAPS;
    return 4 * channels * t.rows * t.columns + 8 * int64_t(LANES) * t.windows_h * t.windows_w;
  });
  plan.tile = windows.tile, plan.shared = windows.shared;
  if (!plan.shared) return plan;
  const int64_t tiles = std::max<int64_t>(1, int64_t(s.N) * plan.tile.tiles_p * plan.tile.tiles_q);
  const int64_t blocks = ceil_div(int64_t(s.C) * plan.groups, WARPS) * ceil_div(s.K, LANES);
  plan.splits = int32_t(std::max<int64_t>(1, std::min({tiles, ceil_div(BLOCKS, blocks), PARTIALS / weights})));
  plan.workspace = size_t(plan.splits) * size_t(weights + s.K) * sizeof(float);
  return plan;
}

PixelPlan plan_backward_input(const Shape& s) {
  const int64_t taps = int64_t(s.R) * s.S;
  const auto windows = [](int64_t pixels, int64_t filter, int64_t stride, int64_t pool, int64_t pool_stride,
                          int64_t pooled) {
    return std::min(pooled, ((pixels + filter - 2) / stride + pool - 1) / pool_stride + 1);
  };
  for (const Size size : PIXEL_TILES) {
    PixelTile t = {};
    t.pixels_h = std::min(size.h, s.H), t.pixels_w = std::min(size.w, s.W);
    t.tiles_h = int32_t(ceil_div(s.H, t.pixels_h)), t.tiles_w = int32_t(ceil_div(s.W, t.pixels_w));
    t.windows_h = int32_t(windows(t.pixels_h, s.R, s.stride_h, s.pool_h, s.pool_stride_h, s.P));
    t.windows_w = int32_t(windows(t.pixels_w, s.S, s.stride_w, s.pool_w, s.pool_stride_w, s.Q));
    const int64_t cells = 12 * int64_t(t.windows_h) * t.windows_w, w = 4 * WEIGHT_PITCH;
    for (t.filters = std::min(s.K, 8); t.filters > 1; t.filters /= 2)
      if (t.filters * (cells + w * taps) <= SHARED_BYTES) break;
    if (cells + w > SHARED_BYTES) continue;
    t.taps = int32_t(std::min(taps, (SHARED_BYTES / t.filters - cells) / w));
    return {t, size_t(t.filters * (cells + w * t.taps))};
  }
  return {};
}

}  // namespace cnnzoo::cuda
