// The border between whoever owns tensors and streams (the torch binding, the tests) and the CUDA kernels: what is
// covered, how much workspace, and the three passes. Pointers are the device's. Nothing here allocates, waits or throws,
// so a CUDA graph can hold all of it.
//
// The contract is that of ../conv_relu_maxpool.h, for float32, bfloat16 and float16 with sums in float32. As torch does,
// a convolution's output is rounded to the storage type before the pool compares: ties are those of the stored values.
// The same bits come out run to run.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "../conv_relu_maxpool.h"

namespace cnnzoo::cuda {

enum class Type { float32, bfloat16, float16 };

// nullptr where the kernels cover this geometry, otherwise the reason as one sentence. The other functions trust it.
const char* covers(const Geometry& geometry);

// What the arithmetic may be: the device's compute capability, 75 for 7.5, and whether float32 may be cut to TF32.
struct Device {
  int capability;
  bool allow_tf32;
};

// A tensor of four dimensions: strides in elements, in the order N, C (or K), H, W.
struct Tensor4 {
  const void* data;
  int64_t stride[4];
};

struct ForwardCall {
  Geometry geometry;
  Type type;
  Device device;
  Tensor4 x;           // (N, C, H, W)
  const void* weight;  // (K, C, R, S), contiguous
  const void* bias;    // (K) or nullptr
  void* y;             // (N, P, Q, K)
  uint8_t* place;      // (N, P, Q, K), or nullptr for inference
};

struct BackwardInputCall {
  Geometry geometry;
  Type type;
  Tensor4 grad_y;        // (N, K, P, Q)
  const void* weight;    // (K, C, R, S), contiguous
  const uint8_t* place;  // (N, P, Q, K)
  void* grad_x;          // (N, H, W, C); every element is written
};

struct BackwardWeightCall {
  Geometry geometry;
  Type type;
  Tensor4 x;             // (N, C, H, W)
  Tensor4 grad_y;        // (N, K, P, Q)
  const uint8_t* place;  // (N, P, Q, K)
  void* grad_weight;     // (K, C, R, S); every element is written
  void* grad_bias;       // (K)
  void* workspace;       // backward_weight_workspace(geometry) bytes, aligned to 16; needs no initial value
};

// "forward_mma" or "forward_direct": which kernel a forward pass takes.
const char* forward_kernel(const Geometry& geometry, Type type, Device device);

size_t backward_weight_workspace(const Geometry& geometry);

cudaError_t forward(const ForwardCall& call, cudaStream_t stream);
cudaError_t backward_input(const BackwardInputCall& call, cudaStream_t stream);
cudaError_t backward_weight(const BackwardWeightCall& call, cudaStream_t stream);

}  // namespace cnnzoo::cuda
