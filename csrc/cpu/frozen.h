// A run of layers as one call, for inference: convolutions with ReLU and max-pool, then linear layers. The border
// between the binding and frozen.inl. Weights are packed beforehand, in the layout that `FrozenLayout` describes.
//
//   convolution  packed weights (filter block, tap, filters_in_block), bias (filter blocks * filters_in_block)
//   linear       packed weights, block of outputs by block: (in, vectors in the block * lanes), bias (outputs rounded up)
//   scale        y = x * scale + shift for each channel: what a batch norm is once it has been trained
//
// Convolutions and scales come first, linear layers after them. Between them an image is dense NHWC, and that is also
// the order of features in which the first linear layer's weights are packed. A value is one chain of FMAs in an order
// that the layer's sizes fix, so its bits depend neither on the batch around it nor on threads.
#pragma once

#include "../conv_relu_maxpool.h"

namespace cnnzoo {

// What depends on the instruction set in packed weights; others cannot be used with its kernels.
struct FrozenLayout {
  int64_t lanes, filters_in_block, vectors_in_block;
};

struct FrozenStage {
  enum Kind : int64_t { convolution = 0, linear = 1, scale = 2 };
  int64_t kind;
  Geometry geometry;    // of one image, N = 1; for a scale C, H and W count
  int64_t in, out;      // features of a linear layer
  bool relu;            // after a linear layer; a convolution always has one
  const float* weight;  // packed; the factors of a scale
  const float* bias;    // likewise; the summands of a scale

  int64_t outputs() const {  // floats an image
    if (kind == linear) return out;
    if (kind == scale) return geometry.C * geometry.H * geometry.W;
    return geometry.K * geometry.P() * geometry.Q();
  }
  int64_t operations() const {  // an FMA is two
    if (kind == linear) return 2 * in * out;
    if (kind == scale) return 2 * outputs();
    return 2 * geometry.conv_h() * geometry.conv_w() * geometry.K * geometry.C * geometry.R * geometry.S;
  }
};

struct Frozen {
  const FrozenStage* stages;
  int64_t count, images;
  Strided x;  // (N, C, H, W); where a linear layer comes first (N, in), with stride[1] == 1
  float* y;   // dense: (N, P, Q, K) or (N, out)
};

struct FrozenKernels {
  const char* name;  // of the instruction set
  FrozenLayout layout;
  size_t (*workspace_bytes)(const Frozen& call, int threads);
  void (*run)(const Frozen& call, void* workspace, const Pool& pool);
  const FrozenKernels* next;  // the list of all instruction sets

  FrozenKernels(const char* name, FrozenLayout layout, size_t (*workspace_bytes)(const Frozen&, int),
                void (*run)(const Frozen&, void*, const Pool&));
};

// Those that go with the float32 kernels of the instruction set that `current()` chose.
const FrozenKernels* frozen_kernels(const Kernels& kernels);

}  // namespace cnnzoo
