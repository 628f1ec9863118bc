// Random geometries, layouts and values against the reference, for every instruction set of this machine.
//
//   check [cases] [first seed]     a case is its seed: `check 1 4711` repeats case 4711
//
// CNNZOO_ISA narrows it to one instruction set.
//
// Kinds of values: small integers, where sums are exact and everything has to agree to the last bit, ties included;
// the same with NaN and infinities; and reals, within a bound on rounding. Reals may round a near tie either way, so
// there a place only has to hold a maximum, and gradients are judged for the places that came out.

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <random>

#include "call.h"
#include "reference.h"

using namespace cnnzoo;

namespace {

uint64_t seed;
Geometry geometry;
const char* isa = "";

[[noreturn]] void fail(const char* format, ...) {
  std::printf("\nFAILED seed %llu, %s: %s\n  ", (unsigned long long)seed, isa, text(geometry));
  va_list args;
  va_start(args, format);
  std::vprintf(format, args);
  va_end(args);
  std::printf("\n");
  std::exit(1);
}

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

float draw(Random& random, Kind kind) {
  if (kind == REALS) return float(std::normal_distribution<double>()(random.engine));
  if (kind == SPECIALS && random.below(60) == 0) return random.one_of({NAN, INFINITY, -INFINITY, -0.0f});
  return float(random.within(-2, 2));
}

// A geometry that the kernels cover, small enough for the reference.
Geometry draw_geometry(Random& random) {
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

// Floats in an array of exactly the size that the strides reach.
struct Array {
  std::unique_ptr<float[]> data;
  int64_t size = 0;
  float* make(int64_t count) {
    data.reset(new float[size_t(std::max<int64_t>(count, 1))]);
    return size = count, data.get();
  }
  float* fill(int64_t count, Random& random, Kind kind) {
    make(count);
    for (int64_t i = 0; i < count; ++i) data[i] = draw(random, kind);
    return data.get();
  }
};

// A tensor (a, b, c, d) in a random layout: NCHW, NHWC, another order, sliced with steps, or expanded.
Strided draw_tensor(Random& random, Kind kind, const int64_t (&shape)[4], Array& storage) {
  Strided t{};
  int order[4] = {0, 1, 2, 3};  // outermost first
  const int64_t layout = random.below(6);
  if (layout == 1 || layout == 4) order[1] = 2, order[2] = 3, order[3] = 1;
  if (layout == 2) std::shuffle(order, order + 4, random.engine);
  const bool expand = layout == 5;
  const bool step = layout == 3 || layout == 4;
  int64_t stride = 1, reach = 1;
  for (int i = 4; i-- > 0;) {
    const int d = order[i];
    const bool still = expand && random.below(2);
    t.stride[d] = still ? 0 : stride;
    if (step) t.stride[d] *= random.within(1, 3);
    reach += std::max<int64_t>(shape[d] - 1, 0) * t.stride[d];
    if (!still) stride = std::max<int64_t>(t.stride[d] * shape[d], 1);
    if (step && random.below(2)) stride += random.within(0, 5);
  }
  t.data = storage.fill(reach, random, kind);
  return t;
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// A float32 sum of any order is this near to the exact one; `exact` asks for equality.
void expect_near(const char* what, const float* got, const std::vector<double>& want, const std::vector<double>& size,
                 bool exact) {
  for (size_t i = 0; i < want.size(); ++i)
    if (exact ? !same(got[i], want[i]) : !(std::fabs(got[i] - want[i]) <= 2e-5 * size[i]))
      fail("%s[%zu]: expected %.9g, got %.9g", what, i, want[i], double(got[i]));
}

template <class T>
void expect_bits(const char* what, int threads, const T* one, const T* many, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (std::memcmp(one + i, many + i, sizeof(T)) != 0)
      fail("%s[%lld]: %.9g with 1 thread, %.9g with %d", what, (long long)i, double(one[i]), double(many[i]), threads);
}

struct Outputs {
  Array y, grad_x, grad_weight, grad_bias, inference;
  std::unique_ptr<uint8_t[]> place;
};

struct Case {
  Geometry g;
  Kind kind;
  Array x_data, weight, bias, grad_data;
  Strided x, grad_y;
  bool has_bias, has_grad_bias;

  explicit Case(Random& random) : g(draw_geometry(random)), kind(Kind(random.below(3))) {
    x = draw_tensor(random, kind, {g.N, g.C, g.H, g.W}, x_data);
    grad_y = draw_tensor(random, kind, {g.N, g.K, g.P(), g.Q()}, grad_data);
    weight.fill(g.K * g.C * g.R * g.S, random, kind);
    has_bias = random.below(4) != 0, has_grad_bias = random.below(4) != 0;
    bias.fill(g.K, random, kind);
  }

  int64_t outputs() const { return g.N * g.P() * g.Q() * g.K; }

  void run_all(const Kernels& kernels, int n, Outputs& out) const {
    out.place.reset(new uint8_t[size_t(std::max<int64_t>(outputs(), 1))]);
    const float* b = has_bias ? bias.data.get() : nullptr;
    Forward forward{g, x, weight.data.get(), b, out.y.make(outputs()), out.place.get()};
    run(kernels, forward, n);
    forward.y = out.inference.make(outputs()), forward.place = nullptr;
    run(kernels, forward, n);
    const uint8_t* place = out.place.get();
    float *dx = out.grad_x.make(g.N * g.H * g.W * g.C), *dw = out.grad_weight.make(weight.size);
    float* db = out.grad_bias.make(g.K);
    run(kernels, BackwardInput{g, grad_y, weight.data.get(), place, dx}, n);
    run(kernels, BackwardWeight{g, x, grad_y, place, dw, has_grad_bias ? db : nullptr}, n);
  }

  void check(const reference::Convolution& conv, const Kernels& kernels) const {
    Outputs out;
    run_all(kernels, 1, out);
    check_forward(conv, out);
    const bool exact = kind != REALS;
    const auto want = reference::backward(g, x, weight.data.get(), grad_y, out.place.get());
    expect_near("grad_x", out.grad_x.data.get(), want.x, want.x_size, exact);
    expect_near("grad_weight", out.grad_weight.data.get(), want.weight, want.weight_size, exact);
    if (has_grad_bias) expect_near("grad_bias", out.grad_bias.data.get(), want.bias, want.bias_size, exact);
    for (const int n : {2, 7}) {
      Outputs many;
      run_all(kernels, n, many);
      const auto bits = [&](const char* what, const Array& a, const Array& b) {
        expect_bits(what, n, a.data.get(), b.data.get(), a.size);
      };
      bits("y", out.y, many.y), bits("y of inference", out.y, many.inference);
      bits("grad_x", out.grad_x, many.grad_x), bits("grad_weight", out.grad_weight, many.grad_weight);
      if (has_grad_bias) bits("grad_bias", out.grad_bias, many.grad_bias);
      expect_bits("place", n, out.place.get(), many.place.get(), outputs());
    }
  }

  void check_forward(const reference::Convolution& conv, const Outputs& out) const {
    int64_t i = 0;
    for (int64_t n = 0; n < g.N; ++n)
      for (int64_t p = 0; p < g.P(); ++p)
        for (int64_t q = 0; q < g.Q(); ++q)
          for (int64_t k = 0; k < g.K; ++k, ++i) {
            const reference::Output want = pool(g, conv, n, p, q, k);
            const double y = out.y.data[i];
            const int place = out.place[i];
            if (!same(out.inference.data[i], y)) fail("y of inference [%lld]: expected %g", (long long)i, y);
            if (kind != REALS) {
              if (!same(y, want.y)) fail("y[%lld,%lld,%lld,%lld]: expected %g, got %g", (long long)n, (long long)p,
                                         (long long)q, (long long)k, want.y, y);
              if (place != want.place) fail("place[%lld,%lld,%lld,%lld]: expected %d, got %d", (long long)n,
                                            (long long)p, (long long)q, (long long)k, want.place, place);
              continue;
            }
            if ((y == 0) != (place == DEAD)) fail("y %g at place %d", y, place);
            const int64_t at = place == DEAD ? -1 : reference::position(g, n, p, q, k, place);
            if (place != DEAD && at < 0) fail("place %d lies in the padding", place);
            double bound = 0;
            for (int64_t a = 0; a < g.pool_h * g.pool_w; ++a)
              if (const int64_t b = reference::position(g, n, p, q, k, a); b >= 0)
                bound = std::max(bound, 2e-6 * conv.magnitude[b]);
            if (std::fabs(y - want.y) > bound || (at >= 0 && std::fabs(conv.sum[at] - want.y) > 2 * bound))
              fail("y[%lld]: expected %.9g at place %d, got %.9g at %d", (long long)i, want.y, want.place, y, place);
          }
  }
};

void expect_refusals() {
  std::string error = select("avx1024");
  if (error.find("scalar") == std::string::npos) fail("select: no legal names in \"%s\"", error.c_str());
  Geometry g{1, 1, 4, 4, 1, 3, 3, 1, 1, 0, 0, 2, 2, 2, 2, 0, 0};
  if (covers(g)) fail("covers: declined a plain geometry");
  Geometry big = g;
  big.pool_h = big.pool_w = 16;
  Geometry small = g;
  small.H = 2;
  Geometry padded = g;
  padded.pool_padding_h = 2;
  for (const Geometry& bad : {big, small, padded})
    if (!covers(bad)) fail("covers: accepted %s", text(bad));
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t cases = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2000;
  const uint64_t begin = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string error;
  const Kernels* wished = current(&error);
  if (!wished) {
    std::printf("%s\n", error.c_str());
    return 2;
  }
  expect_refusals();
  const std::vector<std::string> names = std::getenv("CNNZOO_ISA") ? std::vector<std::string>{wished->name} : isas();
  for (seed = begin; seed < begin + cases; ++seed) {
    Random random{std::mt19937_64(seed)};
    const Case one(random);
    geometry = one.g;
    isa = "reference";
    const float* bias = one.has_bias ? one.bias.data.get() : nullptr;
    const auto conv = reference::convolve({one.g, one.x, one.weight.data.get(), bias, nullptr, nullptr});
    for (const std::string& name : names) {
      isa = name.c_str();
      if (!select(name).empty()) fail("select(%s)", isa);
      one.check(conv, *current());
    }
  }
  std::printf("%llu cases on", (unsigned long long)cases);
  for (const std::string& name : names) std::printf(" %s", name.c_str());
  std::printf(": all right\n");
}
