// Stacks that take turns, and what the sanitizers have to be told about it. x86-64 only.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Compiled with the kernels, so that the sanitizers see the bytes move.
extern "C" void emulated_copy(void* to, const void* from, size_t bytes);

namespace emulated {

// A variable of the thread sanitizer that orders whoever releases it before whoever acquires it afterwards.
struct Sync {
  char byte;
};

#ifdef EMULATED_TSAN
extern "C" {
void* __tsan_create_fiber(unsigned);
void* __tsan_get_current_fiber();
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
}
constexpr unsigned SETS = 2;
constexpr unsigned UNORDERED = 1;  // a switch that does not itself order anything
inline void *tsan_main, *tsan_janitor;
inline void acquire(Sync* sync) { __tsan_acquire(sync); }
inline void release(Sync* sync) { __tsan_release(sync); }
inline void enter_launch() {
  tsan_main = __tsan_get_current_fiber();
  if (!tsan_janitor) tsan_janitor = __tsan_create_fiber(0);
}
#else
constexpr unsigned SETS = 1;
inline void acquire(Sync*) {}
inline void release(Sync*) {}
inline void enter_launch() {}
#endif

asm(R"(
.text
.weak emulated_switch
emulated_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.weak emulated_boot
emulated_boot:
  xorl %ebp, %ebp
  call emulated_begin
  ud2
)");
extern "C" void emulated_switch(void** save, void* to);
extern "C" void emulated_boot();
extern "C" void emulated_begin();

class Fiber {
 public:
  Fiber() {
    void* const all = mmap(nullptr, STACK + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED || mprotect(all, PAGE, PROT_NONE)) abort();  // a page below that nobody may touch
    stack_ = static_cast<char*>(all) + PAGE;
  }

  void start(void (*run)(void*), void* it) {
    run_ = run, it_ = it;
    void** const top = reinterpret_cast<void**>(stack_ + STACK) - 3;  // the call in emulated_boot is then aligned
    *top = reinterpret_cast<void*>(&emulated_boot);
    pointer_ = top - 6;  // under it, six saved registers
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(stack_, STACK);
#endif
#ifdef EMULATED_TSAN
    if (!tsan_) tsan_ = __tsan_create_fiber(0);
#endif
  }

  // Called outside: runs the fiber until it yields or ends.
  void resume() {
    current = this;
#ifdef __SANITIZE_ADDRESS__
    void* fake;
    __sanitizer_start_switch_fiber(&fake, stack_, STACK);
#endif
#ifdef EMULATED_TSAN
    __tsan_switch_to_fiber(tsan_, UNORDERED);
#endif
    emulated_switch(&outside, pointer_);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  }

  // Called inside: back to who resumed it.
  void yield() {
    leave(false);
#ifdef EMULATED_TSAN
    if (met_) acquire(met_);
    met_ = nullptr;
#endif
  }

  // Called outside: this fiber meets the others that are given the same variable.
  void meet([[maybe_unused]] Sync* sync) {
#ifdef EMULATED_TSAN
    __tsan_switch_to_fiber(tsan_, UNORDERED);
    release(met_ = sync);
    __tsan_switch_to_fiber(tsan_main, UNORDERED);
#endif
  }

  static void begin() {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(nullptr, &outside_bottom, &outside_size);
#endif
    current->run_(current->it_);
    current->leave(true);
    abort();
  }

 private:
  static constexpr size_t STACK = 128 << 10, PAGE = 4096;
  static inline Fiber* current;
  static inline void* outside;
  static inline const void* outside_bottom;
  static inline size_t outside_size;

  void leave([[maybe_unused]] bool last) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(last ? nullptr : &fake_, outside_bottom, outside_size);
#endif
#ifdef EMULATED_TSAN
    __tsan_switch_to_fiber(tsan_main, UNORDERED);
#endif
    emulated_switch(&pointer_, outside);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake_, &outside_bottom, &outside_size);
#endif
  }

  char* stack_;
  void* pointer_ = nullptr;
  void (*run_)(void*) = nullptr;
  void* it_ = nullptr;
  [[maybe_unused]] void* fake_ = nullptr;
  [[maybe_unused]] void* tsan_ = nullptr;
  [[maybe_unused]] Sync* met_ = nullptr;
};

extern "C" inline __attribute__((used)) void emulated_begin() { Fiber::begin(); }

// A block's dynamic shared memory: NaN all over, an exact end, and no more aligned than the 16 bytes that are promised.
struct SharedBlock {
  static constexpr size_t ALIGNMENT = 16;
  unsigned char *base = nullptr, *data = nullptr;

  explicit SharedBlock(size_t bytes) {
    if (bytes == 0) return;
    void* p = nullptr;
    if (posix_memalign(&p, 2 * ALIGNMENT, bytes + ALIGNMENT)) abort();
    std::memset(p, 0xff, bytes + ALIGNMENT);
    base = static_cast<unsigned char*>(p), data = base + ALIGNMENT;
#ifdef __SANITIZE_ADDRESS__
    __asan_poison_memory_region(base, ALIGNMENT);
#endif
  }

  // The block has to have ended; a fiber of its own waits for that, so that nobody else is ordered by it.
  void free_after([[maybe_unused]] Sync* end) const {
#ifdef EMULATED_TSAN
    __tsan_switch_to_fiber(tsan_janitor, UNORDERED);
    acquire(end);
#endif
    free(base);
#ifdef EMULATED_TSAN
    __tsan_switch_to_fiber(tsan_main, UNORDERED);
#endif
  }
};

}  // namespace emulated
