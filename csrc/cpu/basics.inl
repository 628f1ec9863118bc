// Small things that every pass uses: integers, the workspace, the shares of the threads.

#define UNROLL _Pragma("GCC unroll 32")

constexpr int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr int64_t clamp(int64_t a, int64_t low, int64_t high) { return max(low, min(a, high)); }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// Part i of `total` things dealt out in `parts` nearly equal runs begins here.
constexpr int64_t part(int64_t total, int64_t parts, int64_t i) { return total * i / parts; }

// Deals out a workspace: every piece begins on a cache line, and whole vectors may be read past its end.
struct Layout {
  size_t bytes = 0;

  template <class T>
  size_t take(int64_t count) {
    const size_t at = bytes;
    bytes += size_t(round_up(count * int64_t(sizeof(T)) + 64, 64));
    return at;
  }
};

template <class T>
inline T* at(void* workspace, size_t offset) {
  return reinterpret_cast<T*>(static_cast<char*>(workspace) + offset);
}

// Calls body(lane, begin, end) for as many lanes as there are threads, each with its share of `units`, but not for
// less than `least` of them. A lane runs on one thread at a time, so it may own a piece of the workspace.
template <class Body>
void parallel(const Pool& pool, int64_t units, int64_t least, const Body& body) {
  struct Context {
    const Body& body;
    int64_t units, lanes;
  } context{body, units, min(pool.threads, units / least)};
  if (context.lanes <= 1) return body(int64_t(0), int64_t(0), units);
  pool.run(
      pool.self, context.lanes,
      [](void* ctx, int64_t begin, int64_t end) {
        const Context& c = *static_cast<const Context*>(ctx);
        for (int64_t i = begin; i < end; ++i) c.body(i, part(c.units, c.lanes, i), part(c.units, c.lanes, i + 1));
      },
      &context);
}

// Units of so many floats that moving them earns back waking a thread.
constexpr int64_t worth_a_thread(int64_t floats) { return ceil_div(32 * 1024, floats); }
