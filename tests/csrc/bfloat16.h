// bfloat16 for tests: the value of its bits, and the nearest one to a number, to even where two are.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "conv_relu_maxpool.h"

inline float widen(float a) { return a; }

inline float widen(cnnzoo::bf16 a) {
  const uint32_t bits = uint32_t(a) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

// By scaling, not by bits: a step is 2^-7 of the power of two below, and never less than the least number's, 2^-133.
inline double nearest_bf16(double a) {
  if (!std::isfinite(a) || a == 0) return a;
  const double step = std::ldexp(1.0, std::max(std::ilogb(a) - 7, -133));
  const double rounded = std::nearbyint(a / step) * step;
  return std::fabs(rounded) >= std::ldexp(1.0, 128) ? std::copysign(INFINITY, a) : rounded;
}

inline cnnzoo::bf16 round_to_bf16(float a) {
  const float rounded = float(nearest_bf16(a));
  uint32_t bits;
  std::memcpy(&bits, &rounded, sizeof bits);
  return cnnzoo::bf16(bits >> 16 | (std::isnan(a) ? 1 : 0));
}
