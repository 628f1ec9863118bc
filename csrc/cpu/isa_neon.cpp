// NEON, which every 64-bit ARM has: 4 lanes, 32 registers.

#include "isa.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include <cstring>

namespace cnnzoo {
namespace {

constexpr const char* NAME = "neon";
constexpr int RANK = 10;
constexpr int LANES = 4;
constexpr int ACCUMULATORS = 24;  // of 32 registers: the others hold weights and a broadcast

using Vec = float32x4_t;
using Mask = uint32x4_t;
using Labels = uint32x4_t;  // 32 bits a lane

bool supported() { return true; }

inline Vec zero() { return vdupq_n_f32(0); }
inline Vec splat(float a) { return vdupq_n_f32(a); }
inline Vec load(const float* p) { return vld1q_f32(p); }
inline void store(float* p, Vec v) { vst1q_f32(p, v); }
inline void store(float* p, Vec v, int n) { std::memcpy(p, &v, size_t(n) * sizeof(float)); }
inline Vec add(Vec a, Vec b) { return vaddq_f32(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
inline Vec maximum(Vec a, Vec b) { return vmaxq_f32(a, b); }

inline Mask above(Vec a, Vec b) { return vcgtq_f32(a, b); }
inline Mask unordered(Vec a, Vec b) { return vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b))); }
inline Mask either(Mask a, Mask b) { return vorrq_u32(a, b); }
inline bool any(Mask a) { return vmaxvq_u32(a) != 0; }
inline Vec pick(Mask m, Vec yes, Vec no) { return vbslq_f32(m, yes, no); }

inline Labels label(uint8_t a) { return vdupq_n_u32(a); }
inline Labels pick(Mask m, Labels yes, Labels no) { return vbslq_u32(m, yes, no); }
inline void store(uint8_t* p, Labels a, int n) {
  const uint8x8_t bytes = vmovn_u16(vcombine_u16(vmovn_u32(a), vdup_n_u16(0)));
  std::memcpy(p, &bytes, size_t(n));
}
inline void store(uint8_t* p, Labels a) { store(p, a, LANES); }

inline Labels places(const uint8_t* p) {
  uint32_t four;
  std::memcpy(&four, p, sizeof four);
  return vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)))));
}
inline Mask alive(const uint8_t* place) { return vmvnq_u32(vceqq_u32(places(place), label(DEAD))); }  // lane by lane

inline uint32_t equal32(const uint8_t* p, uint8_t a) {  // bit i: p[i] == a
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
  uint32_t bits = 0;
  for (int i = 0; i < 2; ++i) {
    const uint8x16_t equal = vandq_u8(vceqq_u8(vld1q_u8(p + 16 * i), vdupq_n_u8(a)), bit);
    bits |= (uint32_t(vaddv_u8(vget_low_u8(equal))) | uint32_t(vaddv_u8(vget_high_u8(equal))) << 8) << 16 * i;
  }
  return bits;
}

// Lane i of the result is four[place[i] % 4]: the control names the bytes of that float.
inline uint8x16_t lookup_control(const uint8_t* place) {
  const uint32x4_t first = vmulq_n_u32(vandq_u32(places(place), vdupq_n_u32(3)), 0x04040404);
  return vreinterpretq_u8_u32(vaddq_u32(first, vdupq_n_u32(0x03020100)));
}
inline Vec lookup(const float* four, uint8x16_t place) {
  return vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(vld1q_f32(four)), place));
}

#include "kernels.inl"

}  // namespace
}  // namespace cnnzoo
#endif
