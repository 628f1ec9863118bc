// Calls one pass with everything it needs: threads of its own, and a workspace of exactly the size asked for, filled
// with NaN so that a value read before it is written shows.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "conv_relu_maxpool.h"

// A thread a task; the tasks start in reverse, so nobody can lean on their order.
inline void run_threads(void*, int64_t tasks, void (*body)(void*, int64_t, int64_t), void* ctx) {
  std::vector<std::thread> threads;
  for (int64_t i = tasks; i-- > 1;) threads.emplace_back(body, ctx, i, i + 1);
  body(ctx, 0, 1);
  for (std::thread& thread : threads) thread.join();
}

inline cnnzoo::Pool threads(int n) { return {n, run_threads, nullptr}; }

struct Workspace {
  void* data;
  explicit Workspace(size_t bytes) : data(std::aligned_alloc(64, (bytes + 63) / 64 * 64)) {
    std::memset(data, 0xff, bytes);
  }
  ~Workspace() { std::free(data); }
  Workspace(const Workspace&) = delete;
};

template <class T, class Call>
void run(const cnnzoo::KernelsOf<T>& kernels, cnnzoo::Pass pass,
         void (*function)(const Call&, void*, const cnnzoo::Pool&), const Call& call, int n) {
  const cnnzoo::Pool pool = threads(n);
  const Workspace workspace(kernels.workspace_bytes(pass, call.geometry, n));
  function(call, workspace.data, pool);
}

template <class T>
void run(const cnnzoo::Kernels& k, const cnnzoo::ForwardOf<T>& c, int n) {
  run(k.of<T>(), cnnzoo::Pass::forward, k.of<T>().forward, c, n);
}
template <class T>
void run(const cnnzoo::Kernels& k, const cnnzoo::BackwardInputOf<T>& c, int n) {
  run(k.of<T>(), cnnzoo::Pass::backward_input, k.of<T>().backward_input, c, n);
}
template <class T>
void run(const cnnzoo::Kernels& k, const cnnzoo::BackwardWeightOf<T>& c, int n) {
  run(k.of<T>(), cnnzoo::Pass::backward_weight, k.of<T>().backward_weight, c, n);
}

inline const char* text(const cnnzoo::Geometry& g) {
  static char out[256];
  std::snprintf(out, sizeof out,
                "N %lld  C %lld  %lldx%lld  K %lld  kernel %lldx%lld stride %lld,%lld padding %lld,%lld  "
                "pool %lldx%lld stride %lld,%lld padding %lld,%lld",
                (long long)g.N, (long long)g.C, (long long)g.H, (long long)g.W, (long long)g.K, (long long)g.R,
                (long long)g.S, (long long)g.stride_h, (long long)g.stride_w, (long long)g.padding_h,
                (long long)g.padding_w, (long long)g.pool_h, (long long)g.pool_w, (long long)g.pool_stride_h,
                (long long)g.pool_stride_w, (long long)g.pool_padding_h, (long long)g.pool_padding_w);
  return out;
}
