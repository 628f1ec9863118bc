// The emulator as kernels and tests see it: one fiber a CUDA thread, one block at a time, in a seeded order.
//
// It is unkind on purpose. Between two barriers threads run in an order that the seed picks, and so do blocks. Shared
// memory is full of NaN, ends where it ends, and begins at an odd multiple of the alignment it promises. Asynchronous
// copies arrive only when waited for. A launch that breaks a rule fails, and message() says which.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace emulated {

extern unsigned lane;  // of the running thread

void* dynamic_shared();
void barrier(const char* site);
// All lanes of the mask hand in `bytes` and get everybody's: out[32][bytes]. With 0 bytes a __syncwarp.
void exchange(unsigned mask, const char* site, const void* in, size_t bytes, void* out);
void fence();
void async_copy(void* to, const void* from, size_t bytes);
void async_commit();
void async_wait(unsigned prior);

// Gives the launch up: it returns cudaErrorLaunchFailure.
void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

cudaError_t launch(dim3 grid, dim3 block, size_t shared, void (*entry)(void*), void* arguments);

// 0: threads and blocks in ascending order, 1: descending, else at random.
void seed(unsigned long seed);

// The first complaint of the last launch that failed.
const char* message();

}  // namespace emulated
