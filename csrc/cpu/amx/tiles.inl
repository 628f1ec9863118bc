// The tile instructions themselves. `Tiles` is all that the kernels know of AMX; tests put twins in its place, which
// check every access or run where there is no AMX.
//
//   tmm0-3  sums, 16 x 16 float32        tmm4-5  A, 16 rows of 32 bfloat16        tmm6-7  B, 16 pairs of rows of 16
//
// In assembly, because the compiler's own functions do not say all that they touch: with GCC 12 a configuration is
// optimised away, and stores move past loads of tiles. Every tile is always whole; buffers are padded instead.

#include "tile_shapes.inl"

struct Tiles {
  // Bytes of L2 that the input or gradient of a task may fill, of its sums, and of both operands of dW.
  static constexpr int64_t STRIP = 256 * 1024, SUMS = 32 * 1024, OPERANDS = 1024 * 1024;

  static constexpr int64_t WORTH_A_THREAD = 512;  // products that take longer than waking one

  // The configuration of a thread lasts as long as this, so that others (oneDNN) may have their own between our tasks.
  struct Session {
    Session() {
      const TileShapes shapes;
      asm volatile("ldtilecfg %0" : : "m"(shapes) : "memory");
    }
    ~Session() { asm volatile("tilerelease" : : : "memory"); }
    Session(const Session&) = delete;
  };

  template <int T>
  static void load(const void* from, ptrdiff_t pitch) {  // pitch in bytes, from one row of the tile to the next
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(pitch), "i"(T) : "memory");
  }
  template <int T>
  static void store(void* to, ptrdiff_t pitch) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(pitch), "i"(T) : "memory");
  }
  template <int T>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(T));
  }
  template <int C, int A, int B>  // C += A * B
  static void dot() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
  }

  // The nearest bfloat16, NaN for NaN. Denormal numbers may become 0, as they do in products.
  static void round16(bf16* to, const float* from) {
    const __m256bh halves = _mm512_cvtneps_pbh(_mm512_loadu_ps(from));
    std::memcpy(to, &halves, sizeof halves);
  }
  static void round32(bf16* to, const float* from) {
    const __m512bh halves = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + 16), _mm512_loadu_ps(from));
    std::memcpy(to, &halves, sizeof halves);
  }

  static void know(const void*, size_t) {}  // a buffer that tiles may touch: for the twins
};
