// The only file that knows inline PTX, architectures, and that the same source is also compiled for a CPU.
//
// With CNNZOO_EMULATED the emulator in tests/cuda/emulated stands in for <cuda_runtime.h>; whatever is written here in
// PTX has a twin there, by the same name.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

// Dynamic shared memory, the only kind in use: `name` points at bytes aligned to 16.
#ifdef CNNZOO_EMULATED
#define CNNZOO_SHARED(name) unsigned char* const name = static_cast<unsigned char*>(emulated::dynamic_shared())
#else
#define CNNZOO_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

namespace cnnzoo::cuda {

__device__ __forceinline__ float to_float(float a) { return a; }
__device__ __forceinline__ float to_float(__nv_bfloat16 a) { return __bfloat162float(a); }
__device__ __forceinline__ float to_float(__half a) { return __half2float(a); }

// To nearest, ties to even.
template <class T>
__device__ __forceinline__ T from_float(float a);
template <>
__device__ __forceinline__ float from_float<float>(float a) {
  return a;
}
template <>
__device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float a) {
  return __float2bfloat16_rn(a);
}
template <>
__device__ __forceinline__ __half from_float<__half>(float a) {
  return __float2half_rn(a);
}

// As it comes back from memory in T.
template <class T>
__device__ __forceinline__ float rounded(float a) {
  return to_float(from_float<T>(a));
}

#ifdef CNNZOO_EMULATED
using emulated::mma;
using emulated::to_tf32;
#else

// The ten bits of mantissa that TF32 keeps, to nearest, ties away from zero.
__device__ __forceinline__ float to_tf32(float a) {
#if __CUDA_ARCH__ >= 800
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(a));
  return __uint_as_float(bits);
#else
  return a;  // never reached: the launcher takes TF32 only where the device has it
#endif
}

// d (16x8) += a (16x16) * b (16x8), one warp. With g = lane / 4 and t = lane % 4, a holds the pairs of columns
// 2t, 2t + 1 of rows g and g + 8, then columns 2t + 8, 2t + 9 of the same rows; b the pairs of rows 2t, 2t + 1 and
// 2t + 8, 2t + 9 of column g; d columns 2t, 2t + 1 of row g, then of row g + 8.
__device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], __nv_bfloat16) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

__device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], __half) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else  // sm_75 has half of it: the first eight columns of a with the first eight rows of b, then the others
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(b[0]));
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[2]), "r"(a[3]), "r"(b[1]));
#endif
}

// d (16x8) += a (16x8) * b (8x8) in TF32: a holds column t of rows g and g + 8, then column t + 4; b rows t and t + 4
// of column g.
__device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], float) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

#endif

}  // namespace cnnzoo::cuda
