// How many multiplications and additions of float32 a core reaches when nothing holds it back: twelve independent
// chains of fused multiply-adds in registers, so that two units with a latency of up to six cycles never wait.
// No torch, no Python; one function, which benchmarks/peak.py calls.

namespace {

constexpr int CHAINS = 12;

// The loop is written out in assembly: a compiler would be right to fold it. xmm12 holds the factor and the addend;
// the chains start at 0 and stay finite.
#define EACH(STEP) STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(8) STEP(9) STEP(10) STEP(11)
#define ZERO(i) "xorps %%xmm" #i ", %%xmm" #i "\n\t"
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

// Run so many rounds with vectors of so many floats: 16 (AVX-512), 8 (AVX2 with FMA), 4 (SSE: a multiplication, an
// addition); the caller knows that the processor has them. Returns the operations done, 0 for any other width.
extern "C" double peak_run(int lanes, long rounds) {
  const double flops = 2.0 * CHAINS * lanes * static_cast<double>(rounds);
  if (lanes == 16) REPEAT(WIDE);
  else if (lanes == 8) REPEAT(HALF);
  else if (lanes == 4) REPEAT(PAIR);
  else return 0;
  return flops;
}
