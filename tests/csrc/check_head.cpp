// Random classifier heads against sums in double, for every instruction set of this machine.
//
//   check_head [cases] [first seed]     a case is its seed: `check_head 1 4711` repeats case 4711
//
// CNNZOO_ISA narrows it to one instruction set.
//
// Buffers are exactly as large as they have to be, so that the address sanitizer sees whoever reads past one. Values
// are reals: results may differ from the exact ones by rounding, and from thread to thread not at all.

#include <cmath>
#include <string>

#include "call.h"
#include "cpu/head.h"
#include "draw.h"

using namespace cnnzoo;
using namespace draw;

namespace {

uint64_t seed;
std::string isa;

[[noreturn]] void fail(const char* what, int64_t layer, double want, double got) {
  std::printf("\nFAILED seed %llu, %s: %s of layer %lld: expected %.9g, got %.9g\n", (unsigned long long)seed,
              isa.c_str(), what, (long long)layer, want, got);
  std::exit(1);
}

struct Sum {
  double value = 0, size = 0;
  void add(double a) { value += a, size += std::fabs(a); }
};

void expect(const char* what, int64_t layer, const Sum& want, float got) {
  if (!(std::fabs(want.value - got) <= 1e-6 * want.size * 8)) fail(what, layer, want.value, got);
}

const float* reals(Array<float>& array, int64_t count, Random& random) {
  float* out = array.make(count);
  for (int64_t i = 0; i < count; ++i) out[i] = draw::draw(random, REALS);
  return out;
}

struct Layer {
  Array<float> weight, bias, y, grad_weight, grad_bias;
};

struct Case {
  int64_t images, channels, pixels, count;
  bool need_x, biased;
  std::vector<int64_t> sizes;  // features in, of every layer, out
  Array<float> x, grad, grad_x;
  std::vector<Layer> layers;

  explicit Case(Random& random) {
    images = random.below(20) == 0 ? 0 : random.within(1, random.below(4) ? 30 : 150);
    channels = random.within(1, random.below(3) ? 9 : 40);
    pixels = random.below(2) ? 1 : random.within(2, 30);
    if (random.below(8) == 0) channels = 256, pixels = 1;  // rows that would meet in a few sets of the cache
    need_x = random.below(5) != 0;
    biased = random.below(6) != 0;
    count = random.within(1, 3);
    sizes = {channels * pixels};
    for (int64_t i = 0; i < count; ++i) sizes.push_back(random.within(1, random.below(4) ? 20 : 140));
    reals(x, images * sizes[0], random);
    reals(grad, images * sizes[count], random);
    layers.resize(size_t(count));
    for (int64_t i = 0; i < count; ++i) {
      reals(layers[i].weight, sizes[i] * sizes[i + 1], random);
      reals(layers[i].bias, sizes[i + 1], random);
    }
  }

  // Both passes on n threads; every result lands in fresh memory.
  void run(int n) {
    std::string error;
    const HeadKernels& kernels = *head_kernels(*current(&error));
    std::vector<HeadLayer> own;
    for (int64_t i = 0; i < count; ++i) {
      Layer& l = layers[i];
      float* y = l.y.make(images * sizes[i + 1]);
      float* grad_bias = biased ? l.grad_bias.make(sizes[i + 1]) : nullptr;
      own.push_back({sizes[i], sizes[i + 1], l.weight.data.get(), biased ? l.bias.data.get() : nullptr, y,
                     l.grad_weight.make(sizes[i] * sizes[i + 1]), grad_bias});
    }
    const Head head{images, channels, pixels,          x.data.get(),
                    own.data(), count, grad.data.get(), need_x ? grad_x.make(images * sizes[0]) : nullptr};
    const Pool pool = threads(n);
    for (const bool backward : {false, true}) {
      const Workspace workspace(kernels.workspace_bytes(head, backward, n));
      (backward ? kernels.backward : kernels.forward)(head, workspace.data, pool);
    }
  }

  // Feature f of image n as torch's flatten numbers it; pixels lie outermost in memory.
  int64_t at(int64_t n, int64_t f) const { return (n * pixels + f % pixels) * channels + f / pixels; }
  float input(int64_t i, int64_t n, int64_t f) const {
    return i ? layers[i - 1].y.data[n * sizes[i] + f] : x.data[at(n, f)];
  }

  // Each layer is judged on the inputs that it really had.
  void check_forward() const {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t n = 0; n < images; ++n)
        for (int64_t k = 0; k < sizes[i + 1]; ++k) {
          Sum sum;
          if (biased) sum.add(layers[i].bias.data[k]);
          for (int64_t f = 0; f < sizes[i]; ++f) sum.add(double(input(i, n, f)) * layers[i].weight.data[k * sizes[i] + f]);
          if (i + 1 < count && sum.value < 0) sum.value = 0;
          expect("y", i, sum, layers[i].y.data[n * sizes[i + 1] + k]);
        }
  }

  // From the last layer down; `above` is the exact gradient of a layer's output, with the size of its sum.
  void check_backward() const {
    std::vector<Sum> above(size_t(grad.size));
    for (int64_t i = 0; i < images * sizes[count]; ++i) above[i].add(grad.data[i]);
    for (int64_t i = count - 1; i >= 0; --i) {
      const int64_t in = sizes[i], out = sizes[i + 1];
      for (int64_t k = 0; k < out; ++k) {
        Sum db;
        for (int64_t n = 0; n < images; ++n) grow(db, above[n * out + k], 1);
        if (biased) expect("grad_bias", i, db, layers[i].grad_bias.data[k]);
        for (int64_t f = 0; f < in; ++f) {
          Sum dw;
          for (int64_t n = 0; n < images; ++n) grow(dw, above[n * out + k], input(i, n, f));
          expect("grad_weight", i, dw, layers[i].grad_weight.data[k * in + f]);
        }
      }
      std::vector<Sum> below(size_t(images * in));
      for (int64_t n = 0; n < images; ++n)
        for (int64_t f = 0; f < in; ++f) {
          Sum& dx = below[n * in + f];
          for (int64_t k = 0; k < out; ++k) grow(dx, above[n * out + k], layers[i].weight.data[k * in + f]);
          if (i > 0 && input(i, n, f) <= 0) dx = {};
          if (i == 0 && need_x) expect("grad_x", 0, dx, grad_x.data[at(n, f)]);
        }
      above = below;
    }
  }

  static void grow(Sum& sum, const Sum& a, double factor) {
    sum.value += a.value * factor, sum.size += a.size * std::fabs(factor);
  }

  std::vector<float> bits() const {
    std::vector<float> all;
    const auto add = [&](const Array<float>& one) { all.insert(all.end(), one.data.get(), one.data.get() + one.size); };
    for (const Layer& l : layers) {
      add(l.y), add(l.grad_weight);
      if (biased) add(l.grad_bias);
    }
    if (need_x) add(grad_x);
    return all;
  }
};

}  // namespace

int main(int argc, char** argv) {
  const uint64_t cases = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 500;
  const uint64_t begin = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::vector<std::string> names;
  std::string error;
  if (const Kernels* wished = std::getenv("CNNZOO_ISA") ? current(&error) : nullptr) names.push_back(wished->float32.isa);
  for (const std::string& name : names.empty() ? isas() : std::vector<std::string>()) {
    select(name);
    if (name == current()->float32.isa) names.push_back(name);  // others borrow theirs
  }
  for (seed = begin; seed < begin + cases; ++seed) {
    Random random{std::mt19937_64(seed)};
    Case one(random);
    for (const std::string& name : names) {
      isa = name;
      select(name);
      std::vector<float> first;
      for (const int n : {1, 2, 7}) {
        one.run(n);
        const std::vector<float> bits = one.bits();
        if (n == 1) {
          one.check_forward();
          one.check_backward();
          first = bits;
        } else if (std::memcmp(first.data(), bits.data(), bits.size() * sizeof(float)) != 0) {
          fail("the bits on more threads", n, 0, 0);
        }
      }
    }
  }
  std::printf("%llu heads on", (unsigned long long)cases);
  for (const std::string& name : names) std::printf(" %s", name.c_str());
  std::printf(": all right\n");
}
