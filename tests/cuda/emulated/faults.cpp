// Small kernels with a fault planted in each, to see that the emulator notices: the test of the tests.
//
//   faults NAME PLANTED [seed]     PLANTED 0 is the sound kernel, 1 the broken one
//
// The exit status says what happened: 0 right, 1 wrong values, 2 a launch that failed with a message; a sanitizer that
// stops the program has a status of its own.

#include <cuda_pipeline_primitives.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "cuda/launch.cuh"
#include "memory.h"

namespace {

using cnnzoo::cuda::launch;

struct Pointers {
  const float* in;
  float* out;
  unsigned* ticket;
  int size;
};

template <bool BROKEN>
__global__ void missing_barrier(const Pointers p) {  // reads what a neighbour has not written yet
  CNNZOO_SHARED(shared);
  float* const s = reinterpret_cast<float*>(shared);
  s[threadIdx.x] = float(threadIdx.x);
  if (!BROKEN) __syncthreads();
  p.out[threadIdx.x] = s[blockDim.x - 1 - threadIdx.x];
}

template <bool BROKEN>
__global__ void overwritten_too_early(const Pointers p) {  // the barrier after the reads is missing
  CNNZOO_SHARED(shared);
  float* const s = reinterpret_cast<float*>(shared);
  for (int round = 0; round < 2; ++round) {
    if (!BROKEN) __syncthreads();
    s[threadIdx.x] = float(round * 100 + int(threadIdx.x));
    __syncthreads();
    p.out[round * int(blockDim.x) + int(threadIdx.x)] = s[blockDim.x - 1 - threadIdx.x];
  }
}

template <bool BROKEN>
__global__ void divergent_barrier(const Pointers p) {
  if (threadIdx.x % 2 == 0 || !BROKEN)
    __syncthreads();
  else
    __syncthreads();
  p.out[threadIdx.x] = 1.0f;
}

template <bool BROKEN>
__global__ void early_return(const Pointers p) {
  if (BROKEN && int(threadIdx.x) >= p.size / 2) return;
  __syncthreads();
  p.out[threadIdx.x] = 1.0f;
}

template <bool BROKEN>
__global__ void past_global(const Pointers p) {
  p.out[threadIdx.x] = p.in[threadIdx.x + (BROKEN && int(threadIdx.x) == p.size - 1)];
}

template <bool BROKEN>
__global__ void past_shared(const Pointers p) {
  CNNZOO_SHARED(shared);
  float* const s = reinterpret_cast<float*>(shared);
  s[threadIdx.x + BROKEN] = float(threadIdx.x);
  p.out[threadIdx.x] = s[threadIdx.x + BROKEN];
}

template <bool BROKEN>
__global__ void misaligned(const Pointers p) {  // 16 bytes at once, from an address that promises 4
  CNNZOO_SHARED(shared);
  float* const s = reinterpret_cast<float*>(shared);
  for (int i = 0; i < 4; ++i) s[threadIdx.x * 4 + unsigned(i) + BROKEN] = float(i);
  const float4 four = *reinterpret_cast<const float4*>(s + threadIdx.x * 4 + BROKEN);
  p.out[threadIdx.x] = four.w;
}

template <bool BROKEN>
__global__ void never_written(const Pointers p) {
  CNNZOO_SHARED(shared);
  float* const s = reinterpret_cast<float*>(shared);
  if (!BROKEN || threadIdx.x != 5) s[threadIdx.x] = 1.0f;
  __syncthreads();
  p.out[threadIdx.x] = s[threadIdx.x];
}

template <bool BROKEN>
__global__ void unwritten_output(const Pointers p) {
  if (!BROKEN || threadIdx.x != 7) p.out[threadIdx.x] = 1.0f;
}

template <bool BROKEN>
__global__ void blocks_race(const Pointers p) {  // two blocks write one element
  p.out[BROKEN ? threadIdx.x : blockIdx.x * blockDim.x + threadIdx.x] = 1.0f;
}

template <bool BROKEN>
__global__ void last_block(const Pointers p) {  // the last block adds up what the others left, with no fence between
  if (threadIdx.x != 0) return;
  p.out[1 + blockIdx.x] = float(blockIdx.x);
  if (!BROKEN) __threadfence();
  if (atomicAdd(p.ticket, 1u) != gridDim.x - 1) return;
  if (!BROKEN) __threadfence();
  float sum = 0.0f;
  for (unsigned i = 0; i < gridDim.x; ++i) sum += p.out[1 + i];
  p.out[0] = sum;
}

template <bool BROKEN>
__global__ void missing_syncwarp(const Pointers p) {
  CNNZOO_SHARED(shared);
  float* const s = reinterpret_cast<float*>(shared);
  s[threadIdx.x] = float(threadIdx.x);
  if (!BROKEN) __syncwarp();
  p.out[threadIdx.x] = s[threadIdx.x ^ 31];
}

template <bool BROKEN>
__global__ void shuffle_mask(const Pointers p) {  // a full mask where half of the warp calls
  float v = float(threadIdx.x);
  if (threadIdx.x < 16) v = __shfl_xor_sync(BROKEN ? 0xffffffffu : 0xffffu, v, 1);
  p.out[threadIdx.x] = v;
}

template <bool BROKEN>
__global__ void copy_not_awaited(const Pointers p) {
  CNNZOO_SHARED(shared);
  float* const s = reinterpret_cast<float*>(shared);
  __pipeline_memcpy_async(s + threadIdx.x * 4, p.in + threadIdx.x * 4, 16);
  __pipeline_commit();
  __pipeline_wait_prior(BROKEN ? 1 : 0);
  __syncthreads();
  p.out[threadIdx.x] = s[threadIdx.x];
}

template <bool BROKEN>
__global__ void raw_tf32(const Pointers p) {  // float32 handed to a product that wants TF32
  const float a = BROKEN ? 1.0001f : cnnzoo::cuda::to_tf32(1.0001f);
  uint32_t bits;
  std::memcpy(&bits, &a, 4);
  float d[4] = {};
  cnnzoo::cuda::mma(d, {bits, bits, bits, bits}, {bits, bits}, 0.0f);
  p.out[threadIdx.x] = d[0];
}

// Runs one kernel on one or more blocks; expects out[i] == want(i).
template <class Want>
int run(void (*kernel)(Pointers), unsigned blocks, int threads, size_t shared, int outputs, const Want& want) {
  Buffer<float> in(size_t(threads) * (shared >= 16 * size_t(threads) ? 4 : 1)), out{size_t(outputs)};
  Buffer<unsigned> ticket(1);
  for (size_t i = 0; i < in.size; ++i) in.data[i] = float(i);
  *ticket.data = 0;
  const Pointers p = {in.data, out.data, ticket.data, threads};
  if (launch(kernel, dim3(blocks), threads, shared, nullptr, p) != cudaSuccess) {
    std::printf("%s\n", emulated::message());
    return 2;
  }
  for (int i = 0; i < outputs; ++i)
    if (!(out.data[i] == want(i))) return std::printf("element %d is wrong\n", i), 1;
  return 0;
}

template <bool B>
int run(const std::string& name) {
  const auto one = [](int) { return 1.0f; };
  const auto itself = [](int i) { return float(i); };
  const auto other = [](int i) { return float(63 - i); };
  if (name == "missing_barrier") return run(missing_barrier<B>, 1, 64, 256, 64, other);
  if (name == "overwritten_too_early")
    return run(overwritten_too_early<B>, 1, 64, 256, 128, [&](int i) { return float(i / 64 * 100) + other(i % 64); });
  if (name == "divergent_barrier") return run(divergent_barrier<B>, 1, 64, 0, 64, one);
  if (name == "early_return") return run(early_return<B>, 1, 64, 0, B ? 32 : 64, one);
  if (name == "past_global") return run(past_global<B>, 1, 64, 0, 64, itself);
  if (name == "past_shared") return run(past_shared<B>, 1, 64, 256, 64, itself);
  if (name == "misaligned") return run(misaligned<B>, 1, 32, 32 * 16 + 4 * B, 32, [](int) { return 3.0f; });
  if (name == "never_written") return run(never_written<B>, 1, 64, 256, 64, one);
  if (name == "unwritten_output") return run(unwritten_output<B>, 1, 64, 0, 64, one);
  if (name == "blocks_race") return run(blocks_race<B>, 2, 32, 0, B ? 32 : 64, one);
  if (name == "last_block")
    return run(last_block<B>, 16, 32, 0, 17, [](int i) { return i == 0 ? 120.0f : float(i - 1); });
  if (name == "missing_syncwarp") return run(missing_syncwarp<B>, 1, 32, 128, 32, [](int i) { return float(i ^ 31); });
  if (name == "shuffle_mask")
    return run(shuffle_mask<B>, 1, 32, 0, 32, [](int i) { return float(i < 16 ? i ^ 1 : i); });
  if (name == "copy_not_awaited") return run(copy_not_awaited<B>, 1, 32, 512, 32, itself);
  if (name == "raw_tf32")
    return run(raw_tf32<B>, 1, 32, 0, 32, [](int) { return 8.0f * emulated::to_tf32(1.0001f) * emulated::to_tf32(1.0001f); });
  if (name == "too_many_threads") return run(unwritten_output<false>, 1, B ? 2048 : 64, 0, B ? 2048 : 64, one);
  if (name == "too_much_shared") return run(past_shared<false>, 1, 64, B ? 50000 : 256, 64, itself);
  std::printf("no fault of this name\n");
  return 3;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string name = count > 1 ? arguments[1] : "";
  emulated::seed(count > 3 ? std::strtoul(arguments[3], nullptr, 10) : 0);
  return count > 2 && std::string(arguments[2]) == "1" ? run<true>(name) : run<false>(name);
}
