// Forward on tensor cores: an implicit matrix product, windows by filters, with the pool in registers.
//
// The accumulator of mma.sync gives a thread rows g and g + 8 of 16. Row g of product m is position 2m of window g of
// its warp, row g + 8 is position 2m + 1: so a thread ends up with every position of one window, and finds the maximum
// and its place with no word to anybody. M products are 2M positions; pools with more take several rounds.
//
// T is __nv_bfloat16 or __half, or float whose values are cut to TF32 on the way into shared memory.
//
//   grid    (N * tiles_p * tiles_q, ceil(K / 32))      block 128: 4 warps of 8 windows each
//   shared  xs T [rows][columns][PITCH], ws T [taps][32][PITCH]; PITCH is 16 channels and a gap that spreads the banks
#pragma once

#include "window.cuh"

namespace cnnzoo::cuda {

constexpr int MMA_THREADS = 128;
constexpr int MMA_WINDOWS = 8;    // of a warp
constexpr int MMA_CHANNELS = 16;  // staged at a time
constexpr int MMA_COLUMNS = 4;    // products side by side: 8 filters each

// In words of four bytes 12 or 20: the eight rows of a fragment then begin in different banks.
template <class T>
constexpr int MMA_PITCH = sizeof(T) == 4 ? 20 : 24;

template <class T>
__device__ __forceinline__ T as_operand(T a) {
  return a;
}
template <>
__device__ __forceinline__ float as_operand<float>(float a) {
  return to_tf32(a);
}

// Four bytes of shared memory: two values of T, or one float.
template <class T>
__device__ __forceinline__ uint32_t word(const T* p) {
  return *reinterpret_cast<const uint32_t*>(p);
}

template <class T, int M>
__global__ void __launch_bounds__(MMA_THREADS, M == 2 ? 3 : 2) forward_mma(const Forward<T> f) {
  CNNZOO_SHARED(shared);
  constexpr int PITCH = MMA_PITCH<T>;
  constexpr int PER_WORD = 4 / sizeof(T);
  constexpr int DEPTH = 8 * PER_WORD;  // channels of one product
  const Shape& s = f.shape;
  const WindowTile& t = f.tile;
  const int taps = s.R * s.S, positions = s.pool_h * s.pool_w, pixels = t.rows * t.columns;
  T* const xs = reinterpret_cast<T*>(shared);
  T* const ws = xs + pixels * PITCH;
  const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES, g = lane / 4, pair = lane % 4;
  const int k0 = blockIdx.y * 8 * MMA_COLUMNS;
  const Corner corner(s, t, blockIdx.x);
  const bool channels_together = f.x_strides.c == 1;

  const int row = (warp * MMA_WINDOWS + g) / t.windows_w, column = (warp * MMA_WINDOWS + g) % t.windows_w;
  const int p = corner.p + row, q = corner.q + column;
  const bool exists = row < t.windows_h && p < s.P && q < s.Q;
  // The window's corner in xs, in pixels; that of the first window where this one does not exist.
  const int at = exists ? row * s.pool_stride_h * s.stride_h * t.columns + column * s.pool_stride_w * s.stride_w : 0;
  // One dimension: nvcc 13.0 runs the member initialisers of a two-dimensional array in its first row only.
  Maximum maximum[2 * MMA_COLUMNS];

  for (int a0 = 0; a0 < positions; a0 += 2 * M) {
    float acc[M][MMA_COLUMNS][4];
    const T* a_row[M][2];  // where this thread's words of the two rows begin
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int position = min(a0 + 2 * m + half, positions - 1);
        const int pixel = at + position / s.pool_w * s.stride_h * t.columns + position % s.pool_w * s.stride_w;
        a_row[m][half] = xs + pixel * PITCH + pair * PER_WORD;
      }
#pragma unroll
    for (int j = 0; j < MMA_COLUMNS; ++j)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int k = k0 + j * 8 + pair * 2 + i;
        const float bias = f.bias && k < s.K ? to_float(f.bias[k]) : 0.0f;
#pragma unroll
        for (int m = 0; m < M; ++m) acc[m][j][i] = acc[m][j][i + 2] = bias;
      }

    for (int c0 = 0; c0 < s.C; c0 += MMA_CHANNELS)
      for (int tap0 = 0; tap0 < taps; tap0 += t.taps) {
        const int staged = min(t.taps, taps - tap0);
        __syncthreads();  // everyone is done with the values that go now
        if (tap0 == 0)
          for (int i = threadIdx.x; i < pixels * MMA_CHANNELS; i += MMA_THREADS) {
            // Neighbours in the block read neighbours in memory: channels, or else pixels.
            const int c = channels_together ? i % MMA_CHANNELS : i / pixels;
            const int pixel = channels_together ? i / MMA_CHANNELS : i % pixels;
            const int h = corner.h + pixel / t.columns, w = corner.w + pixel % t.columns;
            xs[pixel * PITCH + c] = as_operand(padded(s, f.x, f.x_strides, corner.n, c0 + c, h, w));
          }
        for (int i = threadIdx.x; i < staged * MMA_CHANNELS * 8 * MMA_COLUMNS; i += MMA_THREADS) {
          const int tap = i % staged, c = i / staged % MMA_CHANNELS, filter = i / (staged * MMA_CHANNELS);
          const bool inside = k0 + filter < s.K && c0 + c < s.C;
          const int64_t from = (int64_t(k0 + filter) * s.C + c0 + c) * taps + tap0 + tap;
          ws[(tap * 8 * MMA_COLUMNS + filter) * PITCH + c] =
              as_operand(inside ? f.weight[from] : from_float<T>(0.0f));
        }
        __syncthreads();

        int r = tap0 / s.S, across = tap0 % s.S;
        for (int tap = 0; tap < staged; ++tap) {
          const int x_at = (r * t.columns + across) * PITCH;
          const T* const b_row = ws + (tap * 8 * MMA_COLUMNS + g) * PITCH + pair * PER_WORD;
#pragma unroll
          for (int c = 0; c < MMA_CHANNELS; c += DEPTH) {
            uint32_t a[M][4];
#pragma unroll
            for (int m = 0; m < M; ++m) {
              a[m][0] = word(a_row[m][0] + x_at + c);
              a[m][1] = word(a_row[m][1] + x_at + c);
              a[m][2] = word(a_row[m][0] + x_at + c + DEPTH / 2);
              a[m][3] = word(a_row[m][1] + x_at + c + DEPTH / 2);
            }
#pragma unroll
            for (int j = 0; j < MMA_COLUMNS; ++j) {
              const uint32_t b[2] = {word(b_row + j * 8 * PITCH + c), word(b_row + j * 8 * PITCH + c + DEPTH / 2)};
#pragma unroll
              for (int m = 0; m < M; ++m) mma(acc[m][j], a[m], b, T());
            }
          }
          if (++across == s.S) across = 0, ++r;
        }
      }

#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int position = a0 + 2 * m + half;
        if (position >= positions || !in_conv(s, p, q, position, s.pool_w)) continue;
#pragma unroll
        for (int j = 0; j < MMA_COLUMNS; ++j)
#pragma unroll
          for (int i = 0; i < 2; ++i) maximum[2 * j + i].take(rounded<T>(acc[m][j][2 * half + i]), position);
      }
  }

  if (!exists) return;
  const int64_t to = ((int64_t(corner.n) * s.P + p) * s.Q + q) * s.K;
#pragma unroll
  for (int j = 0; j < MMA_COLUMNS; ++j)
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int k = k0 + j * 8 + pair * 2 + i;
      if (k >= s.K) continue;
      f.y[to + k] = from_float<T>(maximum[2 * j + i].value);
      if (f.place) f.place[to + k] = uint8_t(maximum[2 * j + i].place);
    }
}

}  // namespace cnnzoo::cuda
