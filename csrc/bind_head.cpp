// `classifier_head_raw` and its backward for torch, through its stable ABI. cnnzoo/ops/_head.py holds the schemas;
// this file checks shapes once and hands pointers to cpu/head.h.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <initializer_list>
#include <vector>

#include "cpu/head.h"
#include "torch_threads.h"

namespace {

using cnnzoo::Head;
using cnnzoo::HeadLayer;
using cnnzoo::binding::workspace;
using torch::stable::Tensor;
using torch::stable::detail::from;
using torch::stable::detail::to;

constexpr size_t MOST_LAYERS = 8;

bool is_float(const Tensor& tensor) {
  int32_t dtype;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(tensor.get(), &dtype));
  return dtype == aoti_torch_dtype_float32();
}

Tensor row_major(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

Tensor empty(std::initializer_list<int64_t> sizes, std::initializer_list<int64_t> strides) {
  AtenTensorHandle handle;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(int64_t(sizes.size()), sizes.begin(), strides.begin(),
                                                         aoti_torch_dtype_float32(), aoti_torch_device_type_cpu(), 0,
                                                         &handle));
  return Tensor(handle);
}

float* floats(const Tensor& tensor) { return static_cast<float*>(tensor.data_ptr()); }

// x as the kernels take it, and its sizes: (N, C, P, Q) with dense pixels, or flat.
Tensor take_x(StableIValue value, Head* call) {
  Tensor x = to<Tensor>(value);
  STD_TORCH_CHECK(is_float(x) && x.dim() >= 2, "classifier_head: expected x of float32, (N, C, P, Q) or (N, in)");
  call->images = x.size(0);
  call->channels = 1;
  for (int64_t i = 1; i < x.dim(); ++i) call->channels *= x.size(i);
  call->pixels = 1;
  if (x.dim() == 4 && !x.is_contiguous()) {
    x = torch::stable::contiguous(x, torch::headeronly::MemoryFormat::ChannelsLast);
    call->channels = x.size(1);
    call->pixels = x.size(2) * x.size(3);
  } else {
    x = row_major(x);
  }
  call->x = floats(x);
  return x;
}

struct Run {
  const cnnzoo::HeadKernels* kernels;
  cnnzoo::Pool pool = cnnzoo::binding::torch_pool();

  Run() {
    const cnnzoo::Kernels& chosen = cnnzoo::binding::current_kernels();
    kernels = cnnzoo::head_kernels(chosen);
    STD_TORCH_CHECK(kernels, "classifier_head: no kernels for ", chosen.name);
  }
};

struct Layers {
  std::vector<Tensor> weights, biases;
  std::vector<HeadLayer> layers;

  Layers(StableIValue of_weights, StableIValue of_biases, int64_t features)
      : weights(to<std::vector<Tensor>>(of_weights)), biases(to<std::vector<Tensor>>(of_biases)) {
    STD_TORCH_CHECK(!weights.empty() && weights.size() <= MOST_LAYERS && biases.size() == weights.size(),
                    "classifier_head: expected 1 to 8 weights and as many biases");
    for (size_t i = 0; i < weights.size(); ++i) {
      Tensor &w = weights[i], &b = biases[i];
      STD_TORCH_CHECK(is_float(w) && w.dim() == 2 && w.size(1) == features && is_float(b) && b.dim() == 1 &&
                          b.size(0) == w.size(0),
                      "classifier_head: a weight or bias of another shape or dtype than the layer before asks for");
      w = row_major(w);
      b = row_major(b);
      features = w.size(0);
      layers.push_back({w.size(1), features, floats(w), floats(b), nullptr, nullptr, nullptr});
    }
  }
};

// x, weights, biases → the outputs of all layers, logits last
void forward(StableIValue* stack, uint64_t, uint64_t) {
  Head call{};
  const Tensor x = take_x(stack[0], &call);
  Layers own(stack[1], stack[2], call.channels * call.pixels);
  std::vector<Tensor> outs;
  for (HeadLayer& layer : own.layers) {
    outs.push_back(empty({call.images, layer.out}, {layer.out, 1}));
    layer.y = floats(outs.back());
  }
  call.layers = own.layers.data();
  call.count = int64_t(own.layers.size());
  const Run run;
  run.kernels->forward(call, workspace(run.kernels->workspace_bytes(call, false, run.pool.threads)), run.pool);
  stack[0] = from(outs);
}

// grad, x, weights, biases, outputs, need_x → grad_x, gradients: of every layer weight and bias
void backward(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor grad = row_major(to<Tensor>(stack[0]));
  Head call{};
  const Tensor x = take_x(stack[1], &call);
  Layers own(stack[2], stack[3], call.channels * call.pixels);
  const std::vector<Tensor> outs = to<std::vector<Tensor>>(stack[4]);
  const bool need_x = to<bool>(stack[5]);
  STD_TORCH_CHECK(outs.size() + 1 == own.layers.size(), "classifier_head: expected the output of every hidden layer");
  std::vector<Tensor> grads;
  for (size_t i = 0; i < own.layers.size(); ++i) {
    HeadLayer& layer = own.layers[i];
    if (i < outs.size()) {
      STD_TORCH_CHECK(is_float(outs[i]) && outs[i].is_contiguous() && outs[i].dim() == 2 &&
                          outs[i].size(0) == call.images && outs[i].size(1) == layer.out,
                      "classifier_head: an output of another shape than its layer");
      layer.y = floats(outs[i]);
    }
    grads.push_back(empty({layer.out, layer.in}, {layer.in, 1}));
    layer.grad_weight = floats(grads.back());
    grads.push_back(empty({layer.out}, {1}));
    layer.grad_bias = floats(grads.back());
  }
  STD_TORCH_CHECK(is_float(grad) && grad.dim() == 2 && grad.size(0) == call.images &&
                      grad.size(1) == own.layers.back().out,
                  "classifier_head: a gradient of another shape than the logits");
  call.layers = own.layers.data();
  call.count = int64_t(own.layers.size());
  call.grad = floats(grad);
  Tensor grad_x;
  if (!need_x) {
    grad_x = empty({0}, {1});
  } else if (x.dim() == 4) {
    grad_x = empty({x.size(0), x.size(1), x.size(2), x.size(3)}, {x.stride(0), x.stride(1), x.stride(2), x.stride(3)});
  } else {
    grad_x = empty({x.size(0), x.size(1)}, {x.stride(0), x.stride(1)});
  }
  call.grad_x = need_x ? floats(grad_x) : nullptr;
  const Run run;
  run.kernels->backward(call, workspace(run.kernels->workspace_bytes(call, true, run.pool.threads)), run.pool);
  stack[0] = from(grad_x);
  stack[1] = from(grads);
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(cnnzoo, CPU, m) {
  m.impl("classifier_head_raw", forward);
  m.impl("classifier_head_backward_raw", backward);
}
