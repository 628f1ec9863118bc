// How many multiplications and additions a core reaches when nothing holds it back: twelve independent chains of fused
// multiply-adds in registers, so that two units with a latency of up to six cycles never wait. In float32; and in
// bfloat16 with float32 sums, by dot products of pairs (AVX512-BF16) and by tiles (AMX), each compiled only where the
// machine has it, as older assemblers lack the names. No torch, no Python; benchmarks/peak.py calls the functions.

namespace {

constexpr int CHAINS = 12;

// The loop is written out in assembly: a compiler would be right to fold it. xmm12 holds the factor and the addend;
// the chains start at 0 and stay finite.
#define EACH(STEP) STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(8) STEP(9) STEP(10) STEP(11)
#define ZERO(i) "xorps %%xmm" #i ", %%xmm" #i "\n\t"
#define DOTS(i) "vdpbf16ps %%zmm12, %%zmm12, %%zmm" #i "\n\t"
#define WIDE(i) "vfmadd132ps %%zmm12, %%zmm12, %%zmm" #i "\n\t"
#define HALF(i) "vfmadd132ps %%ymm12, %%ymm12, %%ymm" #i "\n\t"
#define PAIR(i) "mulps %%xmm12, %%xmm" #i "\n\taddps %%xmm12, %%xmm" #i "\n\t"
#define REPEAT(STEP)                                                                       \
  asm volatile(EACH(ZERO) ZERO(12) "0:\n\t" EACH(STEP) "sub $1, %0\n\t"                    \
               "jnz 0b\n\t"                                                                \
               : "+r"(rounds)                                                              \
               :                                                                           \
               : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",     \
                 "xmm8", "xmm9", "xmm10", "xmm11", "xmm12")

}  // namespace

// Run so many rounds with vectors of so many products: 32 (pairs of bfloat16), 16 (AVX-512), 8 (AVX2 with FMA), 4
// (SSE: a multiplication, an addition); the caller knows that the processor has them. Returns the operations done, 0
// for any other width.
extern "C" double peak_run(int lanes, long rounds) {
  const double flops = 2.0 * CHAINS * lanes * static_cast<double>(rounds);
  if (lanes == 16) REPEAT(WIDE);
  else if (lanes == 8) REPEAT(HALF);
  else if (lanes == 4) REPEAT(PAIR);
#ifdef PEAK_AVX512_BF16
  else if (lanes == 32) REPEAT(DOTS);
#endif
  else return 0;
  return flops;
}

#ifdef PEAK_AMX
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr int TILE_CHAINS = 6;               // six sums and the two factors are all eight tiles
constexpr int TILE_PRODUCTS = 16 * 16 * 32;  // 16 rows of 32 values times 32 rows of 16

struct alignas(64) TileConfig {
  unsigned char palette = 1, start_row = 0, reserved[14] = {};
  unsigned short row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  unsigned char rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

}  // namespace

// The same by tiles: sums in tmm0 to tmm5, factors of zeros in tmm6 and tmm7, whose values do not change the speed.
// Returns the operations done, 0 where the kernel does not allow this process to use tiles.
extern "C" double peak_run_tiles(long rounds) {
  constexpr long REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;  // of arch_prctl
  if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA)) return 0;
  const double flops = 2.0 * TILE_CHAINS * TILE_PRODUCTS * static_cast<double>(rounds);
  const TileConfig config;
  asm volatile(
      "ldtilecfg %1\n\t"
      "tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3\n\t"
      "tilezero %%tmm4\n\ttilezero %%tmm5\n\ttilezero %%tmm6\n\ttilezero %%tmm7\n\t"
      "0:\n\t"
      "tdpbf16ps %%tmm7, %%tmm6, %%tmm0\n\ttdpbf16ps %%tmm7, %%tmm6, %%tmm1\n\t"
      "tdpbf16ps %%tmm7, %%tmm6, %%tmm2\n\ttdpbf16ps %%tmm7, %%tmm6, %%tmm3\n\t"
      "tdpbf16ps %%tmm7, %%tmm6, %%tmm4\n\ttdpbf16ps %%tmm7, %%tmm6, %%tmm5\n\t"
      "sub $1, %0\n\t"
      "jnz 0b\n\t"
      "tilerelease\n\t"
      : "+r"(rounds)
      : "m"(config)
      : "cc");
  return flops;
}
#endif
