// The CUDA binding of torch over emulated kernels: CPU tensors stand in for the device's, so that what csrc/bind_cuda.cpp
// does with the stack, shapes, strides and memory runs without a GPU. What is replaced is what only a device has.

#define USE_CUDA
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include "cuda/api.h"
#include "cuda/tf32.h"

namespace torch::stable::accelerator {
struct EmulatedGuard {
  explicit EmulatedGuard(int32_t) {}
};
}  // namespace torch::stable::accelerator

namespace {
AOTITorchError emulated_stream(int32_t, void** stream) {
  *stream = nullptr;
  return 0;
}
}  // namespace

extern "C" {
void emulated_allow_tf32(bool allow) { cnnzoo::cuda::allow_tf32 = allow; }
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrComputeCapabilityMajor ? 8 : 0;
  return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t) { return "the emulator refused a launch"; }
}

#define DeviceGuard EmulatedGuard
#define aoti_torch_get_current_cuda_stream emulated_stream
#define aoti_torch_device_type_cuda aoti_torch_device_type_cpu
#define is_cuda is_cpu
#define CUDA CPU

#include "../../../csrc/bind_cuda.cpp"
