// The CUDA runtime as far as a launcher needs it: every launch goes to a function of the test, which runs the kernel's
// PTX. Linked instead of libcudart with the host code that nvcc made, so the launchers under test are the real ones.

#include <cuda_runtime_api.h>

#include <map>
#include <string>

namespace {

// Returns 0, or what the launch returns as its error.
using OnLaunch = int (*)(const char* kernel, const unsigned* grid, const unsigned* block, size_t shared, void** arguments);

OnLaunch on_launch = nullptr;

std::map<const void*, std::string>& kernels() {
  static std::map<const void*, std::string> found;  // filled before main, in any order
  return found;
}

}  // namespace

extern "C" {

void set_on_launch(OnLaunch function) { on_launch = function; }

void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 0; }

void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*, int*) {
  kernels()[host] = name;
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  const unsigned grid[] = {config->gridDim.x, config->gridDim.y, config->gridDim.z};
  const unsigned block[] = {config->blockDim.x, config->blockDim.y, config->blockDim.z};
  const std::string& name = kernels()[function];
  return cudaError_t(on_launch(name.c_str(), grid, block, config->dynamicSmemBytes, arguments));
}

// The other way to launch, <<<>>>, which the launchers do not take.
cudaError_t __cudaGetKernel(cudaKernel_t*, const void*) { return cudaErrorNotSupported; }
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t) { return cudaErrorNotSupported; }
unsigned __cudaPopCallConfiguration(dim3*, dim3*, size_t*, void*) { return 1; }

}  // extern "C"
