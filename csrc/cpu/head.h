// A classifier head: flatten, then small linear layers with ReLU between them. The border between the binding and
// head_forward.inl, head_backward.inl.
//
//   N images   C channels   S pixels of a map (1 where the input is flat)   in, out features of a layer
//
//   x        (N, S, C)    dense: what torch calls a channels_last (N, C, P, Q), S = P Q
//   weight   (out, in)    contiguous; the first layer's in = C S in torch's order of flatten, channel by channel
//   bias     (out) or nullptr
//   y        (N, out)     after ReLU, which all layers but the last have; dense. Backward reads them again
//
// A ReLU lets the gradient through where !(y <= 0), so through NaN, as torch's does. Each sum is one chain of FMAs in
// the order of its index, so its bits depend neither on the batch around it nor on threads.
#pragma once

#include "../conv_relu_maxpool.h"

namespace cnnzoo {

struct HeadLayer {
  int64_t in, out;
  const float* weight;
  const float* bias;
  float* y;
  float* grad_weight;  // (out, in), torch's order; backward writes every element
  float* grad_bias;    // (out) or nullptr
};

struct Head {
  int64_t images, channels, pixels;
  const float* x;
  const HeadLayer* layers;
  int64_t count;
  const float* grad;  // (N, out of the last layer); backward only
  float* grad_x;      // as x, or nullptr
};

struct HeadKernels {
  const char* name;  // of the instruction set
  size_t (*workspace_bytes)(const Head& call, bool backward, int threads);
  void (*forward)(const Head& call, void* workspace, const Pool& pool);
  void (*backward)(const Head& call, void* workspace, const Pool& pool);
  const HeadKernels* next;  // the list of all instruction sets

  HeadKernels(const char* name, size_t (*workspace_bytes)(const Head&, bool, int),
              void (*forward)(const Head&, void*, const Pool&), void (*backward)(const Head&, void*, const Pool&));
};

// The kernels of the instruction set that `current()` chose.
const HeadKernels* head_kernels(const Kernels& kernels);

}  // namespace cnnzoo
