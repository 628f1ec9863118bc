// What every kernel is told: sizes, tiles, pointers. Plain structs, passed by value, the same on both sides of a launch.
//
//   N images   C channels   H W input size    K filters   R S filter size   P Q pooled size
//
// A window is one position of the pool; a tap is one position of the filter, r * S + s. x and grad_y come with strides
// in elements; y, place and grad_x are dense NHWC. T is float, __nv_bfloat16 or __half; sums are float32 throughout.
#pragma once

#include <cstdint>

namespace cnnzoo::cuda {

constexpr uint8_t DEAD = 255;  // the place of an output that passes no gradient, as on the CPU
constexpr int LANES = 32;      // of a warp; most kernels give each lane a channel or a filter of its own
constexpr int WEIGHT_PITCH = 33;  // of 32 weights in shared memory: written along taps, read along lanes, no bank twice

struct Shape {
  int32_t N, C, H, W, K, R, S;
  int32_t stride_h, stride_w, padding_h, padding_w;
  int32_t pool_h, pool_w, pool_stride_h, pool_stride_w, pool_padding_h, pool_padding_w;
  int32_t conv_h, conv_w, P, Q;
};

struct Strides {
  int64_t n, c, h, w;
};

// A block's windows, and the input that lies under them.
struct WindowTile {
  int32_t windows_h, windows_w;  // windows of a block
  int32_t tiles_p, tiles_q;      // blocks along P and Q
  int32_t rows, columns;         // of input under a block's windows
  int32_t channels, taps;        // kept in shared memory at a time
};

template <class T>
struct Forward {
  Shape shape;
  WindowTile tile;
  const T* x;  // (N, C, H, W)
  Strides x_strides;
  const T* weight;  // (K, C, R, S), contiguous
  const T* bias;    // (K) or nullptr
  T* y;             // (N, P, Q, K)
  uint8_t* place;   // (N, P, Q, K) or nullptr
};

template <class T>
struct BackwardWeight {
  Shape shape;
  WindowTile tile;
  const T* x;
  Strides x_strides;
  const T* grad_y;  // (N, K, P, Q)
  Strides grad_y_strides;
  const uint8_t* place;  // (N, P, Q, K)
  float* partial;        // (splits, K * C * R * S), then (splits, K) for the bias
  int32_t splits, groups;  // shares of the images and windows; groups of TAPS taps in a filter
};

template <class T>
struct BackwardWeightReduce {
  const float* partial;
  T* grad_weight;  // (K, C, R, S)
  T* grad_bias;    // (K)
  int64_t weights;  // K * C * R * S
  int32_t K, splits;
};

// A block's pixels of grad_x, and the windows whose filters reach them.
struct PixelTile {
  int32_t pixels_h, pixels_w;    // pixels of a block
  int32_t tiles_h, tiles_w;      // blocks along H and W
  int32_t windows_h, windows_w;  // at most so many windows reach the block
  int32_t filters, taps;         // kept in shared memory at a time
};

template <class T>
struct BackwardInput {
  Shape shape;
  PixelTile tile;
  const T* grad_y;  // (N, K, P, Q)
  Strides grad_y_strides;
  const T* weight;       // (K, C, R, S), contiguous
  const uint8_t* place;  // (N, P, Q, K)
  T* grad_x;             // (N, H, W, C); every element is written
};

}  // namespace cnnzoo::cuda
