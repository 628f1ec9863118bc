// One launch, and the one place that knows how: cudaLaunchKernelEx, which the emulator has too.
#pragma once

#include "platform.cuh"

namespace cnnzoo::cuda {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class Parameters>
cudaError_t launch(void (*kernel)(Parameters), dim3 grid, int threads, size_t shared, cudaStream_t stream,
                   const Parameters& parameters) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = dim3(unsigned(threads));
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, parameters);
}

}  // namespace cnnzoo::cuda
