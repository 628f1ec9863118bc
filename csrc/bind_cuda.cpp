// The operators on CUDA for torch, through its stable ABI: as bind_cpu.cpp, with torch's current stream, and with memory
// from torch's allocator alone, so that a CUDA graph can capture a call. Nothing here waits for the device.

#define USE_CUDA  // for the declaration of the current stream in torch's stable headers; it needs no CUDA header
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <initializer_list>
#include <optional>

#include "cuda/api.h"
#include "cuda/tf32.h"

namespace {

using torch::stable::Tensor;
using torch::stable::detail::from;
using torch::stable::detail::to;
using Sizes = const int64_t*;
namespace cuda = cnnzoo::cuda;

Sizes sizes_of(AtenTensorHandle tensor) {
  int64_t* sizes;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_sizes(tensor, &sizes));
  return sizes;
}

int32_t dtype_of(AtenTensorHandle tensor) {
  int32_t dtype;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(tensor, &dtype));
  return dtype;
}

int64_t dim_of(AtenTensorHandle tensor) {
  int64_t dim;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dim(tensor, &dim));
  return dim;
}

// What a call is about; the stack keeps its tensors and lists, so that an uncovered call can pass it on untouched.
struct Problem {
  cnnzoo::Geometry g;
  cuda::Type type;
  int32_t dtype;
};

bool problem_of(StableIValue x, StableIValue weight, StableIValue window, Problem* problem) {
  const auto x_handle = to<AtenTensorHandle>(x), weight_handle = to<AtenTensorHandle>(weight);
  problem->dtype = dtype_of(x_handle);
  if (problem->dtype == aoti_torch_dtype_float32())
    problem->type = cuda::Type::float32;
  else if (problem->dtype == aoti_torch_dtype_bfloat16())
    problem->type = cuda::Type::bfloat16;
  else if (problem->dtype == aoti_torch_dtype_float16())
    problem->type = cuda::Type::float16;
  else
    return false;
  if (dtype_of(weight_handle) != problem->dtype || dim_of(x_handle) != 4 || dim_of(weight_handle) != 4) return false;
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
  problem->g = {a[0], a[1], a[2], a[3], b[0], b[2], b[3], w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9]};
  return a[1] == b[1] && !cuda::covers(problem->g);
}

void pass_on(const char* reference, StableIValue* stack) {
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(reference, "", stack, TORCH_ABI_VERSION));
}

// The kernels take pointers by faith: everything has to be where x is, in the dtype and shape that it implies.
void check(const Tensor& tensor, const char* name, const Tensor& x, int32_t dtype, std::initializer_list<int64_t> shape) {
  bool same = dtype_of(tensor.get()) == dtype && dim_of(tensor.get()) == int64_t(shape.size());
  Sizes sizes = sizes_of(tensor.get());
  for (const int64_t size : shape) same = same && *sizes++ == size;
  STD_TORCH_CHECK(same, name, ": another shape or dtype than x, weight and window ask for");
  STD_TORCH_CHECK(tensor.is_cuda() && tensor.get_device_index() == x.get_device_index(), name,
                  ": expected on the CUDA device of x");
}

Tensor row_major(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

// Exactly the strides of a new channels_last tensor, which the fake kernels promise.
struct Nhwc {
  int64_t sizes[4], strides[4];
  Nhwc(int64_t n, int64_t c, int64_t h, int64_t w) : sizes{n, c, h, w}, strides{h * w * c, 1, w * c, c} {}
};

// Where a call runs: the device of x for as long as it lives, and torch's current stream there.
struct Run {
  int32_t index;
  torch::stable::accelerator::DeviceGuard guard;
  cudaStream_t stream;

  explicit Run(const Tensor& x) : index(x.get_device_index()), guard(index) {
    void* current;
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(index, &current));
    stream = static_cast<cudaStream_t>(current);
  }

  cuda::Device device() const {
    int major = 0, minor = 0;
    finish(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index));
    finish(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index));
    return {major * 10 + minor, cuda::allow_tf32.load(std::memory_order_relaxed)};
  }

  Tensor empty(int64_t dims, Sizes sizes, Sizes strides, int32_t dtype) const {
    AtenTensorHandle handle;
    STABLE_TORCH_ERROR_CODE_CHECK(
        aoti_torch_empty_strided(dims, sizes, strides, dtype, aoti_torch_device_type_cuda(), index, &handle));
    return Tensor(handle);
  }
  Tensor empty(const Nhwc& like, int32_t dtype) const { return empty(4, like.sizes, like.strides, dtype); }
  Tensor vector(int64_t size, int32_t dtype) const {
    const int64_t stride = 1;
    return empty(1, &size, &stride, dtype);
  }

  static void finish(cudaError_t error) {
    STD_TORCH_CHECK(error == cudaSuccess, "cnnzoo's CUDA kernels: ", cudaGetErrorString(error));
  }
};

cuda::Tensor4 strided(const Tensor& tensor) {
  int64_t* s;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_strides(tensor.get(), &s));
  return {tensor.data_ptr(), {s[0], s[1], s[2], s[3]}};
}

uint8_t* bytes(const Tensor& tensor) { return static_cast<uint8_t*>(tensor.data_ptr()); }

// x, weight, bias, window → y, and where TRAIN place too
template <bool TRAIN>
void forward(StableIValue* stack, uint64_t, uint64_t) {
  Problem problem;
  if (!problem_of(stack[0], stack[1], stack[3], &problem))
    return pass_on(TRAIN ? "cnnzoo::conv_relu_maxpool_train_reference" : "cnnzoo::conv_relu_maxpool_reference", stack);
  const cnnzoo::Geometry& g = problem.g;
  const Tensor x = to<Tensor>(stack[0]);
  Tensor weight = to<Tensor>(stack[1]);
  std::optional<Tensor> bias = to<std::optional<Tensor>>(stack[2]);
  torch_delete_list(to<StableListHandle>(stack[3]));
  check(weight, "weight", x, problem.dtype, {g.K, g.C, g.R, g.S});
  if (bias) check(*bias, "bias", x, problem.dtype, {g.K});

  const Run run(x);
  weight = row_major(weight);
  if (bias) bias = row_major(*bias);
  const Nhwc shape(g.N, g.K, g.P(), g.Q());
  const Tensor y = run.empty(shape, problem.dtype);
  std::optional<Tensor> place;
  if (TRAIN) place = run.empty(shape, aoti_torch_dtype_uint8());
  Run::finish(cuda::forward({g, problem.type, run.device(), strided(x), weight.data_ptr(),
                             bias ? bias->data_ptr() : nullptr, y.data_ptr(), place ? bytes(*place) : nullptr},
                            run.stream));
  stack[0] = from(y);
  if (TRAIN) stack[1] = from(*place);
}

// grad_y, x, weight, place, window, need_x, need_weight → grad_x, grad_weight, grad_bias
void backward(StableIValue* stack, uint64_t, uint64_t) {
  Problem problem;
  if (!problem_of(stack[1], stack[2], stack[4], &problem))
    return pass_on("cnnzoo::conv_relu_maxpool_backward_reference", stack);
  const cnnzoo::Geometry& g = problem.g;
  const Tensor grad_y = to<Tensor>(stack[0]), x = to<Tensor>(stack[1]);
  Tensor weight = to<Tensor>(stack[2]), place = to<Tensor>(stack[3]);
  torch_delete_list(to<StableListHandle>(stack[4]));
  const bool need_x = to<bool>(stack[5]), need_weight = to<bool>(stack[6]);
  check(weight, "weight", x, problem.dtype, {g.K, g.C, g.R, g.S});
  check(grad_y, "grad_y", x, problem.dtype, {g.N, g.K, g.P(), g.Q()});
  check(place, "place", x, aoti_torch_dtype_uint8(), {g.N, g.K, g.P(), g.Q()});

  const Run run(x);
  // Hooks on saved tensors and vmap may have laid it out anew.
  place = torch::stable::contiguous(place, torch::headeronly::MemoryFormat::ChannelsLast);
  Tensor grad_x, grad_weight, grad_bias;
  if (need_x) {
    weight = row_major(weight);
    grad_x = run.empty(Nhwc(g.N, g.C, g.H, g.W), problem.dtype);
    Run::finish(cuda::backward_input(
        {g, problem.type, strided(grad_y), weight.data_ptr(), bytes(place), grad_x.data_ptr()}, run.stream));
  } else {
    grad_x = run.vector(0, problem.dtype);
  }
  if (need_weight) {
    const int64_t sizes[] = {g.K, g.C, g.R, g.S}, strides[] = {g.C * g.R * g.S, g.R * g.S, g.S, 1};
    grad_weight = run.empty(4, sizes, strides, problem.dtype);
    grad_bias = run.vector(g.K, problem.dtype);
    // Given back before the kernels have run: torch hands it only to later work on this stream.
    const Tensor workspace = run.vector(int64_t(cuda::backward_weight_workspace(g)), aoti_torch_dtype_uint8());
    Run::finish(cuda::backward_weight({g, problem.type, strided(x), strided(grad_y), bytes(place),
                                       grad_weight.data_ptr(), grad_bias.data_ptr(), workspace.data_ptr()},
                                      run.stream));
  } else {
    grad_weight = run.vector(0, problem.dtype);
    grad_bias = run.vector(0, problem.dtype);
  }
  stack[0] = from(grad_x);
  stack[1] = from(grad_weight);
  stack[2] = from(grad_bias);
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(cnnzoo, CUDA, m) {
  m.impl("conv_relu_maxpool", forward<false>);
  m.impl("conv_relu_maxpool_raw", forward<false>);
  m.impl("conv_relu_maxpool_train", forward<true>);
  m.impl("conv_relu_maxpool_train_raw", forward<true>);
  m.impl("conv_relu_maxpool_backward", backward);
  m.impl("conv_relu_maxpool_backward_raw", backward);
}
