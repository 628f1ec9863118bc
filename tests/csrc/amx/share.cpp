// How much of what the tiles multiply is useful, layer by layer: a figure that needs no AMX.
//
//   share
//
// Prints a line for each layer and pass: the products of tiles an image, the share of their 16 x 16 x 32
// multiplications that a dense convolution needs (of positions that the pool looks at, zeros of the padding counted),
// and the share of the rows of tiles that were loaded across a cache line. The kernels run on tiles that only count,
// cut as for AMX.

#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>

#include "call.h"
#include "cpu/isa.h"

namespace {

std::atomic<int64_t> dots, rows, split_rows;

}  // namespace

namespace cnnzoo {
namespace {

struct Tiles {
  static constexpr int64_t STRIP = 256 * 1024, SUMS = 32 * 1024, OPERANDS = 1024 * 1024, WORTH_A_THREAD = 1;

  struct Session {
    Session() {}
    ~Session() {}
  };
  template <int T>
  static void load(const void* from, ptrdiff_t pitch) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(from);
    for (int i = 0; i < 16; ++i, ++rows) split_rows += (begin + uintptr_t(i * pitch)) % 64 != 0;
  }
  template <int T>
  static void store(void*, ptrdiff_t) {}
  template <int T>
  static void zero() {}
  template <int C, int A, int B>
  static void dot() {
    ++dots;
  }
  static void round16(bf16* to, const float*) { std::memset(to, 0, 16 * sizeof *to); }
  static void round32(bf16* to, const float*) { std::memset(to, 0, 32 * sizeof *to); }
  static void know(const void*, size_t) {}
};

#include "cpu/amx/vector.inl"
#include "cpu/amx/kernels.inl"

bool supported() { return true; }

Isa isa({"amx", {}, {"amx", workspace_bytes, forward, backward_input, backward_weight}}, 50, supported, "scalar");

const KernelsOf<bf16>& widened() { return isa.base->bfloat16; }

}  // namespace
}  // namespace cnnzoo

namespace {

using namespace cnnzoo;

struct Layer {
  const char* name;
  Geometry g;
};

constexpr Layer LAYERS[] = {
    {"mnist_cnn conv1", {8, 1, 28, 28, 32, 3, 3, 1, 1, 0, 0, 2, 2, 2, 2, 0, 0}},
    {"mnist_cnn conv2", {8, 32, 13, 13, 32, 3, 3, 1, 1, 0, 0, 2, 2, 2, 2, 0, 0}},
    {"lenet5 conv2", {8, 6, 14, 14, 16, 5, 5, 1, 1, 0, 0, 2, 2, 2, 2, 0, 0}},
    {"vgg 3-64 32x32", {4, 3, 32, 32, 64, 3, 3, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0}},
    {"vgg 64-128 16x16", {4, 64, 16, 16, 128, 3, 3, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0}},
    {"vgg 256-256 8x8", {4, 256, 8, 8, 256, 3, 3, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0}},
    {"vgg 64-64 112x112", {1, 64, 112, 112, 64, 3, 3, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0}},
    {"alexnet conv1", {1, 3, 224, 224, 64, 11, 11, 4, 4, 2, 2, 3, 3, 2, 2, 0, 0}},
    {"resnet stem", {1, 3, 224, 224, 64, 7, 7, 2, 2, 3, 3, 3, 3, 2, 2, 1, 1}},
};

void report(const Layer& layer, const char* pass) {
  const Geometry& g = layer.g;
  const int64_t seen_h = std::min((g.P() - 1) * g.pool_stride_h + g.pool_h - g.pool_padding_h, g.conv_h());
  const int64_t seen_w = std::min((g.Q() - 1) * g.pool_stride_w + g.pool_w - g.pool_padding_w, g.conv_w());
  const double useful = double(g.N) * seen_h * seen_w * g.K * g.C * g.R * g.S;
  const int64_t done = dots.exchange(0), loaded = rows.exchange(0), split = split_rows.exchange(0);
  std::printf("%-18s %-3s %9.1f products an image  %3.0f %% useful  %3.0f %% of rows split\n", layer.name, pass,
              double(done) / g.N, 100 * useful / (double(done) * 16 * 16 * 32), 100.0 * split / loaded);
}

}  // namespace

int main() {
  if (!select("amx").empty()) return 1;
  const Kernels& kernels = *current();
  for (const Layer& layer : LAYERS) {
    const Geometry& g = layer.g;
    const int64_t inputs = g.N * g.C * g.H * g.W, outputs = g.N * g.K * g.P() * g.Q(), weights = g.K * g.C * g.R * g.S;
    const std::unique_ptr<bf16[]> x(new bf16[inputs]()), y(new bf16[outputs]()), weight(new bf16[weights]());
    const std::unique_ptr<bf16[]> grad_x(new bf16[inputs]), grad_weight(new bf16[weights]), bias(new bf16[g.K]());
    const std::unique_ptr<uint8_t[]> place(new uint8_t[outputs]());
    const StridedOf<bf16> in{x.get(), {g.C * g.H * g.W, 1, g.W * g.C, g.C}};
    const StridedOf<bf16> grad_y{y.get(), {g.K * g.P() * g.Q(), 1, g.Q() * g.K, g.K}};
    run(kernels, ForwardOf<bf16>{g, in, weight.get(), bias.get(), y.get(), place.get()}, 1);
    report(layer, "y");
    std::memset(y.get(), 0, size_t(outputs) * sizeof(bf16));
    if (g.C > 3) {
      run(kernels, BackwardInputOf<bf16>{g, grad_y, weight.get(), place.get(), grad_x.get()}, 1);
      report(layer, "dX");
    }
    run(kernels, BackwardWeightOf<bf16>{g, in, grad_y, place.get(), grad_weight.get(), nullptr}, 1);
    report(layer, "dW");
  }
}
