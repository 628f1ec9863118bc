// See emulator.h. Portable C++; only the arithmetic leans on IEEE float32 and round-to-nearest.

#include "emulator.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <shared_mutex>

namespace emulator {
namespace {

constexpr int TILES = 8, MOST_ROWS = 16, MOST_BYTES = 64;

enum Fault { NONE, PAIR_ORDER, PAST_BUFFER, NO_CONFIGURATION, NO_RELEASE, STALE_SUMS };
constexpr const char* NAMES[] = {"", "pair_order", "past_buffer", "no_configuration", "no_release", "stale_sums"};

Fault find_planted() {
  const char* wish = std::getenv("CNNZOO_EMULATOR_FAULT");
  for (int i = NONE; i <= STALE_SUMS; ++i)
    if (std::strcmp(wish ? wish : "", NAMES[i]) == 0) return Fault(i);
  std::printf("CNNZOO_EMULATOR_FAULT: expected a name that emulator.h lists, got \"%s\"\n", wish);
  std::exit(2);
}
const Fault planted = find_planted();

struct Tile {
  int rows = 0, bytes = 0;
  uint8_t data[MOST_ROWS][MOST_BYTES];
};

struct State {
  bool configured = false, theirs = false;
  Tile tile[TILES];
  int64_t loads = 0;
};
thread_local State state;

std::shared_mutex mutex;
std::map<uintptr_t, size_t> buffers;  // begin, bytes

[[noreturn]] void stop(const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::printf("\nEMULATOR: ");
  std::vprintf(format, args);
  std::printf("\n");
  std::fflush(stdout);
  std::_Exit(3);
}

Tile& use(const char* instruction, int t) {
  if (!state.configured) stop("%s before ldtilecfg: #UD", instruction);
  if (t < 0 || t >= TILES) stop("%s of tile %d: there are %d", instruction, t, TILES);
  if (state.tile[t].rows == 0) stop("%s of tile %d, which the configuration leaves out: #UD", instruction, t);
  return state.tile[t];
}

void expect_inside(const char* instruction, int t, int row, const uint8_t* at, int bytes) {
  const std::shared_lock<std::shared_mutex> lock(mutex);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(at);
  auto next = buffers.upper_bound(begin);
  if (next == buffers.begin()) stop("%s of tile %d: row %d lies in no buffer", instruction, t, row);
  const auto [from, size] = *--next;
  if (begin + size_t(bytes) > from + size)
    stop("%s of tile %d: row %d ends %lld bytes past a buffer of %zu", instruction, t, row,
         (long long)(begin + size_t(bytes) - from - size), size);
}

float flushed(float a) { return std::fabs(a) < 0x1p-126f ? std::copysign(0.0f, a) : a; }

float widened(uint16_t half) {
  const uint32_t bits = uint32_t(half) << 16;
  float a;
  std::memcpy(&a, &bits, sizeof a);
  return flushed(a);
}

}  // namespace

void ldtilecfg(const void* bytes) {
  if (planted == NO_CONFIGURATION) return;
  const uint8_t* p = static_cast<const uint8_t*>(bytes);
  if (p[0] != 1) stop("ldtilecfg: palette %d: #GP", p[0]);
  for (int i = 2; i < 16; ++i)
    if (p[i]) stop("ldtilecfg: reserved byte %d is %d: #GP", i, p[i]);
  for (int i = 32; i < 64; ++i)
    if ((i < 48 || i >= 56) && p[i]) stop("ldtilecfg: byte %d is for a ninth tile: #GP", i);
  if (p[1] != 0) stop("ldtilecfg: start_row is %d, which only an interrupted load has", p[1]);
  for (int t = 0; t < TILES; ++t) {
    const int row_bytes = p[16 + 2 * t] | p[17 + 2 * t] << 8, rows = p[48 + t];
    if (row_bytes > MOST_BYTES || rows > MOST_ROWS || (row_bytes == 0) != (rows == 0))
      stop("ldtilecfg: tile %d of %d rows of %d bytes: #GP", t, rows, row_bytes);
    state.tile[t].rows = rows, state.tile[t].bytes = row_bytes;
    std::memset(state.tile[t].data, 0, sizeof state.tile[t].data);
  }
  state.configured = true, state.theirs = false;
}

void tilerelease() {
  if (planted != NO_RELEASE) state = State{};
}

void tileload(int t, const void* from, ptrdiff_t pitch) {
  Tile& tile = use("tileloadd", t);
  if (++state.loads % 16 == 0 && planted == PAST_BUFFER) pitch *= 4096;
  std::memset(tile.data, 0, sizeof tile.data);
  for (int row = 0; row < tile.rows; ++row) {
    const uint8_t* at = static_cast<const uint8_t*>(from) + row * pitch;
    expect_inside("tileloadd", t, row, at, tile.bytes);
    std::memcpy(tile.data[row], at, size_t(tile.bytes));
  }
}

void tilestore(int t, void* to, ptrdiff_t pitch) {
  const Tile& tile = use("tilestored", t);
  for (int row = 0; row < tile.rows; ++row) {
    uint8_t* at = static_cast<uint8_t*>(to) + row * pitch;
    expect_inside("tilestored", t, row, at, tile.bytes);
    std::memcpy(at, tile.data[row], size_t(tile.bytes));
  }
}

void tilezero(int t) {
  Tile& tile = use("tilezero", t);
  if (planted != STALE_SUMS) std::memset(tile.data, 0, sizeof tile.data);
}

// The even values of all pairs are one chain of FMAs from zero, the odd ones another; their sum is then added to C.
// Every step rounds to nearest even, and takes and leaves subnormal numbers as zeros.
void tdpbf16ps(int c, int a, int b) {
  if (c == a || c == b || a == b) stop("tdpbf16ps of tiles %d, %d, %d: they have to differ: #UD", c, a, b);
  Tile& sum = use("tdpbf16ps", c);
  const Tile &left = use("tdpbf16ps", a), &right = use("tdpbf16ps", b);
  if (left.rows != sum.rows || right.bytes != sum.bytes || left.bytes != 4 * right.rows || left.bytes % 4 ||
      right.bytes % 4)
    stop("tdpbf16ps: %d rows of %d bytes = %d of %d times %d of %d: #UD", sum.rows, sum.bytes, left.rows, left.bytes,
         right.rows, right.bytes);
  const int pairs = left.bytes / 4, columns = sum.bytes / 4;
  for (int m = 0; m < sum.rows; ++m) {
    uint16_t row[MOST_BYTES / 2];
    std::memcpy(row, left.data[m], sizeof row);
    float chain[2][MOST_BYTES / 4] = {};
    for (int k = 0; k < pairs; ++k) {
      const float even = widened(row[2 * k]), odd = widened(row[2 * k + 1]);
      const int first = planted == PAIR_ORDER && k == 3;
      uint16_t other[MOST_BYTES / 2];
      std::memcpy(other, right.data[k], sizeof other);
      for (int n = 0; n < columns; ++n) {
        chain[0][n] = flushed(std::fma(even, widened(other[2 * n + first]), chain[0][n]));
        chain[1][n] = flushed(std::fma(odd, widened(other[2 * n + 1 - first]), chain[1][n]));
      }
    }
    float sums[MOST_BYTES / 4];
    std::memcpy(sums, sum.data[m], sizeof sums);
    for (int n = 0; n < columns; ++n) sums[n] = flushed(flushed(sums[n]) + flushed(chain[0][n] + chain[1][n]));
    std::memcpy(sum.data[m], sums, sizeof sums);
  }
}

void take_turns() {
  if (state.configured && !state.theirs) stop("a task ended without tilerelease");
  for (Tile& tile : state.tile) tile.rows = 4, tile.bytes = 16;
  state.configured = state.theirs = true;
}

void know(const void* begin, size_t bytes) {
  const std::unique_lock<std::shared_mutex> lock(mutex);
  buffers[reinterpret_cast<uintptr_t>(begin)] = bytes;
}

void forget() {
  const std::unique_lock<std::shared_mutex> lock(mutex);
  buffers.clear();
}

}  // namespace emulator
