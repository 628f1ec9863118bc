// Gradient of the input, gathered: each pixel looks up the windows that reach it, so nothing is added by two threads.
//
// Lanes are channels. A warp owns PIXELS pixels; for each it goes over the windows around it and over the filters, asks
// where the maximum was, and takes the weight that lies between that place and the pixel, if one does. The answer is the
// same for all lanes, so no warp splits.
//
//   grid    (N * tiles_h * tiles_w, ceil(C / 32))      block 256: 8 warps of PIXELS pixels each
//   shared  gs float [windows][filters], rows int32 [windows][filters], columns int32 [windows][filters],
//           ws float [filters][taps][33]
#pragma once

#include "window.cuh"

namespace cnnzoo::cuda {

constexpr int INPUT_THREADS = 256;
constexpr int INPUT_PIXELS = 4;    // of a warp
constexpr int NOWHERE = 1 << 29;  // row of a window without gradient: no pixel lies near

__host__ __device__ constexpr int floor_div(int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// The windows [begin, end) along one axis whose filters reach inputs [from, to].
struct Reach {
  int begin, end;

  __device__ Reach(int from, int to, int filter, int stride, int padding, int conv, int pool, int pool_stride,
                   int pool_padding, int pooled) {
    const int first = max(0, -floor_div(-(from + padding - filter + 1), stride));  // position of the convolution
    const int last = min(conv - 1, floor_div(to + padding, stride));
    begin = max(0, -floor_div(-(first + pool_padding - pool + 1), pool_stride));
    end = first > last ? begin : min(pooled, floor_div(last + pool_padding, pool_stride) + 1);
  }
};

__device__ __forceinline__ Reach reach_h(const Shape& s, int from, int to) {
  return {from, to, s.R, s.stride_h, s.padding_h, s.conv_h, s.pool_h, s.pool_stride_h, s.pool_padding_h, s.P};
}

__device__ __forceinline__ Reach reach_w(const Shape& s, int from, int to) {
  return {from, to, s.S, s.stride_w, s.padding_w, s.conv_w, s.pool_w, s.pool_stride_w, s.pool_padding_w, s.Q};
}

template <class T>
__global__ void __launch_bounds__(INPUT_THREADS, 2) backward_input(const BackwardInput<T> f) {
  CNNZOO_SHARED(shared);
  const Shape& s = f.shape;
  const PixelTile& t = f.tile;
  const int taps = s.R * s.S, cells = t.windows_h * t.windows_w * t.filters;
  float* const gs = reinterpret_cast<float*>(shared);
  int* const rows = reinterpret_cast<int*>(gs + cells);  // of the input under the first tap at the place of the maximum
  int* const columns = rows + cells;
  float* const ws = reinterpret_cast<float*>(columns + cells);
  const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
  const int c0 = blockIdx.y * LANES, c = c0 + lane;

  int64_t tile = blockIdx.x;
  const int w0 = int(tile % t.tiles_w) * t.pixels_w;
  tile /= t.tiles_w;
  const int h0 = int(tile % t.tiles_h) * t.pixels_h, n = int(tile / t.tiles_h);
  const Reach all_h = reach_h(s, h0, min(h0 + t.pixels_h, s.H) - 1);
  const Reach all_w = reach_w(s, w0, min(w0 + t.pixels_w, s.W) - 1);

  int h[INPUT_PIXELS], w[INPUT_PIXELS];
  bool exists[INPUT_PIXELS];
  float acc[INPUT_PIXELS];
#pragma unroll
  for (int i = 0; i < INPUT_PIXELS; ++i) {
    const int row = (warp * INPUT_PIXELS + i) / t.pixels_w, column = (warp * INPUT_PIXELS + i) % t.pixels_w;
    h[i] = h0 + row, w[i] = w0 + column;
    exists[i] = row < t.pixels_h && h[i] < s.H && w[i] < s.W;
    acc[i] = 0.0f;
  }

  for (int k0 = 0; k0 < s.K; k0 += t.filters)
    for (int tap0 = 0; tap0 < taps; tap0 += t.taps) {
      const int filters = min(t.filters, s.K - k0), staged = min(t.taps, taps - tap0);
      __syncthreads();  // everyone is done with the values that go now
      if (tap0 == 0)
        for (int i = threadIdx.x; i < cells; i += INPUT_THREADS) {
          const int k = k0 + i % t.filters, window = i / t.filters;
          const int p = all_h.begin + window / t.windows_w, q = all_w.begin + window % t.windows_w;
          int place = DEAD;
          if (k < s.K && p < all_h.end && q < all_w.end)
            place = f.place[((int64_t(n) * s.P + p) * s.Q + q) * s.K + k];
          const bool won = place < s.pool_h * s.pool_w;
          const Strides& g = f.grad_y_strides;
          gs[i] = won ? to_float(f.grad_y[n * g.n + k * g.c + p * g.h + q * g.w]) : 0.0f;
          rows[i] = won ? (p * s.pool_stride_h - s.pool_padding_h + place / s.pool_w) * s.stride_h - s.padding_h : NOWHERE;
          columns[i] = won ? (q * s.pool_stride_w - s.pool_padding_w + place % s.pool_w) * s.stride_w - s.padding_w : 0;
        }
      for (int i = threadIdx.x; i < filters * staged * LANES; i += INPUT_THREADS) {
        // Neighbours in the block read neighbours in memory: taps of one filter.
        const int tap = i % staged, channel = i / staged % LANES, filter = i / (staged * LANES);
        const int64_t from = (int64_t(k0 + filter) * s.C + c0 + channel) * taps + tap0 + tap;
        ws[(filter * t.taps + tap) * WEIGHT_PITCH + channel] = c0 + channel < s.C ? to_float(f.weight[from]) : 0.0f;
      }
      __syncthreads();
#pragma unroll
      for (int i = 0; i < INPUT_PIXELS; ++i) {
        if (!exists[i]) continue;
        const Reach near_h = reach_h(s, h[i], h[i]), near_w = reach_w(s, w[i], w[i]);
#pragma unroll 1
        for (int p = near_h.begin; p < near_h.end; ++p)
#pragma unroll 1
          for (int q = near_w.begin; q < near_w.end; ++q) {
            const int cell = ((p - all_h.begin) * t.windows_w + q - all_w.begin) * t.filters;
#pragma unroll 1
            for (int filter = 0; filter < filters; ++filter) {
              const int r = h[i] - rows[cell + filter], column = w[i] - columns[cell + filter];
              if (r < 0 || r >= s.R || column < 0 || column >= s.S) continue;
              const int tap = r * s.S + column - tap0;
              if (tap < 0 || tap >= staged) continue;
              acc[i] = fmaf(gs[cell + filter], ws[(filter * t.taps + tap) * WEIGHT_PITCH + lane], acc[i]);
            }
          }
      }
    }

#pragma unroll
  for (int i = 0; i < INPUT_PIXELS; ++i)
    if (exists[i] && c < s.C) f.grad_x[((int64_t(n) * s.H + h[i]) * s.W + w[i]) * s.C + c] = from_float<T>(acc[i]);
}

}  // namespace cnnzoo::cuda
