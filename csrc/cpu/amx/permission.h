// Whether this process may use AMX tiles in bfloat16: what the processor has, what the system saves for a thread, and
// its permission, which Linux wants to be asked for. Asked once a process; children of a fork inherit the answer.
#pragma once

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace cnnzoo {
namespace {

// nullptr, or the reason as one sentence.
const char* find_amx_refusal() {
  unsigned a, b, c, d;
  constexpr unsigned OSXSAVE = 1u << 27, AMX_BF16 = 1u << 22, AMX_TILE = 1u << 24;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return "the system saves no extended registers";
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & AMX_TILE) || !(d & AMX_BF16))
    return "this processor lacks amx_tile and amx_bf16";
  unsigned enabled, high;
  constexpr unsigned TILE_STATE = 3u << 17;  // configuration and data
  asm volatile("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0));
  if ((enabled & TILE_STATE) != TILE_STATE) return "the system saves no tile registers";
  constexpr long ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18;
  if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) != 0)
    return "the kernel refused permission for tile registers (arch_prctl, ARCH_REQ_XCOMP_PERM)";
  return nullptr;
}

const char* amx_refusal() {
  static const char* const refusal = find_amx_refusal();
  return refusal;
}

}  // namespace
}  // namespace cnnzoo
#endif
