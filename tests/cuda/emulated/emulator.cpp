// The emulator's runtime: blocks, barriers, warps, launches. See emulator.h for what it promises; fiber.h switches stacks.
//
// Build this file without -fsanitize=thread, and with -DEMULATED_TSAN where the kernels have it. What happens before
// what is then told to the sanitizer, and nothing else is: launch before threads, barrier and __syncwarp between those
// that meet, fences among each other, threads before the launch's end. Between blocks there is nothing.

#include "emulator.h"

#include <vector_functions.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "fiber.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulated {
namespace {

constexpr size_t SLOT = 32;                     // bytes of a lane in an exchange
constexpr size_t MOST_SHARED = 48 << 10;        // a launch that asks for no more

enum class State { ready, at_barrier, at_warp, done };

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
};

// Not std::memcpy: the thread sanitizer watches that one wherever it is called.
void copy_bytes(void* to, const void* from, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) static_cast<unsigned char*>(to)[i] = static_cast<const unsigned char*>(from)[i];
}

struct Exchange {
  unsigned char slot[32][SLOT];
};

struct Thread {
  Fiber fiber;
  uint3 index;
  unsigned number;
  State state;
  const char* site;
  unsigned mask;
  size_t bytes;
  unsigned char slot[SLOT];
  std::shared_ptr<Exchange> received;
  std::vector<std::vector<Copy>> groups;  // of asynchronous copies
  std::vector<Copy> open;
};

// Never destroyed: leak checks run after static destructors. Blocks take turns with two sets of threads, so that the
// sanitizer keeps neighbouring blocks unordered.
auto& all_threads = *new std::vector<Thread*>;
Thread** threads;
Thread* running;
void (*entry)(void*);
void* arguments;
unsigned char* shared;
size_t shared_bytes;
unsigned long order_seed;
std::mt19937_64 random_order;
bool failed;
char first_message[512] = "no error";
cudaError_t last_error = cudaSuccess;
unsigned which_set;
Sync sync_launch, sync_shared, sync_end[2], sync_meeting[8], sync_fence;
unsigned meetings;

void run_thread(void* it) {
  acquire(&sync_launch);
  acquire(&sync_shared);
  entry(arguments);
  static_cast<Thread*>(it)->state = State::done;
  release(&sync_end[which_set]);
}

void resume(Thread* thread) {
  running = thread;
  threadIdx = thread->index;
  lane = thread->number % 32;
  thread->fiber.resume();
  running = nullptr;
}

// The threads that meet: what each did before comes before what each does after. Every meeting takes the next variable
// of a ring, so that a late riser does not see what an early one did afterwards.
void meet(Thread* thread) { thread->fiber.meet(&sync_meeting[meetings % 8]); }

// A group is complete when every lane of its mask waits with that mask at that site.
bool resolve_warps(unsigned count) {
  bool any = false;
  for (unsigned i = 0; i < count; ++i) {
    Thread* const one = threads[i];
    if (one->state != State::at_warp) continue;
    const unsigned warp = i / 32 * 32, mask = one->mask;
    bool complete = true;
    for (unsigned l = 0; l < 32 && complete; ++l) {
      if (!(mask >> l & 1)) continue;
      complete = warp + l < count;
      if (!complete) break;
      const Thread* const other = threads[warp + l];
      complete = other->state == State::at_warp && other->mask == mask && other->site == one->site;
    }
    if (!complete) continue;
    auto values = std::make_shared<Exchange>();
    for (auto& slot : values->slot) std::fill(slot, slot + SLOT, 0xff);
    for (unsigned l = 0; l < 32; ++l)
      if (mask >> l & 1) copy_bytes(values->slot[l], threads[warp + l]->slot, SLOT);
    for (unsigned l = 0; l < 32; ++l) {
      if (!(mask >> l & 1)) continue;
      Thread* const other = threads[warp + l];
      other->received = values;
      other->state = State::ready;
      if (other->bytes == 0) meet(other);  // only __syncwarp orders memory; a shuffle does not
    }
    ++meetings;
    any = true;
  }
  return any;
}

const char* where(const Thread* thread) { return thread->state == State::done ? "the end" : thread->site; }

bool resolve_barrier(unsigned count) {
  const Thread* first = nullptr;
  unsigned done = 0;
  for (unsigned i = 0; i < count; ++i) {
    Thread* const one = threads[i];
    if (one->state == State::done) {
      ++done;
      continue;
    }
    if (one->state == State::at_warp) {
      fail("block (%u, %u, %u): thread %u waits at %s for mask %08x, thread 0 is at %s", blockIdx.x, blockIdx.y,
           blockIdx.z, i, one->site, one->mask, where(threads[0]));
      return false;
    }
    if (!first) first = one;
    if (one->site != first->site) {
      fail("block (%u, %u, %u): divergent barrier, thread %u at %s, thread %u at %s", blockIdx.x, blockIdx.y,
           blockIdx.z, first->number, first->site, i, one->site);
      return false;
    }
  }
  if (!first) return false;
  if (done) {
    fail("divergent barrier: %u threads have ended while thread %u waits at %s", done, first->number, first->site);
    return false;
  }
  for (unsigned i = 0; i < count; ++i) {
    threads[i]->state = State::ready;
    meet(threads[i]);
  }
  ++meetings;
  return true;
}

void run_block(unsigned count) {
#ifdef EMULATED_TSAN
  which_set ^= 1;
#endif
  threads = all_threads.data() + which_set * count;
  std::vector<unsigned> order(count);
  for (unsigned i = 0; i < count; ++i) {
    Thread* const one = threads[i];
    one->index = uint3{i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
    one->number = i;
    one->state = State::ready;
    one->open.clear();
    one->groups.clear();
    one->fiber.start(run_thread, one);
    order[i] = order_seed == 1 ? count - 1 - i : i;
  }
  const SharedBlock block(shared_bytes);
  shared = block.data;
  release(&sync_shared);
  do {
    if (order_seed > 1) std::shuffle(order.begin(), order.end(), random_order);
    for (const unsigned i : order)
      if (threads[i]->state == State::ready && !failed) resume(threads[i]);
  } while (!failed && (resolve_warps(count) || resolve_barrier(count)));
  for (unsigned i = 0; i < count && !failed; ++i)
    if (!threads[i]->open.empty() || !threads[i]->groups.empty())
      fail("thread %u has ended with asynchronous copies that nobody waited for", i);
  block.free_after(&sync_end[which_set]);
}

}  // namespace

unsigned lane;

void seed(unsigned long a) { order_seed = a, random_order.seed(a); }
const char* message() { return first_message; }

void fail(const char* format, ...) {
  if (failed) return;
  failed = true;
  va_list values;
  va_start(values, format);
  vsnprintf(first_message, sizeof first_message, format, values);
  va_end(values);
}

void* dynamic_shared() {
  if (!shared) fail("the kernel uses dynamic shared memory, and the launch gave none");
  return shared;
}

void barrier(const char* site) {
  running->state = State::at_barrier, running->site = site;
  running->fiber.yield();
}

void exchange(unsigned mask, const char* site, const void* in, size_t bytes, void* out) {
  Thread* const me = running;
  if (!(mask >> lane & 1)) return fail("%s: lane %u calls with mask %08x, which leaves it out", site, lane, mask);
  me->state = State::at_warp, me->site = site, me->mask = mask, me->bytes = bytes;
  if (bytes) copy_bytes(me->slot, in, bytes);
  me->fiber.yield();
  for (unsigned l = 0; bytes && l < 32; ++l) copy_bytes(static_cast<char*>(out) + l * bytes, me->received->slot[l], bytes);
}

void fence() { acquire(&sync_fence), release(&sync_fence); }

void async_copy(void* to, const void* from, size_t bytes) {
  const bool aligned = uintptr_t(to) % bytes == 0 && uintptr_t(from) % bytes == 0;
  if ((bytes != 4 && bytes != 8 && bytes != 16) || !aligned) fail("cp.async of %zu bytes: size or alignment", bytes);
  running->open.push_back({to, from, bytes});
}

void async_commit() {
  running->groups.push_back(std::move(running->open));
  running->open.clear();
}

void async_wait(unsigned prior) {  // the bytes arrive only here: a missing wait leaves poison behind
  Thread* const me = running;
  while (me->groups.size() > prior) {
    for (const Copy& copy : me->groups.front()) emulated_copy(copy.to, copy.from, copy.bytes);
    me->groups.erase(me->groups.begin());
  }
}

cudaError_t launch(dim3 grid, dim3 block, size_t bytes, void (*body)(void*), void* it) {
  const unsigned count = block.x * block.y * block.z;
  if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 || !count ||
      count > 1024 || block.z > 64 || bytes > MOST_SHARED) {
    snprintf(first_message, sizeof first_message, "the launch is beyond the limits of a device");
    return last_error = cudaErrorInvalidConfiguration;
  }
  while (all_threads.size() < SETS * count) all_threads.push_back(new Thread());
  enter_launch();
  release(&sync_launch);
  entry = body, arguments = it, gridDim = grid, blockDim = block, shared_bytes = bytes, failed = false;
  std::vector<uint64_t> order(uint64_t(grid.x) * grid.y * grid.z);
  for (uint64_t i = 0; i < order.size(); ++i) order[i] = order_seed == 1 ? order.size() - 1 - i : i;
  if (order_seed > 1) std::shuffle(order.begin(), order.end(), random_order);
  for (const uint64_t i : order) {
    blockIdx = uint3{unsigned(i % grid.x), unsigned(i / grid.x % grid.y), unsigned(i / grid.x / grid.y)};
    run_block(count);
    if (failed) return last_error = cudaErrorLaunchFailure;
  }
  acquire(&sync_end[0]), acquire(&sync_end[1]);
  return cudaSuccess;
}

}  // namespace emulated

extern "C" {

cudaError_t cudaGetLastError() {
  const cudaError_t error = emulated::last_error;
  emulated::last_error = cudaSuccess;
  return error;
}

// The exact size, so that the address sanitizer sees one element past the end, and full of NaN.
cudaError_t cudaMalloc(void** p, size_t bytes) {
  if (posix_memalign(p, 256, bytes ? bytes : 1)) return cudaErrorMemoryAllocation;
  std::memset(*p, 0xff, bytes);
  return cudaSuccess;
}

cudaError_t cudaFree(void* p) {
  free(p);
  return cudaSuccess;
}
}
