// The CUDA kernels, executed here, against the slow reference in double.
//
//   check [cases [first seed]]     random cases; a failing one prints its seed
//
// Integers are compared bit for bit, ties, NaN and infinities included; reals within what rounding allows. Every case
// runs in three orders of threads and blocks, which have to give the same bits.

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "../../csrc/reference.h"
#include "cuda/plan.h"
#include "memory.h"

#include "cases.h"

namespace {

using namespace cnnzoo;
constexpr double UNIT = 1.0 / (1 << 24);  // of float32

template <class T>
double unit() {
  return sizeof(T) == 4 ? UNIT : sizeof(T) == 2 && stored<T>(1.001f) != 1.0f ? 1.0 / (1 << 11) : 1.0 / (1 << 8);
}

bool same(float a, float b) { return (a != a && b != b) || a == b; }

// Whether an answer is right: equal for integers, else near a sum with these magnitudes.
template <class T>
bool right(float got, double want, double magnitude, const Case& c, double relative) {
  if (c.integers || !std::isfinite(want) || !std::isfinite(magnitude)) return same(got, stored<T>(float(want)));
  const double depth = 16.0 + double(c.g.C * c.g.R * c.g.S + c.g.N * c.g.P() * c.g.Q() + c.g.K);
  const double smallest = sizeof(T) == 2 ? 6e-8 : 1e-44;  // below, half has only steps of this size
  return std::fabs(got - want) <= magnitude * (relative + depth * UNIT) + std::fabs(want) * unit<T>() + smallest;
}

template <class T>
const char* check_forward(const Case& c, const Values& x, const std::vector<float>& weight,
                          const std::vector<float>& bias, std::vector<uint8_t>* place_out) {
  const Geometry& g = c.g;
  const size_t outputs = size_t(g.N * g.K * g.P() * g.Q());
  const Buffer<T> x_on(x.data), weight_on(weight), bias_on(bias);
  cuda::ForwardCall call = {g, c.type, c.device, {x_on.data, {}}, weight_on.data, c.with_bias ? bias_on.data : nullptr,
                            nullptr, nullptr};
  std::copy(x.stride, x.stride + 4, call.x.stride);
  std::vector<float> first;
  std::vector<uint8_t>& place = *place_out;
  for (unsigned long order = 0; order < 3; ++order) {
    const Buffer<T> y(outputs);
    const Buffer<float> bytes((outputs + 3) / 4);
    uint8_t* const places = reinterpret_cast<uint8_t*>(bytes.data);
    call.y = y.data, call.place = c.training ? places : nullptr;
    emulated::seed(order ? c.seed * 3 + order - 1 : 0);
    if (order == 1) emulated::seed(1);
    if (cuda::forward(call, nullptr) != cudaSuccess) return emulated::message();
    if (order == 0) first = y.read(), place.assign(places, places + outputs);
    for (size_t i = 0; i < outputs; ++i) {
      if (!same(value_of(y.data[i]), first[i])) return "y depends on the order of threads";
      if (c.training && places[i] != place[i]) return "place depends on the order of threads";
    }
  }

  const bool tf32 = std::string(cuda::forward_kernel(g, c.type, c.device)) == "forward_mma" && c.type == cuda::Type::float32;
  const double relative = tf32 ? 1.1 / (1 << 10) : 0.0;
  Strided on = {x.data.data(), {x.stride[0], x.stride[1], x.stride[2], x.stride[3]}};
  reference::Convolution conv = reference::convolve({g, on, weight.data(), c.with_bias ? bias.data() : nullptr, nullptr, nullptr});
  if (c.integers)
    for (double& sum : conv.sum) sum = stored<T>(float(sum));  // the pool compares what memory would hold
  size_t i = 0;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t p = 0; p < g.P(); ++p)
      for (int64_t q = 0; q < g.Q(); ++q)
        for (int64_t k = 0; k < g.K; ++k, ++i) {
          const reference::Output want = reference::pool(g, conv, n, p, q, k);
          double magnitude = 0;
          for (int64_t a = 0; a < g.pool_h * g.pool_w; ++a) {
            const int64_t at = reference::position(g, n, p, q, k, a);
            if (at >= 0 && std::isfinite(conv.sum[at])) magnitude = std::max(magnitude, conv.magnitude[at]);
          }
          if (!right<T>(first[i], want.y, magnitude, c, relative)) return "y is wrong";
          if (!c.training) continue;
          if (place[i] == DEAD && !same(first[i], 0.0f)) return "DEAD, but y is not 0";
          if (c.integers || !std::isfinite(want.y)) {
            if (place[i] != want.place) return "place is wrong";
          } else if (place[i] != DEAD) {
            const int64_t at = place[i] < g.pool_h * g.pool_w ? reference::position(g, n, p, q, k, place[i]) : -1;
            if (at < 0) return "place lies in the padding";
            if (!right<T>(first[i], conv.sum[at], magnitude, c, relative)) return "place has another value";
          }
        }
  return nullptr;
}

template <class T>
const char* compare(const std::vector<float>& got, const std::vector<double>& want, const std::vector<double>& size,
                    const Case& c, const char* what) {
  for (size_t i = 0; i < got.size(); ++i)
    if (!right<T>(got[i], want[i], size[i], c, 0.0)) return what;
  return nullptr;
}

template <class T>
const char* check_backward(const Case& c, const Values& x, const std::vector<float>& weight, const Values& grad_y,
                           const std::vector<uint8_t>& place) {
  const Geometry& g = c.g;
  const Buffer<T> x_on(x.data), weight_on(weight), grad_y_on(grad_y.data);
  const Strided x_at = {x.data.data(), {x.stride[0], x.stride[1], x.stride[2], x.stride[3]}};
  const Strided grad_at = {grad_y.data.data(), {grad_y.stride[0], grad_y.stride[1], grad_y.stride[2], grad_y.stride[3]}};
  const reference::Gradients want = reference::backward(g, x_at, weight.data(), grad_at, place.data());
  cuda::Tensor4 x_tensor = {x_on.data, {}}, grad_tensor = {grad_y_on.data, {}};
  std::copy(x.stride, x.stride + 4, x_tensor.stride);
  std::copy(grad_y.stride, grad_y.stride + 4, grad_tensor.stride);
  std::vector<float> first[3];
  for (unsigned long order = 0; order < 3; ++order) {
    const Buffer<T> grad_x(size_t(g.N * g.C * g.H * g.W)), grad_weight(weight.size()), grad_bias(size_t(g.K));
    const Buffer<float> workspace(cuda::backward_weight_workspace(g) / 4);
    emulated::seed(order < 2 ? order : c.seed + 2);
    if (cuda::backward_input({g, c.type, grad_tensor, weight_on.data, place.data(), grad_x.data}, nullptr) != cudaSuccess)
      return emulated::message();
    if (cuda::backward_weight({g, c.type, x_tensor, grad_tensor, place.data(), grad_weight.data, grad_bias.data,
                               workspace.data}, nullptr) != cudaSuccess)
      return emulated::message();
    const std::vector<float> got[] = {grad_x.read(), grad_weight.read(), grad_bias.read()};
    for (int i = 0; i < 3; ++i) {
      if (order == 0) first[i] = got[i];
      for (size_t j = 0; j < got[i].size(); ++j)
        if (!same(got[i][j], first[i][j])) return "a gradient depends on the order of threads";
    }
  }
  const char* wrong = compare<T>(first[0], want.x, want.x_size, c, "grad_x is wrong");
  if (!wrong) wrong = compare<T>(first[1], want.weight, want.weight_size, c, "grad_weight is wrong");
  if (!wrong) wrong = compare<T>(first[2], want.bias, want.bias_size, c, "grad_bias is wrong");
  return wrong;
}

template <class T>
const char* check(const Case& c) {
  const Geometry& g = c.g;
  std::mt19937_64 random(c.seed + 1000000);
  Values x(c.layout, g.N, g.C, g.H, g.W), grad_y(c.grad_layout, g.N, g.K, g.P(), g.Q());
  Values weight(0, g.K, g.C, g.R, g.S), bias(0, 1, g.K, 1, 1);
  x.fill<T>(random, c.integers, c.specials), weight.fill<T>(random, c.integers, false);
  bias.fill<T>(random, c.integers, false), grad_y.fill<T>(random, c.integers, c.specials && random() % 2);
  std::vector<uint8_t> place;
  const char* wrong = check_forward<T>(c, x, weight.data, bias.data, &place);
  if (wrong || !c.training) return wrong;
  return check_backward<T>(c, x, weight.data, grad_y, place);
}

const char* check(const Case& c) {
  if (c.type == cuda::Type::float32) return check<float>(c);
  return c.type == cuda::Type::bfloat16 ? check<__nv_bfloat16>(c) : check<__half>(c);
}

// Which instance runs, in words, so that a test can ask whether all of them did.
std::string instance(const Case& c) {
  constexpr const char* TYPES[] = {"float32", "bfloat16", "float16"};
  const Geometry& g = c.g;
  const std::string kernel = cuda::forward_kernel(g, c.type, c.device);
  const int64_t positions = g.pool_h * g.pool_w, most = kernel == "forward_mma" ? 10 : 9;
  const bool fixed = g.R == 3 && g.S == 3 && g.stride_h == 1 && g.stride_w == 1 && g.pool_h == 2 && g.pool_w == 2;
  const char* how = positions > 4 && positions <= most ? "many" : kernel == "forward_direct" && fixed ? "fixed" : "few";
  return kernel + " " + how + " " + TYPES[int(c.type)];
}

void print(const Case& c, const char* wrong) {
  const Geometry& g = c.g;
  std::printf("seed %llu: %s\n  %s, N C H W %lld %lld %lld %lld, K R S %lld %lld %lld, stride %lld %lld, padding %lld %lld, "
              "pool %lld %lld, its stride %lld %lld, its padding %lld %lld, layouts %d %d%s%s%s\n",
              (unsigned long long)c.seed, wrong, instance(c).c_str(), (long long)g.N, (long long)g.C, (long long)g.H,
              (long long)g.W, (long long)g.K, (long long)g.R, (long long)g.S, (long long)g.stride_h,
              (long long)g.stride_w, (long long)g.padding_h, (long long)g.padding_w, (long long)g.pool_h,
              (long long)g.pool_w, (long long)g.pool_stride_h, (long long)g.pool_stride_w, (long long)g.pool_padding_h,
              (long long)g.pool_padding_w, c.layout, c.grad_layout, c.integers ? ", integers" : "",
              c.specials ? ", specials" : "", c.training ? ", training" : "");
}

}  // namespace

int main(int count, char** arguments) {
  const uint64_t cases = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 100;
  const uint64_t begin = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 0;
  std::map<std::string, int> ran;
  int failures = 0;
  for (uint64_t seed = begin; seed < begin + cases && failures < 5; ++seed) {
    const Case c = random_case(seed);
    if (c.g.N > 0) ++ran[instance(c)];
    if (const char* wrong = check(c)) print(c, wrong), ++failures;
  }
  for (const auto& [name, times] : ran) std::printf("%s: %d\n", name.c_str(), times);
  if (failures == 0) std::printf("%llu cases: all right\n", (unsigned long long)cases);
  return failures ? 1 : 0;
}
