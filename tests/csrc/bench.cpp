// Speed of the kernels on layers that people run, as a part of what the core's FMA units reach in the same minute.
//
//   bench [part of a layer's name] [threads] [instruction set]
//
// Every set is timed in float32 and in bfloat16, but float32 only where the kernels are its own. The peak is always
// that of the set's float32 FMA units, so dot products of bfloat16 may pass 100 %.
//
// us an image is that of the fastest call; peak is measured between calls, so a machine that slows down slows both.
//   forward   GFLOP/s of the convolution at positions that some pool window covers, and its part of the peak
//   dX dW     GFLOP/s of the terms that pass a gradient (one position in a window), and the time in units of a dense
//             kernel at peak: 0.5 is twice as fast as any that does not know the places could be

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <random>
#include <string>

#include "bfloat16.h"
#include "call.h"

#if defined(__linux__)
#include <sched.h>
#endif

using namespace cnnzoo;

namespace {

struct Layer {
  const char* name;
  Geometry g;
};

constexpr Geometry layer(int64_t N, int64_t C, int64_t size, int64_t K, int64_t kernel, int64_t stride,
                         int64_t padding, int64_t pool, int64_t pool_stride, int64_t pool_padding) {
  return {N, C, size, size, K, kernel, kernel, stride, stride, padding, padding,
          pool, pool, pool_stride, pool_stride, pool_padding, pool_padding};
}

const Layer LAYERS[] = {
    {"tutorial 1->32 28px", layer(128, 1, 28, 32, 3, 1, 0, 2, 2, 0)},
    {"tutorial 32->32 13px", layer(128, 32, 13, 32, 3, 1, 0, 2, 2, 0)},
    {"lenet 5x5 1->6 28px", layer(128, 1, 28, 6, 5, 1, 2, 2, 2, 0)},
    {"lenet 5x5 6->16 14px", layer(128, 6, 14, 16, 5, 1, 0, 2, 2, 0)},
    {"cifar 3->64 32px", layer(32, 3, 32, 64, 3, 1, 1, 2, 2, 0)},
    {"vgg 64->64 32px", layer(16, 64, 32, 64, 3, 1, 1, 2, 2, 0)},
    {"vgg 64->128 112px", layer(2, 64, 112, 128, 3, 1, 1, 2, 2, 0)},
    {"vgg 64->64 112px", layer(2, 64, 112, 64, 3, 1, 1, 2, 2, 0)},
    {"vgg 512->512 14px", layer(4, 512, 14, 512, 3, 1, 1, 2, 2, 0)},
    {"alexnet 11x11/4 3->64 224px, pool 3/2", layer(4, 3, 224, 64, 11, 4, 2, 3, 2, 0)},
    {"alexnet 5x5 64->192 27px, pool 3/2", layer(4, 64, 27, 192, 5, 1, 2, 3, 2, 0)},
    {"resnet 7x7/2 3->64 224px, pool 3/2 pad 1", layer(4, 3, 224, 64, 7, 2, 3, 3, 2, 1)},
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// GFLOP/s of independent chains of FMAs in registers, on one core: what a kernel without loads would reach.
#if defined(__x86_64__)
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define FMA_512(i) "vfmadd213ps %%zmm12, %%zmm12, %%zmm" #i "\n"
#define FMA_256(i) "vfmadd213ps %%ymm12, %%ymm12, %%ymm" #i "\n"
#define MUL_ADD(i) "mulps %%xmm12, %%xmm" #i "\n addps %%xmm13, %%xmm" #i "\n"
#define CLEAR(i) "xorps %%xmm" #i ", %%xmm" #i "\n"
#define ROUNDS(STEP)                                                                                     \
  asm volatile(TWELVE(CLEAR) CLEAR(12) CLEAR(13) "1:\n" TWELVE(STEP) "dec %0\n jnz 1b\n"                 \
               : "+r"(rounds)::"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
                 "xmm10", "xmm11", "xmm12", "xmm13")

double peak(const std::string& isa) {
  const int lanes = isa.rfind("avx512", 0) == 0 || isa == "amx" ? 16 : isa == "avx2" ? 8 : 4;
  long rounds = 20000;
  const double flops = double(rounds) * 12 * 2 * lanes, start = now();
  if (lanes == 16) ROUNDS(FMA_512);
  if (lanes == 8) ROUNDS(FMA_256);
  if (lanes == 4) ROUNDS(MUL_ADD);
  return flops / (now() - start) / 1e9;
}
#else
double peak(const std::string&) { return NAN; }
#endif

// The calling thread to the i-th of the cores that this process may use: two threads may share a core by chance.
void pin([[maybe_unused]] int64_t i) {
#if defined(__linux__)
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed) && i-- == 0) CPU_SET(cpu, &one);
  if (CPU_COUNT(&one) == 1) sched_setaffinity(0, sizeof one, &one);
#endif
}

// Threads that spin for work, as torch's do; call.h starts new ones, which costs more than some layers take.
class Workers {
 public:
  explicit Workers(int n) {
    if (n > 1) pin(0);
    for (int i = 1; i < n; ++i) threads.emplace_back([this, i] { work(i); });
  }
  ~Workers() {
    start(nullptr, nullptr, 0);
    for (std::thread& thread : threads) thread.join();
  }
  static void run(void* self, int64_t tasks, void (*body)(void*, int64_t, int64_t), void* ctx) {
    Workers& all = *static_cast<Workers*>(self);
    all.start(body, ctx, tasks);
    body(ctx, 0, 1);
    while (all.left.load() != 0) std::this_thread::yield();
  }

 private:
  std::vector<std::thread> threads;
  std::atomic<size_t> left{0};
  std::atomic<int64_t> round{0};
  int64_t tasks = 0;
  void (*body)(void*, int64_t, int64_t) = nullptr;
  void* ctx = nullptr;

  void start(void (*new_body)(void*, int64_t, int64_t), void* new_ctx, int64_t new_tasks) {
    body = new_body, ctx = new_ctx, tasks = new_tasks;
    left = threads.size();
    ++round;
  }

  void work(int64_t i) {
    pin(i);
    for (int64_t seen = 0;; ++seen) {
      while (round.load() == seen) std::this_thread::yield();
      if (!body) return;
      if (i < tasks) body(ctx, i, i + 1);
      --left;
    }
  }
};

// On cache lines, as torch allocates.
template <class T>
struct Values {
  std::unique_ptr<T, decltype(&std::free)> values;
  explicit Values(int64_t count)
      : values(static_cast<T*>(std::aligned_alloc(64, size_t(count + 31) / 32 * 32 * sizeof(T))), std::free) {}
  T* data() const { return values.get(); }
};

void assign(float& to, float value) { to = value; }
void assign(bf16& to, float value) { to = round_to_bf16(value); }

template <class T>
Values<T> random_values(int64_t count, float scale) {
  static std::mt19937 engine(1);
  std::normal_distribution<float> normal(0, scale);
  Values<T> out(count);
  for (int64_t i = 0; i < count; ++i) assign(out.data()[i], normal(engine));
  return out;
}

struct Timing {
  double seconds, peak;
};

template <class Body>
Timing fastest(const std::string& isa, int threads, const Body& body) {
  Timing best{1e9, 0};
  const double start = now();
  for (int i = 0; i < 5 || (now() - start < 0.4 && i < 400); ++i) {
    best.peak = std::max(best.peak, peak(isa) * threads);
    const double t = now();
    body();
    best.seconds = std::min(best.seconds, now() - t);
  }
  return best;
}

// Positions of the convolution along one axis that some window covers.
int64_t covered(int64_t conv, int64_t pool, int64_t stride, int64_t padding, int64_t pooled) {
  int64_t count = 0;
  for (int64_t i = 0; i < conv; ++i)
    count += (i + padding) % stride < pool && i < (pooled - 1) * stride - padding + pool;
  return count;
}

template <class T>
void bench(const Layer& layer, const std::string& isa, int n) {
  const Geometry& g = layer.g;
  const int64_t outputs = g.N * g.P() * g.Q() * g.K, inputs = g.N * g.C * g.H * g.W, taps = g.C * g.R * g.S;
  const auto x = random_values<T>(inputs, 1), grad_y = random_values<T>(outputs, 1);
  const auto weight = random_values<T>(g.K * taps, 1 / std::sqrt(float(taps))), bias = random_values<T>(g.K, 0.1f);
  const Values<T> y(outputs), grad_x(inputs), grad_weight(g.K * taps), grad_bias(g.K);
  std::vector<uint8_t> place(outputs);
  const KernelsOf<T>& kernels = current()->of<T>();
  Workers workers(n);
  const Pool pool{n, Workers::run, &workers};
  size_t bytes = 0;
  for (Pass pass : {Pass::forward, Pass::backward_input, Pass::backward_weight})
    bytes = std::max(bytes, kernels.workspace_bytes(pass, g, n));
  const Workspace workspace(bytes);

  // NHWC, as the layer before hands it on; with few channels images come as NCHW.
  const StridedOf<T> input = g.C <= 4 ? StridedOf<T>{x.data(), {g.C * g.H * g.W, g.H * g.W, g.W, 1}}
                                      : StridedOf<T>{x.data(), {g.C * g.H * g.W, 1, g.W * g.C, g.C}};
  const StridedOf<T> gradient{grad_y.data(), {g.P() * g.Q() * g.K, 1, g.Q() * g.K, g.K}};
  const double sparse = 2.0 * double(outputs * taps);
  const double dense = 2.0 * double(g.N * covered(g.conv_h(), g.pool_h, g.pool_stride_h, g.pool_padding_h, g.P()) *
                                    covered(g.conv_w(), g.pool_w, g.pool_stride_w, g.pool_padding_w, g.Q())) *
                       double(g.K * taps);
  std::printf("%-42s %-11s %-8s", layer.name, isa.c_str(), sizeof(T) == sizeof(float) ? "float32" : "bfloat16");
  const auto forward = [&](uint8_t* at) {
    const ForwardOf<T> call{g, input, weight.data(), bias.data(), y.data(), at};
    const Timing t = fastest(isa, n, [&] { kernels.forward(call, workspace.data, pool); });
    std::printf("%9.2f %6.1f %3.0f%%", t.seconds / g.N * 1e6, dense / t.seconds / 1e9,
                100 * dense / t.seconds / 1e9 / t.peak);
  };
  const auto backward = [&](const auto& body) {
    const Timing t = fastest(isa, n, body);
    std::printf("%9.2f %6.1f %.2f", t.seconds / g.N * 1e6, sparse / t.seconds / 1e9, t.seconds * t.peak * 1e9 / dense);
  };
  forward(nullptr);
  forward(place.data());
  const BackwardInputOf<T> dx{g, gradient, weight.data(), place.data(), grad_x.data()};
  backward([&] { kernels.backward_input(dx, workspace.data, pool); });
  const BackwardWeightOf<T> dw{g, input, gradient, place.data(), grad_weight.data(), grad_bias.data()};
  backward([&] { kernels.backward_weight(dw, workspace.data, pool); });
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string part = argc > 1 ? argv[1] : "";
  const int n = argc > 2 ? std::atoi(argv[2]) : 1;
  const std::string only = argc > 3 ? argv[3] : "";
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::printf("%d thread%s; per image: us, GFLOP/s, and of peak (forward) or against dense at peak (dX, dW)\n", n,
              n == 1 ? "" : "s");
  std::printf("%-42s %-11s %-8s%9s %20s %20s %20s\n", "layer", "isa", "dtype", "infer", "train", "dX", "dW");
  for (const std::string& isa : isas()) {
    if (!only.empty() && isa != only) continue;
    select(isa);
    for (const Layer& layer : LAYERS) {
      if (std::string(layer.name).find(part) == std::string::npos) continue;
      if (isa == current()->float32.isa) bench<float>(layer, isa, n);
      bench<bf16>(layer, isa, n);
    }
  }
}
