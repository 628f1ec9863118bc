// Stands in for <cuda_runtime.h> when g++ compiles kernels for the CPU: the words of CUDA C++ that they use.
//
// Types and declarations come from the toolkit's own headers, and so does the arithmetic of bfloat16 and half. What a
// kernel may call and is not here does not compile, which is the point: nothing runs that nobody emulated.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#undef __global__
#undef __device__
#undef __host__
#undef __forceinline__
#undef __launch_bounds__
#undef __restrict__
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__

#include "emulator.h"
#include "warp.h"

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

#define EMULATED_STRING2(x) #x
#define EMULATED_STRING(x) EMULATED_STRING2(x)
#define EMULATED_SITE __FILE__ ":" EMULATED_STRING(__LINE__)
#define __syncthreads() emulated::barrier(EMULATED_SITE)
#define __syncwarp(...) emulated::syncwarp(EMULATED_SITE __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_xor_sync(...) emulated::shuffle_xor(EMULATED_SITE, __VA_ARGS__)

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
inline void __threadfence() { emulated::fence(); }

inline unsigned atomicAdd(unsigned* p, unsigned v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }

inline void __pipeline_memcpy_async(void* to, const void* from, size_t bytes) { emulated::async_copy(to, from, bytes); }
inline void __pipeline_commit() { emulated::async_commit(); }
inline void __pipeline_wait_prior(unsigned n) { emulated::async_wait(n); }

template <class... P, class... A>
inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(P...), A&&... arguments) {
  auto body = [kernel, arguments...]() { kernel(static_cast<P>(arguments)...); };
  return emulated::launch(
      config->gridDim, config->blockDim, config->dynamicSmemBytes,
      [](void* it) { (*static_cast<decltype(body)*>(it))(); }, &body);
}
template <class T>
inline cudaError_t cudaMalloc(T** p, size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(p), bytes);
}
