// Gradients of weight and bias: sums over what won, so a 2x2 pool costs a quarter of a dense convolution.
//
// Lanes are filters. A warp owns one channel and a group of TAPS taps of 32 filters; it goes over the windows of a tile,
// and the place of a filter's maximum changes an address in shared memory, not a branch. Lanes that agree on the place
// read the same word. Each block adds up a share of the windows of all images; a second kernel adds the shares, always
// in the same order, so the bits never depend on timing.
//
//   partial  grid (ceil(C * groups / 8), ceil(K / 32), splits)   block 256: 8 warps of one channel and group each
//            shared xs float [channels][rows][columns], gs float [windows][32], at int32 [windows][32]
//   reduce   grid (ceil((K * C * R * S + K) / 256))              block 256
#pragma once

#include "window.cuh"

namespace cnnzoo::cuda {

constexpr int WEIGHT_THREADS = 256;
constexpr int WEIGHT_WARPS = WEIGHT_THREADS / LANES;
constexpr int WEIGHT_TAPS = 9;  // of a thread

template <class T>
__global__ void __launch_bounds__(WEIGHT_THREADS, 2) backward_weight_partial(const BackwardWeight<T> f) {
  CNNZOO_SHARED(shared);
  constexpr int TAPS = WEIGHT_TAPS;
  const Shape& s = f.shape;
  const WindowTile& t = f.tile;
  const int taps = s.R * s.S, pixels = t.rows * t.columns, windows = t.windows_h * t.windows_w;
  float* const xs = reinterpret_cast<float*>(shared);
  float* const gs = xs + t.channels * pixels;
  int* const at = reinterpret_cast<int*>(gs + windows * LANES);  // of the winning patch in xs; -1 where none won
  const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
  const int k0 = blockIdx.y * LANES, k = k0 + lane;

  const int64_t first = int64_t(blockIdx.x) * WEIGHT_WARPS, units = int64_t(s.C) * f.groups;
  const int64_t unit = min(first + warp, units - 1);
  const bool works = first + warp < units;
  const int c0 = int(first / f.groups), c = int(unit / f.groups), tap0 = int(unit % f.groups) * TAPS;
  const float* const xc = xs + (c - c0) * pixels;
  int offset[TAPS];
  float acc[TAPS], acc_bias = 0.0f;
#pragma unroll
  for (int j = 0; j < TAPS; ++j) {
    const int tap = min(tap0 + j, taps - 1);
    offset[j] = tap / s.S * t.columns + tap % s.S;
    acc[j] = 0.0f;
  }

  const int64_t tiles = int64_t(s.N) * t.tiles_p * t.tiles_q;
  const int64_t begin = tiles * blockIdx.z / f.splits, end = tiles * (blockIdx.z + 1) / f.splits;
  for (int64_t tile = begin; tile < end; ++tile) {
    const Corner corner(s, t, tile);
    __syncthreads();  // everyone is done with the tile before
    for (int i = threadIdx.x; i < t.channels * pixels; i += WEIGHT_THREADS) {
      const int column = i % t.columns, row = i / t.columns % t.rows, channel = c0 + i / pixels;
      xs[i] = to_float(padded(s, f.x, f.x_strides, corner.n, channel, corner.h + row, corner.w + column));
    }
    for (int i = threadIdx.x; i < windows * LANES; i += WEIGHT_THREADS) {
      const int filter = k0 + i % LANES, row = i / LANES / t.windows_w, column = i / LANES % t.windows_w;
      const int p = corner.p + row, q = corner.q + column;
      int place = DEAD;
      if (filter < s.K && p < s.P && q < s.Q)
        place = f.place[((int64_t(corner.n) * s.P + p) * s.Q + q) * s.K + filter];
      float gradient = 0.0f;
      int patch = -1;
      if (place < s.pool_h * s.pool_w) {  // which also keeps the places of a stranger inside of xs
        const Strides& g = f.grad_y_strides;
        gradient = to_float(f.grad_y[corner.n * g.n + filter * g.c + p * g.h + q * g.w]);
        patch = (row * s.pool_stride_h + place / s.pool_w) * s.stride_h * t.columns +
                (column * s.pool_stride_w + place % s.pool_w) * s.stride_w;
      }
      gs[i] = gradient;
      at[i] = patch;
    }
    __syncthreads();
    for (int i = lane; i < windows * LANES; i += LANES) {
      const int patch = at[i];
      if (patch < 0) continue;  // and not a product with 0, which would turn an infinite x into NaN
      const float gradient = gs[i];
      acc_bias += gradient;
#pragma unroll
      for (int j = 0; j < TAPS; ++j) acc[j] = fmaf(gradient, xc[patch + offset[j]], acc[j]);
    }
  }

  if (k >= s.K || !works) return;
  const int64_t weights = int64_t(s.K) * s.C * taps;
  float* const out = f.partial + blockIdx.z * weights + (int64_t(k) * s.C + c) * taps + tap0;
#pragma unroll
  for (int j = 0; j < TAPS; ++j)
    if (tap0 + j < taps) out[j] = acc[j];
  if (unit == 0) f.partial[f.splits * weights + int64_t(blockIdx.z) * s.K + k] = acc_bias;
}

template <class T>
__global__ void __launch_bounds__(WEIGHT_THREADS) backward_weight_reduce(const BackwardWeightReduce<T> f) {
  const int64_t i = int64_t(blockIdx.x) * WEIGHT_THREADS + threadIdx.x;
  if (i >= f.weights + f.K) return;
  const bool bias = i >= f.weights;
  const float* const partial = bias ? f.partial + f.splits * f.weights + (i - f.weights) : f.partial + i;
  const int64_t step = bias ? f.K : f.weights;
  float sum = 0.0f;
  for (int split = 0; split < f.splits; ++split) sum += partial[split * step];
  if (bias)
    f.grad_bias[i - f.weights] = from_float<T>(sum);
  else
    f.grad_weight[i] = from_float<T>(sum);
}

}  // namespace cnnzoo::cuda
