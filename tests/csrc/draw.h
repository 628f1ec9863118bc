// Random geometries, layouts and values: what check.cpp asks the kernels and the reference.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "bfloat16.h"
#include "conv_relu_maxpool.h"

namespace draw {

using cnnzoo::bf16;
using cnnzoo::covers;
using cnnzoo::Geometry;

struct Random {
  std::mt19937_64 engine;
  int64_t below(int64_t n) { return int64_t(engine() % uint64_t(n)); }
  int64_t within(int64_t low, int64_t high) { return low + below(high - low + 1); }
  template <class T>
  T one_of(std::initializer_list<T> list) {
    return list.begin()[below(int64_t(list.size()))];
  }
};

enum Kind { INTEGERS, SPECIALS, REALS };

inline float draw(Random& random, Kind kind) {
  if (kind == REALS) return float(std::normal_distribution<double>()(random.engine));
  if (kind == SPECIALS && random.below(60) == 0) return random.one_of({NAN, INFINITY, -INFINITY, -0.0f});
  return float(random.within(-2, 2));
}

// A geometry that the kernels cover, small enough for the reference.
inline Geometry draw_geometry(Random& random) {
  for (;;) {
    Geometry g;
    g.N = random.below(30) == 0 ? 0 : random.one_of<int64_t>({1, 1, 2, 3, 5, 9});
    g.C = random.below(2) ? random.within(1, 8) : random.one_of<int64_t>({16, 17, 31, 32, 33, 40, 64, 67, 100});
    g.K = random.below(2) ? random.within(1, 20) : random.one_of<int64_t>({16, 31, 32, 33, 47, 48, 64, 65, 130});
    g.R = random.one_of<int64_t>({1, 2, 3, 3, 3, 4, 5, 5, 7, 11});
    g.S = random.below(3) ? g.R : random.within(1, 7);
    g.stride_h = random.one_of<int64_t>({1, 1, 1, 2, 3, 4});
    g.stride_w = random.below(3) ? g.stride_h : random.within(1, 3);
    g.padding_h = random.one_of<int64_t>({0, 0, 1, 2, 3});
    g.padding_w = random.below(3) ? g.padding_h : random.within(0, 3);
    g.pool_h = random.one_of<int64_t>({2, 2, 2, 3, 3, 1, 4});
    g.pool_w = random.below(4) ? g.pool_h : random.within(1, 4);
    g.pool_stride_h = random.below(2) ? g.pool_h : random.within(1, 4);
    g.pool_stride_w = random.below(2) ? g.pool_w : random.within(1, 4);
    g.pool_padding_h = random.below(2) ? 0 : random.within(0, g.pool_h / 2);
    g.pool_padding_w = random.below(2) ? 0 : random.within(0, g.pool_w / 2);
    if (random.below(4) == 0) {  // what most layers are, and special kernels serve
      g.R = g.S = random.one_of<int64_t>({3, 3, 5});
      g.C = random.one_of<int64_t>({1, 1, 1, 3, 3, 16, 32});
      g.stride_h = g.stride_w = 1;
      g.padding_h = g.padding_w = random.below(2);
      g.pool_h = g.pool_w = g.pool_stride_h = g.pool_stride_w = 2;
      g.pool_padding_h = g.pool_padding_w = 0;
    }
    const int64_t most = random.one_of<int64_t>({6, 16, 40, 90});
    g.H = random.within(1, most);
    g.W = random.within(1, most);
    if (covers(g)) continue;
    if (double(g.N) * g.conv_h() * g.conv_w() * g.K * g.C * g.R * g.S < 1.5e6) return g;
  }
}

// An array of exactly the size that is asked for.
template <class T>
struct Array {
  std::unique_ptr<T[]> data;
  int64_t size = 0;
  T* make(int64_t count) {
    data.reset(new T[size_t(std::max<int64_t>(count, 1))]);
    return size = count, data.get();
  }
};

// What goes into the kernels: bfloat16 where `narrow`, and the same numbers for the reference.
struct Operand {
  Array<float> wide;
  Array<bf16> narrow;

  void fill(int64_t count, Random& random, Kind kind, float scale, bool round, float lift = 0) {
    float* out = wide.make(count);
    bf16* rounded = narrow.make(round ? count : 0);
    for (int64_t i = 0; i < count; ++i) {
      out[i] = lift + scale * draw(random, kind);
      if (round) out[i] = widen(rounded[i] = round_to_bf16(out[i]));
    }
  }

  template <class T>
  const T* as() const {
    if constexpr (sizeof(T) == sizeof(float))
      return wide.data.get();
    else
      return narrow.data.get();
  }
};

// The strides of a tensor (a, b, c, d) in a random layout - NCHW, NHWC, another order, sliced with steps, or expanded -
// and how far they reach.
struct Layout {
  int64_t stride[4], reach;
};

inline Layout draw_layout(Random& random, const int64_t (&shape)[4]) {
  Layout t{};
  int order[4] = {0, 1, 2, 3};  // outermost first
  const int64_t layout = random.below(6);
  if (layout == 1 || layout == 4) order[1] = 2, order[2] = 3, order[3] = 1;
  if (layout == 2) std::shuffle(order, order + 4, random.engine);
  const bool expand = layout == 5;
  const bool step = layout == 3 || layout == 4;
  int64_t stride = 1;
  t.reach = 1;
  for (int i = 4; i-- > 0;) {
    const int d = order[i];
    const bool still = expand && random.below(2);
    t.stride[d] = still ? 0 : stride;
    if (step) t.stride[d] *= random.within(1, 3);
    t.reach += std::max<int64_t>(shape[d] - 1, 0) * t.stride[d];
    if (!still) stride = std::max<int64_t>(t.stride[d] * shape[d], 1);
    if (step && random.below(2)) stride += random.within(0, 5);
  }
  return t;
}

}  // namespace draw
