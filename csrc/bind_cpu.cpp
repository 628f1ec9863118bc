// The operators on the CPU for torch, through its stable ABI: tensors in, pointers and strides to the kernels, new
// tensors out, threads from torch's own pool. Schemas, fake kernels and autograd stand in cnnzoo/ops/_operators.py; what
// the kernels do not cover goes back there, to the reference. torch has released the GIL before it comes here.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <initializer_list>
#include <optional>

#include "conv_relu_maxpool.h"
#include "torch_threads.h"

namespace {

using cnnzoo::binding::workspace;
using torch::stable::Tensor;
using torch::stable::detail::from;
using torch::stable::detail::to;
using Sizes = const int64_t*;

Sizes sizes_of(AtenTensorHandle tensor) {
  int64_t* sizes;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_sizes(tensor, &sizes));
  return sizes;
}

Sizes strides_of(AtenTensorHandle tensor) {
  int64_t* strides;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_strides(tensor, &strides));
  return strides;
}

bool is(AtenTensorHandle tensor, int32_t dtype, int64_t dim) {
  int32_t got_dtype;
  int64_t got_dim;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(tensor, &got_dtype));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dim(tensor, &got_dim));
  return got_dtype == dtype && got_dim == dim;
}

template <class T>
int32_t dtype_of() {
  return sizeof(T) == sizeof(float) ? aoti_torch_dtype_float32() : aoti_torch_dtype_bfloat16();
}

// The stack owns its tensors and lists: this only looks, so that an uncovered call can pass the stack on untouched.
bool geometry_of(StableIValue x, StableIValue weight, StableIValue window, cnnzoo::Geometry* g, bool* narrow) {
  const auto x_handle = to<AtenTensorHandle>(x), weight_handle = to<AtenTensorHandle>(weight);
  int32_t dtype;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(x_handle, &dtype));
  *narrow = dtype == aoti_torch_dtype_bfloat16();
  if (!*narrow && dtype != aoti_torch_dtype_float32()) return false;
  if (!is(x_handle, dtype, 4) || !is(weight_handle, dtype, 4)) return false;
  const auto list = to<StableListHandle>(window);
  int64_t w[10];
  size_t length;
  STABLE_TORCH_ERROR_CODE_CHECK(torch_list_size(list, &length));
  STD_TORCH_CHECK(length == 10, "window: expected 10 ints, got ", length);
  for (size_t i = 0; i < 10; ++i) {
    StableIValue item;
    STABLE_TORCH_ERROR_CODE_CHECK(torch_list_get_item(list, i, &item));
    w[i] = to<int64_t>(item);
  }
  Sizes a = sizes_of(x_handle), b = sizes_of(weight_handle);
  *g = {a[0], a[1], a[2], a[3], b[0], b[2], b[3], w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9]};
  return a[1] == b[1] && !cnnzoo::covers(*g);
}

void pass_on(const char* reference, StableIValue* stack) {
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(reference, "", stack, TORCH_ABI_VERSION));
}

void check_shape(const Tensor& tensor, const char* name, int32_t dtype, std::initializer_list<int64_t> shape) {
  bool same = is(tensor.get(), dtype, int64_t(shape.size()));
  Sizes sizes = sizes_of(tensor.get());
  for (const int64_t size : shape) same = same && *sizes++ == size;
  STD_TORCH_CHECK(same, name, ": another shape or dtype than x, weight and window ask for");
}

Tensor row_major(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

// Exactly the strides of a new channels_last tensor, which the fake kernels promise.
struct Nhwc {
  int64_t sizes[4], strides[4];
  Nhwc(int64_t n, int64_t c, int64_t h, int64_t w) : sizes{n, c, h, w}, strides{h * w * c, 1, w * c, c} {}
};

Tensor empty(int64_t dims, Sizes sizes, Sizes strides, int32_t dtype) {
  AtenTensorHandle handle;
  STABLE_TORCH_ERROR_CODE_CHECK(
      aoti_torch_empty_strided(dims, sizes, strides, dtype, aoti_torch_device_type_cpu(), 0, &handle));
  return Tensor(handle);
}

Tensor empty(const Nhwc& like, int32_t dtype) { return empty(4, like.sizes, like.strides, dtype); }

template <class T>
Tensor nothing() {
  const int64_t size = 0, stride = 1;
  return empty(1, &size, &stride, dtype_of<T>());
}

template <class T>
T* data(const Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

template <class T>
cnnzoo::StridedOf<T> strided(const Tensor& tensor) {
  Sizes s = strides_of(tensor.get());
  return {data<T>(tensor), {s[0], s[1], s[2], s[3]}};
}

template <class T>
struct Run {
  const cnnzoo::KernelsOf<T>* kernels = &cnnzoo::binding::current_kernels().of<T>();
  cnnzoo::Pool pool = cnnzoo::binding::torch_pool();

  void* workspace_for(cnnzoo::Pass pass, const cnnzoo::Geometry& g) const {
    return workspace(kernels->workspace_bytes(pass, g, pool.threads));
  }
};

template <class T, bool TRAIN>
void forward(StableIValue* stack, const cnnzoo::Geometry& g) {
  const Tensor x = to<Tensor>(stack[0]), weight = row_major(to<Tensor>(stack[1]));
  std::optional<Tensor> bias = to<std::optional<Tensor>>(stack[2]);
  torch_delete_list(to<StableListHandle>(stack[3]));
  if (bias) {
    check_shape(*bias, "bias", dtype_of<T>(), {g.K});
    bias = row_major(*bias);
  }
  const Nhwc shape(g.N, g.K, g.P(), g.Q());
  const Tensor y = empty(shape, dtype_of<T>());
  std::optional<Tensor> place;
  if (TRAIN) place = empty(shape, aoti_torch_dtype_uint8());

  const Run<T> run;
  run.kernels->forward({g, strided<T>(x), data<T>(weight), bias ? data<T>(*bias) : nullptr, data<T>(y),
                        place ? data<uint8_t>(*place) : nullptr},
                       run.workspace_for(cnnzoo::Pass::forward, g), run.pool);
  stack[0] = from(y);
  if (TRAIN) stack[1] = from(*place);
}

// x, weight, bias, window → y, and where TRAIN place too
template <bool TRAIN>
void forward(StableIValue* stack, uint64_t, uint64_t) {
  cnnzoo::Geometry g;
  bool narrow;
  if (!geometry_of(stack[0], stack[1], stack[3], &g, &narrow))
    return pass_on(TRAIN ? "cnnzoo::conv_relu_maxpool_train_reference" : "cnnzoo::conv_relu_maxpool_reference", stack);
  narrow ? forward<cnnzoo::bf16, TRAIN>(stack, g) : forward<float, TRAIN>(stack, g);
}

template <class T>
void backward(StableIValue* stack, const cnnzoo::Geometry& g) {
  const Tensor grad_y = to<Tensor>(stack[0]), x = to<Tensor>(stack[1]), weight = row_major(to<Tensor>(stack[2]));
  Tensor place = to<Tensor>(stack[3]);
  torch_delete_list(to<StableListHandle>(stack[4]));
  const bool need_x = to<bool>(stack[5]), need_weight = to<bool>(stack[6]);
  check_shape(grad_y, "grad_y", dtype_of<T>(), {g.N, g.K, g.P(), g.Q()});
  check_shape(place, "place", aoti_torch_dtype_uint8(), {g.N, g.K, g.P(), g.Q()});
  // Hooks on saved tensors and vmap may have laid it out anew.
  place = torch::stable::contiguous(place, torch::headeronly::MemoryFormat::ChannelsLast);

  const Run<T> run;
  Tensor grad_x, grad_weight, grad_bias;
  if (need_x) {
    grad_x = empty(Nhwc(g.N, g.C, g.H, g.W), dtype_of<T>());
    run.kernels->backward_input({g, strided<T>(grad_y), data<T>(weight), data<uint8_t>(place), data<T>(grad_x)},
                                run.workspace_for(cnnzoo::Pass::backward_input, g), run.pool);
  } else {
    grad_x = nothing<T>();
  }
  if (need_weight) {
    const int64_t sizes[] = {g.K, g.C, g.R, g.S}, strides[] = {g.C * g.R * g.S, g.R * g.S, g.S, 1};
    grad_weight = empty(4, sizes, strides, dtype_of<T>());
    grad_bias = empty(1, sizes, strides + 3, dtype_of<T>());
    run.kernels->backward_weight({g, strided<T>(x), strided<T>(grad_y), data<uint8_t>(place), data<T>(grad_weight),
                                  data<T>(grad_bias)},
                                 run.workspace_for(cnnzoo::Pass::backward_weight, g), run.pool);
  } else {
    grad_weight = nothing<T>();
    grad_bias = nothing<T>();
  }
  stack[0] = from(grad_x);
  stack[1] = from(grad_weight);
  stack[2] = from(grad_bias);
}

// grad_y, x, weight, place, window, need_x, need_weight → grad_x, grad_weight, grad_bias
void backward(StableIValue* stack, uint64_t, uint64_t) {
  cnnzoo::Geometry g;
  bool narrow;
  if (!geometry_of(stack[1], stack[2], stack[4], &g, &narrow))
    return pass_on("cnnzoo::conv_relu_maxpool_backward_reference", stack);
  narrow ? backward<cnnzoo::bf16>(stack, g) : backward<float>(stack, g);
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(cnnzoo, CPU, m) {
  m.impl("conv_relu_maxpool", forward<false>);
  m.impl("conv_relu_maxpool_raw", forward<false>);
  m.impl("conv_relu_maxpool_train", forward<true>);
  m.impl("conv_relu_maxpool_train_raw", forward<true>);
  m.impl("conv_relu_maxpool_backward", backward);
  m.impl("conv_relu_maxpool_backward_raw", backward);
}
