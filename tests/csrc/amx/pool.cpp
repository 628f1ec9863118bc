// The pool on sums of its own choosing: NaN of both signs and infinities, which finite inputs reach by overflow alone,
// zeros of both signs, and values that are ties once they are rounded.
//
//   pool [windows]

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "bfloat16.h"
#include "cpu/isa.h"
#include "emulator.h"

namespace cnnzoo {
namespace {

#include "checked_tiles.inl"

#include "cpu/amx/vector.inl"
#include "cpu/amx/kernels.inl"

const KernelsOf<bf16>& widened() { std::abort(); }
[[maybe_unused]] const KernelsOf<bf16> OTHERS{"amx", workspace_bytes, forward, backward_input, backward_weight};

constexpr float VALUES[] = {NAN,  -NAN, INFINITY,         -INFINITY,        0.0f,  -0.0f, 1.0f,
                            1.0f, 2.0f, 1.0f + 0x1p-10f, 1.0f + 0x1.8p-8f, -1.0f, 3e38f, 3.4e38f};

template <int WIDTH>
bool right(std::mt19937_64& engine) {
  const auto below = [&](int64_t n) { return int64_t(engine() % uint64_t(n)); };
  const int64_t rows = 1 + below(3), columns = 1 + below(3), pitch = columns + below(3), filters = 1 + below(WIDTH);
  const int64_t label = below(4), label_row = columns + below(3);
  std::vector<float> sums(size_t(rows * pitch * WIDTH));
  const bool ordinary = below(2);
  for (float& sum : sums) sum = VALUES[ordinary ? 4 + below(8) : below(14)];
  std::vector<bf16> y(size_t(filters), 0x1234);
  std::vector<uint8_t> place(size_t(filters), 77);
  pool_window<WIDTH>({sums.data(), pitch, rows, columns, label, label_row}, y.data(), place.data(), filters);
  for (int64_t k = 0; k < filters; ++k) {
    float best = -INFINITY;
    int64_t at = -1;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        const float a = ::widen(round_to_bf16(sums[size_t((i * pitch + j) * WIDTH + k)]));
        if (at < 0 || a > best || std::isnan(a)) best = a, at = label + i * label_row + j;
      }
    if (best <= 0) best = 0, at = DEAD;
    const float got = ::widen(y[size_t(k)]);
    if ((got == best || (std::isnan(got) && std::isnan(best))) && place[size_t(k)] == at) continue;
    std::printf("FAILED: expected %g at place %lld, got %g at %d\n", double(best), (long long)at, double(got),
                place[size_t(k)]);
    return false;
  }
  return true;
}

}  // namespace
}  // namespace cnnzoo

int main(int argc, char** argv) {
  const int windows = argc > 1 ? std::atoi(argv[1]) : 2000;
  std::mt19937_64 engine(1);
  for (int i = 0; i < windows; ++i)
    if (!cnnzoo::right<16>(engine) || !cnnzoo::right<32>(engine)) return 1;
  std::printf("%d windows: all right\n", 2 * windows);
}
