// What all bindings of CPU kernels share: the kernels in use, torch's threads, and memory that is kept from call to call.
//
// One set of flags for all of them: whichever has used threads before a fork, none may wait for them after it.
#pragma once

#include <pthread.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "conv_relu_maxpool.h"

namespace cnnzoo::binding {

// OpenMP's threads do not survive a fork, and waiting for them would never end: a child of a process that has used them
// works alone, with the same bits.
inline std::atomic<bool> used_threads{false}, works_alone{false};
[[maybe_unused]] inline const int watch_forks = pthread_atfork(nullptr, nullptr, [] { works_alone = used_threads.load(); });

inline void run_on_torch_threads(void*, int64_t tasks, void (*run)(void*, int64_t, int64_t), void* ctx) {
  if (tasks <= 1 || works_alone) return run(ctx, 0, tasks);
  used_threads = true;
  struct Body {
    void (*run)(void*, int64_t, int64_t);
    void* ctx;
  } body{run, ctx};
  const auto call = [](int64_t begin, int64_t end, void* it) {
    const Body* body = static_cast<const Body*>(it);
    body->run(body->ctx, begin, end);
  };
  STABLE_TORCH_ERROR_CODE_CHECK(torch_parallel_for(0, tasks, 1, call, &body));
}

inline Pool torch_pool() {
  uint32_t threads;
  STABLE_TORCH_ERROR_CODE_CHECK(torch_get_num_threads(&threads));
  return {int(threads), run_on_torch_threads, nullptr};
}

inline const Kernels& current_kernels() {
  std::string error;
  const Kernels* kernels = current(&error);
  STD_TORCH_CHECK(kernels, error);
  return *kernels;
}

// One for each thread that calls, and kept: a fresh one would cost page faults on every step.
inline void* workspace(size_t size) {
  struct Buffer {
    void* data = nullptr;
    size_t size = 0;
    ~Buffer() { std::free(data); }
  };
  thread_local Buffer buffer;
  if (buffer.size < size) {
    std::free(buffer.data);
    buffer.size = (size + size / 4 + 4095) / 4096 * 4096;
    buffer.data = std::aligned_alloc(64, buffer.size);
    if (!buffer.data) buffer.size = 0;
    STD_TORCH_CHECK(buffer.data, "not enough memory for a workspace of ", size, " bytes");
  }
  return buffer.data;
}
}  // namespace cnnzoo::binding
