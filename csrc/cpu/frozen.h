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
//
// In bfloat16 the values between the layers are bfloat16, rounded where torch rounds them; sums, biases and scales are
// float32. An element of packed weights is then two of them, in the order in which PairPlan pairs the inputs. An
// instruction set without dot products has no kernels for that: its caller widens x and rounds y.
#pragma once

#include "../conv_relu_maxpool.h"

namespace cnnzoo {

// What depends on the instruction set in packed weights; others cannot be used with its kernels.
struct FrozenLayout {
  int64_t lanes, filters_in_block, vectors_in_block;
  int64_t terms;  // weights in an element: one float32, or two bfloat16
};

struct FrozenStage {
  enum Kind : int64_t { convolution = 0, linear = 1, scale = 2 };
  int64_t kind;
  Geometry geometry;    // of one image, N = 1; for a scale C, H and W count
  int64_t in, out;      // features of a linear layer
  bool relu;            // after a linear layer; a convolution always has one
  const float* weight;  // packed, in elements of 32 bits; the factors of a scale
  const float* bias;    // likewise; the summands of a scale

  int64_t outputs() const {  // values an image
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

template <class T>
struct FrozenOf {
  const FrozenStage* stages;
  int64_t count, images;
  StridedOf<T> x;  // (N, C, H, W); where a linear layer comes first (N, in), with stride[1] == 1
  T* y;            // dense: (N, P, Q, K) or (N, out)
};

template <class T>
struct FrozenKernelsOf {
  const char* name;  // of the instruction set
  FrozenLayout layout;
  int64_t (*elements)(const FrozenStage& stage);  // of weights for one output of a convolution or linear layer
  size_t (*workspace_bytes)(const FrozenOf<T>& call, int threads);
  void (*run)(const FrozenOf<T>& call, void* workspace, const Pool& pool);
  const FrozenKernelsOf* next;  // the list of all instruction sets

  // By reference: whoever calls it is compiled for instructions that this machine may lack, and copies nothing.
  FrozenKernelsOf(const char* name, const FrozenLayout& layout, int64_t (*elements)(const FrozenStage&),
                  size_t (*workspace_bytes)(const FrozenOf<T>&, int), void (*run)(const FrozenOf<T>&, void*, const Pool&));
};

// Those that go with the kernels for T of the instruction set that `current()` chose; nullptr where it has none.
template <class T>
const FrozenKernelsOf<T>* frozen_kernels(const Kernels& kernels);

}  // namespace cnnzoo
