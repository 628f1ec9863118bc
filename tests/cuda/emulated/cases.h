// One case of the test: sizes, type, device, layout and values, all from a seed.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "cuda/api.h"

struct Case {
  cnnzoo::Geometry g;
  cnnzoo::cuda::Type type;
  cnnzoo::cuda::Device device;
  bool integers, specials, with_bias, training;
  int layout, grad_layout;  // 0 NCHW, 1 channels_last, 2 every other column of a larger tensor, 3 expanded over images
  uint64_t seed;
};

inline int64_t choose(std::mt19937_64& random, std::initializer_list<int64_t> from) {
  return from.begin()[random() % from.size()];
}

// A geometry that is small, and covered.
inline cnnzoo::Geometry random_geometry(std::mt19937_64& random) {
  for (;;) {
    cnnzoo::Geometry g = {};
    g.N = choose(random, {0, 1, 1, 2, 2, 3}), g.C = choose(random, {1, 1, 2, 3, 9, 16, 17, 24, 33, 40});
    g.K = choose(random, {1, 3, 8, 9, 31, 32, 33, 45});
    g.R = choose(random, {1, 2, 3, 3, 3, 5, 11}), g.S = random() % 3 ? g.R : choose(random, {1, 3, 4, 7});
    g.stride_h = choose(random, {1, 1, 1, 2, 3, 4}), g.stride_w = random() % 3 ? g.stride_h : 1;
    g.padding_h = choose(random, {0, 0, 1, 2}), g.padding_w = random() % 3 ? g.padding_h : 1;
    g.pool_h = choose(random, {1, 2, 2, 2, 3, 3, 5}), g.pool_w = random() % 4 ? g.pool_h : choose(random, {1, 2, 4});
    g.pool_stride_h = random() % 2 ? g.pool_h : choose(random, {1, 2, 3}), g.pool_stride_w = random() % 3 ? g.pool_stride_h : 2;
    g.pool_padding_h = random() % 3 ? 0 : g.pool_h / 2, g.pool_padding_w = random() % 3 ? 0 : g.pool_w / 2;
    g.H = int64_t(1 + random() % 20), g.W = int64_t(1 + random() % 20);
    if (random() % 3 == 0)  // the one that the compiler knows by heart
      g.R = g.S = 3, g.stride_h = g.stride_w = 1, g.pool_h = g.pool_w = 2, g.pool_padding_h = g.pool_padding_w = 0;
    if (cnnzoo::cuda::covers(g)) continue;
    const int64_t work = g.N * g.K * g.C * g.R * g.S * g.conv_h() * g.conv_w();
    if (work < 400000) return g;
  }
}

inline Case random_case(uint64_t seed) {
  using cnnzoo::cuda::Type;
  std::mt19937_64 random(seed);
  random.discard(8);
  Case c = {};
  c.seed = seed;
  c.g = random_geometry(random);
  // What small problems do not reach: a block that takes several tiles, and a filter that is staged in pieces.
  if (seed % 64 == 5) c.g = {520, 1, 4, 5, 3, 3, 3, 1, 1, 0, 0, 2, 2, 2, 2, 0, 0};
  if (seed % 64 == 6) c.g = {2, 2, 21, 22, 3, 20, 20, 1, 1, 0, 0, 2, 2, 1, 1, 0, 0};
  c.type = std::initializer_list<Type>{Type::float32, Type::bfloat16, Type::float16}.begin()[random() % 3];
  c.device = {int(choose(random, {75, 80, 90})), random() % 2 == 0};
  c.integers = random() % 3 != 0;
  c.specials = random() % 4 == 0;
  c.with_bias = random() % 4 != 0;
  c.training = random() % 5 != 0 || seed % 64 == 5 || seed % 64 == 6;
  c.layout = int(random() % 4), c.grad_layout = int(random() % 4);
  return c;
}

// A tensor (n, c, h, w) in one of the layouts, with its values in float32.
struct Values {
  std::vector<float> data;
  int64_t stride[4];

  Values(int layout, int64_t n, int64_t c, int64_t h, int64_t w) {
    int64_t size = n * c * h * w;
    if (layout == 1) {
      const int64_t s[] = {h * w * c, 1, w * c, c};
      std::copy(s, s + 4, stride);
    } else {
      const int64_t step = layout == 2 ? 2 : 1;
      const int64_t s[] = {layout == 3 ? 0 : c * h * w * step, h * w * step, w * step, step};
      std::copy(s, s + 4, stride);
      size = layout == 3 ? c * h * w : size * step;
    }
    data.resize(size_t(n ? size : 0));
  }

  template <class T>
  void fill(std::mt19937_64& random, bool integers, bool specials) {
    std::normal_distribution<float> normal;
    const float odd[] = {NAN, INFINITY, -INFINITY};
    for (float& a : data) {
      a = stored<T>(integers ? float(int64_t(random() % 5) - 2) : normal(random));
      if (specials && random() % 40 == 0) a = odd[random() % 3];
    }
  }
};
