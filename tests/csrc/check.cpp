// Random geometries, layouts and values against the reference, for every instruction set of this machine.
//
//   check [cases] [first seed]     a case is its seed: `check 1 4711` repeats case 4711
//
// CNNZOO_ISA narrows it to one instruction set.
//
// Half of the cases are bfloat16: judged on the numbers that its bits mean, rounded where a result is.
//
// Kinds of values: small integers, where sums are exact and everything has to agree to the last bit, ties included;
// the same with NaN and infinities; and reals, within a bound on rounding. Reals may round a near tie either way, so
// there a place only has to hold a maximum, and gradients are judged for the places that came out. bfloat16 of a few
// bits makes ties of reals as well, and some cases are so small that they are denormal.

#include <algorithm>
#include <cmath>
#include <cstdarg>

#include "bfloat16.h"
#include "call.h"
#include "draw.h"
#include "reference.h"

using namespace cnnzoo;
using namespace draw;

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

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// What a result may be where the exact one lies between low and high: the same, rounded where the result is bfloat16.
struct Range {
  double low, high;

  template <class T>
  static Range of(double low, double high) {
    if constexpr (sizeof(T) < sizeof(float)) return {nearest_bf16(low), nearest_bf16(high)};
    return {low, high};
  }
  bool holds(double a) const { return low <= a && a <= high; }
};

// A float32 sum of any order is this near to the exact one; `exact` asks for equality, after one rounding.
template <class T>
void expect_near(const char* what, const Array<T>& result, const std::vector<double>& want,
                 const std::vector<double>& size, bool exact, double flushed) {
  for (size_t i = 0; i < want.size(); ++i) {
    const double got = widen(result.data[i]), error = 2e-5 * size[i] + flushed;
    if (exact ? !same(got, Range::of<T>(want[i], want[i]).low)
              : !Range::of<T>(want[i] - error, want[i] + error).holds(got))
      fail("%s[%zu]: expected %.9g, got %.9g", what, i, want[i], got);
  }
}

template <class T>
void expect_bits(const char* what, int threads, const T* one, const T* many, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (std::memcmp(one + i, many + i, sizeof(T)) != 0)
      fail("%s[%lld]: %.9g with 1 thread, %.9g with %d", what, (long long)i, double(one[i]), double(many[i]), threads);
}

template <class T>
struct Outputs {
  Array<T> y, grad_x, grad_weight, grad_bias, inference;
  Array<uint8_t> place;
};

struct Case {
  Geometry g;
  Kind kind;
  bool narrow;  // bfloat16
  float scale;  // of x: tiny ones make denormals
  Layout x_layout, grad_layout;
  Operand x, weight, bias, grad_y;
  bool has_bias, has_grad_bias;

  explicit Case(Random& random) : g(draw_geometry(random)), kind(Kind(random.below(3))), narrow(random.below(2)) {
    scale = narrow && kind == REALS && random.below(4) == 0 ? 1e-38f : 1;
    x_layout = draw_layout(random, {g.N, g.C, g.H, g.W});
    grad_layout = draw_layout(random, {g.N, g.K, g.P(), g.Q()});
    x.fill(x_layout.reach, random, kind, scale, narrow);
    grad_y.fill(grad_layout.reach, random, kind, 1, narrow);
    weight.fill(g.K * g.C * g.R * g.S, random, kind, 1, narrow);
    // From 256 on bfloat16 is even: there sums of integers are rounded, every second one from halfway.
    bias.fill(g.K, random, kind, scale, narrow, narrow && kind != REALS && random.below(2) ? 300 : 0);
    has_bias = random.below(4) != 0, has_grad_bias = random.below(4) != 0;
  }

  template <class T>
  static StridedOf<T> tensor(const Operand& operand, const Layout& layout) {
    const int64_t* s = layout.stride;
    return {operand.as<T>(), {s[0], s[1], s[2], s[3]}};
  }

  template <class T>
  ForwardOf<T> forward() const {
    return {g, tensor<T>(x, x_layout), weight.as<T>(), has_bias ? bias.as<T>() : nullptr, nullptr, nullptr};
  }

  int64_t outputs() const { return g.N * g.P() * g.Q() * g.K; }

  template <class T>
  void run_all(const Kernels& kernels, int n, Outputs<T>& out) const {
    ForwardOf<T> call = forward<T>();
    call.y = out.y.make(outputs()), call.place = out.place.make(outputs());
    run(kernels, call, n);
    call.y = out.inference.make(outputs()), call.place = nullptr;
    run(kernels, call, n);
    const uint8_t* place = out.place.data.get();
    const auto grad = tensor<T>(grad_y, grad_layout);
    T *dx = out.grad_x.make(g.N * g.H * g.W * g.C), *dw = out.grad_weight.make(g.K * g.C * g.R * g.S);
    T* db = out.grad_bias.make(g.K);
    run(kernels, BackwardInputOf<T>{g, grad, weight.as<T>(), place, dx}, n);
    run(kernels, BackwardWeightOf<T>{g, call.x, grad, place, dw, has_grad_bias ? db : nullptr}, n);
  }

  // Dot products of bfloat16 take every number below the least normal one for 0, products and sums as well.
  double lost(const Kernels& kernels, int64_t terms) const {
    const std::string name = kernels.bfloat16.isa;
    const bool flushes = narrow && (name == "avx512_bf16" || name == "amx");
    return double(terms) * (flushes ? 1e-37 : 1e-45);
  }

  template <class T>
  void check(const reference::Convolution& conv, const Kernels& kernels) const {
    Outputs<T> out;
    run_all(kernels, 1, out);
    check_forward(conv, kernels, out);
    const bool exact = kind != REALS;
    const auto want = reference::backward(g, tensor<float>(x, x_layout), weight.as<float>(),
                                          tensor<float>(grad_y, grad_layout), out.place.data.get());
    expect_near("grad_x", out.grad_x, want.x, want.x_size, exact, 0);
    const double flushed = lost(kernels, g.N * g.P() * g.Q());
    expect_near("grad_weight", out.grad_weight, want.weight, want.weight_size, exact, flushed);
    if (has_grad_bias) expect_near("grad_bias", out.grad_bias, want.bias, want.bias_size, exact, 0);
    for (const int n : {2, 7}) {
      Outputs<T> many;
      run_all(kernels, n, many);
      const auto bits = [&](const char* what, const auto& a, const auto& b) {
        expect_bits(what, n, a.data.get(), b.data.get(), a.size);
      };
      bits("y", out.y, many.y), bits("y of inference", out.y, many.inference), bits("place", out.place, many.place);
      bits("grad_x", out.grad_x, many.grad_x), bits("grad_weight", out.grad_weight, many.grad_weight);
      if (has_grad_bias) bits("grad_bias", out.grad_bias, many.grad_bias);
    }
  }

  // bfloat16 is rounded before the maximum is looked for. Where sums are exact, so is everything else.
  template <class T>
  void check_forward(const reference::Convolution& conv, const Kernels& kernels, const Outputs<T>& out) const {
    reference::Convolution rounded = conv;
    for (double& sum : rounded.sum) sum = Range::of<T>(sum, sum).low;
    int64_t i = 0;
    for (int64_t n = 0; n < g.N; ++n)
      for (int64_t p = 0; p < g.P(); ++p)
        for (int64_t q = 0; q < g.Q(); ++q)
          for (int64_t k = 0; k < g.K; ++k, ++i) {
            const double y = widen(out.y.data[i]);
            const int place = out.place.data[i];
            if (!same(widen(out.inference.data[i]), y)) fail("y of inference [%lld]: expected %g", (long long)i, y);
            if (kind == REALS) {
              check_window(conv, kernels, {n, p, q, k}, out.y.data[i], place);
              continue;
            }
            const reference::Output want = pool(g, rounded, n, p, q, k);
            if (!same(y, want.y)) fail("y[%lld,%lld,%lld,%lld]: expected %g, got %g", (long long)n, (long long)p,
                                       (long long)q, (long long)k, want.y, y);
            if (place != want.place) fail("place[%lld,%lld,%lld,%lld]: expected %d, got %d", (long long)n,
                                          (long long)p, (long long)q, (long long)k, want.place, place);
          }
  }

  // y is a value that its place can have; none before it is surely as large, and none after it surely larger.
  template <class T>
  void check_window(const reference::Convolution& conv, const Kernels& kernels, const int64_t (&at)[4], T result,
                    int place) const {
    const auto [n, p, q, k] = at;
    const double y = widen(result), flushed = lost(kernels, g.C * g.R * g.S + 1);
    if ((y == 0) != (place == DEAD)) fail("y %g at place %d", y, place);
    if (place != DEAD && reference::position(g, n, p, q, k, place) < 0) fail("place %d lies in the padding", place);
    if (!(y >= 0)) fail("y %g", y);
    for (int a = 0; a < g.pool_h * g.pool_w; ++a) {
      const int64_t b = reference::position(g, n, p, q, k, a);
      if (b < 0) continue;
      const double error = 2e-6 * conv.magnitude[b] + flushed;
      const Range range = Range::of<T>(conv.sum[b] - error, conv.sum[b] + error);
      const bool fits = a == place ? range.holds(y) : a < place && place != DEAD ? range.low < y : range.low <= y;
      if (!fits)
        fail("window %lld,%lld,%lld,%lld: y %.9g at place %d, but place %d has %.9g", (long long)n, (long long)p,
             (long long)q, (long long)k, y, place, a, conv.sum[b]);
    }
  }
};

// Every set has kernels for both types: its own, or those of another one that runs here.
void expect_kernels(const std::string& name) {
  const Kernels& kernels = *current();
  const std::vector<std::string> legal = isas();
  if (kernels.name != name || kernels.bfloat16.isa != name) fail("%s has bfloat16 of %s", isa, kernels.bfloat16.isa);
  if (std::find(legal.begin(), legal.end(), kernels.float32.isa) == legal.end())
    fail("%s has float32 of %s", isa, kernels.float32.isa);
}

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
    const auto conv = reference::convolve(one.forward<float>());
    for (const std::string& name : names) {
      isa = name.c_str();
      if (!select(name).empty()) fail("select(%s)", isa);
      expect_kernels(name);
      one.narrow ? one.check<bf16>(conv, *current()) : one.check<float>(conv, *current());
    }
  }
  std::printf("%llu cases on", (unsigned long long)cases);
  for (const std::string& name : names) std::printf(" %s", name.c_str());
  std::printf(": all right\n");
}
