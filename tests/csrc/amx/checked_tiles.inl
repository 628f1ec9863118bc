// The tile instructions, emulated and checked; see emulator.h.

#include "cpu/amx/tile_shapes.inl"

struct Tiles {
  // Small, so that small cases are cut in every direction, and dealt out to threads.
  static constexpr int64_t STRIP = 6 * 1024, SUMS = 4 * 1024, OPERANDS = 64 * 1024, WORTH_A_THREAD = 1;

  struct Session {
    Session() {
      const TileShapes shapes;
      emulator::ldtilecfg(&shapes);
    }
    ~Session() { emulator::tilerelease(); }
    Session(const Session&) = delete;
  };
  template <int T>
  static void load(const void* from, ptrdiff_t pitch) {
    emulator::tileload(T, from, pitch);
  }
  template <int T>
  static void store(void* to, ptrdiff_t pitch) {
    emulator::tilestore(T, to, pitch);
  }
  template <int T>
  static void zero() {
    emulator::tilezero(T);
  }
  template <int C, int A, int B>
  static void dot() {
    emulator::tdpbf16ps(C, A, B);
  }
  static void round32(bf16* to, const float* from) { round16(to, from), round16(to + 16, from + 16); }
  static void round16(bf16* to, const float* from) {
    for (int i = 0; i < 16; ++i) {
      uint32_t bits;
      std::memcpy(&bits, from + i, sizeof bits);
      to[i] = from[i] != from[i] ? bf16(bits >> 16 | 0x40) : bf16((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
  }
  static void know(const void* begin, size_t bytes) { emulator::know(begin, bytes); }
};
