// The slow obvious answer, in double: one loop a letter, straight from the contract in conv_relu_maxpool.h.
//
//   N images   C channels   H W input    K filters   R S kernel   P Q pooled    I J position of the convolution
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "conv_relu_maxpool.h"

namespace reference {

using cnnzoo::Geometry;
using cnnzoo::Strided;

inline double value(const Strided& t, int64_t n, int64_t c, int64_t h, int64_t w) {
  return t.data[n * t.stride[0] + c * t.stride[1] + h * t.stride[2] + w * t.stride[3]];
}

// x with its zero padding; (h, w) counts from the padding's corner.
inline double padded(const Geometry& g, const Strided& x, int64_t n, int64_t c, int64_t h, int64_t w) {
  h -= g.padding_h, w -= g.padding_w;
  return h >= 0 && h < g.H && w >= 0 && w < g.W ? value(x, n, c, h, w) : 0.0;
}

// conv(x, weight) + bias: (N, I, J, K), and the sum of magnitudes that bounds a float32 answer's error.
struct Convolution {
  std::vector<double> sum, magnitude;
};

inline Convolution convolve(const cnnzoo::Forward& f) {
  const Geometry& g = f.geometry;
  Convolution out;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t i = 0; i < g.conv_h(); ++i)
      for (int64_t j = 0; j < g.conv_w(); ++j)
        for (int64_t k = 0; k < g.K; ++k) {
          double sum = f.bias ? f.bias[k] : 0.0, magnitude = std::fabs(sum);
          const float* w = f.weight + k * g.C * g.R * g.S;
          for (int64_t c = 0; c < g.C; ++c)
            for (int64_t r = 0; r < g.R; ++r)
              for (int64_t s = 0; s < g.S; ++s) {
                const double a = padded(g, f.x, n, c, i * g.stride_h + r, j * g.stride_w + s) * *w++;
                sum += a, magnitude += std::fabs(a);
              }
          out.sum.push_back(sum), out.magnitude.push_back(magnitude);
        }
  return out;
}

// One output of the pool, as torch's loop finds it: y before rounding, and its place.
struct Output {
  double y;
  uint8_t place;
};

// The index in Convolution of window position a of output (n, p, q, k), or -1 in the pool's padding.
inline int64_t position(const Geometry& g, int64_t n, int64_t p, int64_t q, int64_t k, int64_t a) {
  const int64_t i = p * g.pool_stride_h - g.pool_padding_h + a / g.pool_w;
  const int64_t j = q * g.pool_stride_w - g.pool_padding_w + a % g.pool_w;
  if (i < 0 || i >= g.conv_h() || j < 0 || j >= g.conv_w()) return -1;
  return ((n * g.conv_h() + i) * g.conv_w() + j) * g.K + k;
}

inline Output pool(const Geometry& g, const Convolution& conv, int64_t n, int64_t p, int64_t q, int64_t k) {
  double max = -INFINITY;
  int64_t place = -1;
  for (int64_t a = 0; a < g.pool_h * g.pool_w; ++a) {
    const int64_t at = position(g, n, p, q, k, a);
    if (at < 0) continue;
    if (place < 0) place = a;
    if (conv.sum[at] > max || std::isnan(conv.sum[at])) max = conv.sum[at], place = a;
  }
  if (max <= 0) return {0.0, cnnzoo::DEAD};
  return {max, uint8_t(place)};
}

// Gradients of given places: all go to the place, and nothing where it is DEAD.
struct Gradients {
  std::vector<double> x, weight, bias;           // (N, H, W, C), (K, C, R, S), (K)
  std::vector<double> x_size, weight_size, bias_size;  // sums of magnitudes
};

inline Gradients backward(const Geometry& g, const Strided& x, const float* weight, const Strided& grad_y,
                          const uint8_t* place) {
  Gradients d;
  d.x.assign(g.N * g.H * g.W * g.C, 0.0), d.weight.assign(g.K * g.C * g.R * g.S, 0.0), d.bias.assign(g.K, 0.0);
  d.x_size = d.x, d.weight_size = d.weight, d.bias_size = d.bias;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t p = 0; p < g.P(); ++p)
      for (int64_t q = 0; q < g.Q(); ++q)
        for (int64_t k = 0; k < g.K; ++k) {
          const int64_t a = *place++;
          if (a == cnnzoo::DEAD) continue;
          const double gy = value(grad_y, n, k, p, q);
          d.bias[k] += gy, d.bias_size[k] += std::fabs(gy);
          const int64_t i = p * g.pool_stride_h - g.pool_padding_h + a / g.pool_w;
          const int64_t j = q * g.pool_stride_w - g.pool_padding_w + a % g.pool_w;
          for (int64_t c = 0; c < g.C; ++c)
            for (int64_t r = 0; r < g.R; ++r)
              for (int64_t s = 0; s < g.S; ++s) {
                const int64_t h = i * g.stride_h + r, w = j * g.stride_w + s;
                const int64_t tap = ((k * g.C + c) * g.R + r) * g.S + s;
                const double dw = gy * padded(g, x, n, c, h, w);
                d.weight[tap] += dw, d.weight_size[tap] += std::fabs(dw);
                const int64_t y = h - g.padding_h, z = w - g.padding_w;
                if (y < 0 || y >= g.H || z < 0 || z >= g.W) continue;
                const int64_t pixel = ((n * g.H + y) * g.W + z) * g.C + c;
                const double dx = gy * weight[tap];
                d.x[pixel] += dx, d.x_size[pixel] += std::fabs(dx);
              }
        }
  return d;
}

}  // namespace reference
