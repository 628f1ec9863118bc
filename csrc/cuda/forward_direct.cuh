// Forward by direct convolution in float32: any number of channels, meant for few.
//
// Lanes are filters, so that reads of x from shared memory are broadcasts and stores of y are whole lines. A thread owns
// V windows of one filter; it computes A positions of each at a time, and pools them in registers.
//
//   grid    (N * tiles_p * tiles_q, ceil(K / 32))      block 256: 8 warps of V windows each
//   shared  xs float [channels][rows][columns], ws float [channels][taps][33]
//
// FIXED is the case of a 3x3 filter of stride 1 under a 2x2 pool with its sizes known to the compiler.
#pragma once

#include "window.cuh"

namespace cnnzoo::cuda {

constexpr int DIRECT_THREADS = 256;

// Windows of one thread: two where their accumulators stay few.
template <int POSITIONS>
constexpr int DIRECT_WINDOWS = POSITIONS == 4 ? 2 : 1;

template <class T, int A, bool FIXED>
__global__ void __launch_bounds__(DIRECT_THREADS, 2) forward_direct(const Forward<T> f) {
  CNNZOO_SHARED(shared);
  constexpr int V = DIRECT_WINDOWS<A>;
  const Shape& s = f.shape;
  const WindowTile& t = f.tile;
  const int S = FIXED ? 3 : s.S, taps = FIXED ? 9 : s.R * s.S;
  const int stride_h = FIXED ? 1 : s.stride_h, stride_w = FIXED ? 1 : s.stride_w;
  const int pool_w = FIXED ? 2 : s.pool_w, positions = FIXED ? 4 : s.pool_h * s.pool_w;
  float* const xs = reinterpret_cast<float*>(shared);
  float* const ws = xs + t.channels * t.rows * t.columns;
  const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
  const int k0 = blockIdx.y * LANES, k = k0 + lane;
  const Corner corner(s, t, blockIdx.x);
  const float bias = f.bias && k < s.K ? to_float(f.bias[k]) : 0.0f;

  int p[V], q[V], at[V];  // at: the window's corner in xs; that of the first window where this one does not exist
  bool exists[V];
  Maximum maximum[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const int row = (warp * V + v) / t.windows_w, column = (warp * V + v) % t.windows_w;
    p[v] = corner.p + row, q[v] = corner.q + column;
    exists[v] = row < t.windows_h && p[v] < s.P && q[v] < s.Q;
    at[v] = exists[v] ? row * s.pool_stride_h * stride_h * t.columns + column * s.pool_stride_w * stride_w : 0;
  }

  for (int a0 = 0; a0 < positions; a0 += A) {
    float acc[V][A];
    int offset[A];
#pragma unroll
    for (int a = 0; a < A; ++a) {
      const int position = min(a0 + a, positions - 1);
      offset[a] = position / pool_w * stride_h * t.columns + position % pool_w * stride_w;
#pragma unroll
      for (int v = 0; v < V; ++v) acc[v][a] = bias;
    }
    for (int c0 = 0; c0 < s.C; c0 += t.channels) {
      const int channels = min(t.channels, s.C - c0);
      for (int tap0 = 0; tap0 < taps; tap0 += t.taps) {
        const int staged = min(t.taps, taps - tap0);
        __syncthreads();  // everyone is done with the values that go now
        if (tap0 == 0)
          for (int i = threadIdx.x; i < channels * t.rows * t.columns; i += DIRECT_THREADS) {
            const int column = i % t.columns, row = i / t.columns % t.rows, c = c0 + i / (t.columns * t.rows);
            xs[i] = to_float(padded(s, f.x, f.x_strides, corner.n, c, corner.h + row, corner.w + column));
          }
        for (int i = threadIdx.x; i < channels * staged * LANES; i += DIRECT_THREADS) {
          // Neighbours in the block read neighbours in memory: taps of one filter.
          const int tap = i % staged, c = i / staged % channels, filter = i / (staged * channels);
          const int64_t from = (int64_t(k0 + filter) * s.C + c0 + c) * taps + tap0 + tap;
          ws[(c * t.taps + tap) * WEIGHT_PITCH + filter] = k0 + filter < s.K ? to_float(f.weight[from]) : 0.0f;
        }
        __syncthreads();
        for (int c = 0; c < channels; ++c) {
          const float* const xc = xs + c * t.rows * t.columns;
          const float* const wc = ws + c * t.taps * WEIGHT_PITCH + lane;
          int r = FIXED ? 0 : tap0 / S, column = FIXED ? 0 : tap0 % S;
#pragma unroll(FIXED ? 9 : 1)
          for (int tap = 0; tap < (FIXED ? 9 : staged); ++tap) {
            const float w = wc[tap * WEIGHT_PITCH];
            const float* const x = xc + r * t.columns + column;
#pragma unroll
            for (int v = 0; v < V; ++v)
#pragma unroll
              for (int a = 0; a < A; ++a) acc[v][a] = fmaf(w, x[at[v] + offset[a]], acc[v][a]);
            if (++column == S) column = 0, ++r;
          }
        }
      }
    }
#pragma unroll
    for (int a = 0; a < A; ++a)
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (a0 + a < positions && in_conv(s, p[v], q[v], a0 + a, pool_w))
          maximum[v].take(rounded<T>(acc[v][a]), a0 + a);
  }

#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (!exists[v] || k >= s.K) continue;
    const int64_t to = ((int64_t(corner.n) * s.P + p[v]) * s.Q + q[v]) * s.K + k;
    f.y[to] = from_float<T>(maximum[v].value);
    if (f.place) f.place[to] = uint8_t(maximum[v].place);
  }
}

}  // namespace cnnzoo::cuda
