// What the lanes of a warp do together: shuffles, and the twins of the PTX in csrc/cuda/platform.cuh.
//
// The fragment layouts are those of the PTX manual, "Matrix Fragments for mma.m16n8k16" and "mma.m16n8k8", written
// element by element: who holds row i, column j.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstring>

#include "emulator.h"

namespace emulated {

inline void syncwarp(const char* site, unsigned mask = 0xffffffffu) { exchange(mask, site, nullptr, 0, nullptr); }

template <class T>
T shuffle_xor(const char* site, unsigned mask, T value, int by) {
  T all[32];
  exchange(mask, site, &value, sizeof value, all);
  const unsigned from = lane ^ unsigned(by);
  if (!(mask >> from & 1)) fail("%s: shuffle reads lane %u outside of mask %08x", site, from, mask);
  return all[from];
}

// Ten bits of mantissa, to nearest, ties away from zero.
inline float to_tf32(float a) {
  uint32_t bits;
  std::memcpy(&bits, &a, 4);
  if ((bits & 0x7f800000u) != 0x7f800000u) bits += 0x1000u;
  bits &= ~0x1fffu;
  if (a != a) bits = 0x7fffffffu;
  std::memcpy(&a, &bits, 4);
  return a;
}

inline float element(uint32_t word, int high, __nv_bfloat16) {
  const uint32_t bits = high ? word & 0xffff0000u : word << 16;
  float a;
  std::memcpy(&a, &bits, 4);
  return a;
}

inline float element(uint32_t word, int high, __half) {
  __half_raw raw;
  raw.x = static_cast<unsigned short>(high ? word >> 16 : word);
  return __half2float(__half(raw));
}

inline float element(uint32_t word, int, float) {
  float a;
  std::memcpy(&a, &word, 4);
  if (word & 0x1fffu && a == a) fail("mma.sync on TF32 got %a, which was never rounded to TF32", double(a));
  return a;
}

struct Fragments {
  uint32_t a[4], b[2];
};

// Where A (16 x depth) keeps row i, column j: which lane, which register, which half of it. Two values a register are
// two neighbouring columns; PER is 1 for TF32.
template <int PER>
struct PlaceA {
  int lane, index, high;
  PlaceA(int i, int j)
      : lane(i % 8 * 4 + j % (4 * PER) / PER), index(i / 8 + 2 * (j / (4 * PER))), high(j % PER) {}
};

// And where B (depth x 8) keeps row i, column j.
template <int PER>
struct PlaceB {
  int lane, index, high;
  PlaceB(int i, int j) : lane(j * 4 + i % (4 * PER) / PER), index(i / (4 * PER)), high(i % PER) {}
};

template <class T>
void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], T) {
  constexpr int PER = 4 / sizeof(T), DEPTH = 8 * PER;
  Fragments mine, all[32];
  std::memcpy(mine.a, a, sizeof mine.a);
  std::memcpy(mine.b, b, sizeof mine.b);
  exchange(0xffffffffu, "mma.sync", &mine, sizeof mine, all);
  for (int i = 0; i < 4; ++i) {
    const int row = int(lane) / 4 + i / 2 * 8, column = int(lane) % 4 * 2 + i % 2;
    float sum = 0.0f;
    for (int k = 0; k < DEPTH; ++k) {
      const PlaceA<PER> x(row, k);
      const PlaceB<PER> y(k, column);
      sum += element(all[x.lane].a[x.index], x.high, T()) * element(all[y.lane].b[y.index], y.high, T());
    }
    d[i] += sum;
  }
}

}  // namespace emulated
