// Pieces of the workspace that tiles touch, and values that a loop of the compiler's own handles at a time.

constexpr int64_t ROWS = 16;   // of a tile: positions, pixels or channels
constexpr int64_t DEPTH = 32;  // values that one product of tiles sums over
constexpr int64_t TILE = ROWS * DEPTH;  // bfloat16 of a tile of A or B; as many bytes as 16 x 16 floats
constexpr int64_t BLOCK = 32;  // columns of two tiles: filters, or channels of dX

// Units of so many products that computing them earns back waking a thread.
constexpr int64_t worth_a_thread_of(int64_t products) { return ceil_div(Tiles::WORTH_A_THREAD, max(products, 1)); }

template <class T>
inline T* buffer(void* workspace, size_t offset, int64_t count) {
  T* p = at<T>(workspace, offset);
  Tiles::know(p, size_t(count) * sizeof(T));
  return p;
}

// 16 or 32 columns of block b out of `count`: how many tiles.
constexpr int halves(int64_t count, int64_t b) { return count - b * BLOCK > ROWS ? 2 : 1; }

// Value `index` of column n in tiles of B that lie one behind another, `halves` of them side by side.
inline uint64_t in_tiles(uint64_t index, uint64_t n, uint64_t halves) {
  return (index / DEPTH * halves + n / ROWS) * TILE + index % DEPTH / 2 * DEPTH + n % ROWS * 2 + index % 2;
}

// The nearest bfloat16 of the columns of one tile, or two.
template <int COUNT>
inline void round(bf16* to, const float* from) {
  COUNT == BLOCK ? Tiles::round32(to, from) : Tiles::round16(to, from);
}

// to (16, 2): both rows side by side
inline void pair(bf16* to, const bf16* first, const bf16* second) {
  uint32_t pairs[ROWS];
  for (int64_t k = 0; k < ROWS; ++k) pairs[k] = first[k] | uint32_t(second[k]) << 16;
  std::memcpy(to, pairs, sizeof pairs);
}

// What a pixel's values are padded to, so that a run of `taps` pixels takes the least time. A row of a tile that
// crosses a cache line loads four times as slowly, which makes its product count for two.
struct Pixel {
  int64_t width, steps, cost;

  Pixel(int64_t values, int64_t taps) {
    constexpr int64_t LINE = 64;
    int64_t aligned = values * int64_t(sizeof(bf16)) | LINE;
    aligned &= -aligned;  // so many bytes of a line's 64 are places where a row begins that does not cross one
    const int64_t whole = round_up(values, DEPTH), whole_steps = whole * taps / DEPTH;
    const int64_t dense_steps = ceil_div(values * taps, DEPTH);
    const int64_t dense_cost = dense_steps > 1 ? dense_steps * (2 * LINE - aligned) : LINE;
    const bool dense = dense_cost < whole_steps * LINE || values * taps <= ROWS;
    width = dense ? values : whole;
    steps = dense ? dense_steps : whole_steps;
    cost = dense ? dense_cost : whole_steps * LINE;
  }
};
