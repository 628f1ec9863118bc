// The register tile of the forward pass: I x J positions of the convolution times M vectors of filters, over all taps.
// A tap costs one broadcast a position and M loads of weights, against I * J * M FMAs. Its input and weight are what
// multiply_add() takes: a float each, or two bfloat16 in the 32 bits of one (TERMS).
//
//   tap      offsets of the taps in the input from a position's corner, in the order of the weights
//   w        (taps, KB): the weights of one block of filters

constexpr int U = 2;                       // vectors in a block of filters
constexpr int KB = U * LANES;              // filters in a block
constexpr int COLUMNS = ACCUMULATORS / U;  // positions of a tile in one row

// acc[i][j][u] += x[i * row + j * column + tap] * w[tap][u], over the taps
template <int I, int J, int M>
inline void convolve(Vec (&acc)[I][J][M], const float* x, ptrdiff_t row, ptrdiff_t column, const ptrdiff_t* tap,
                     const ptrdiff_t* end, const float* w) {
  for (; tap != end; ++tap, w += KB) {
    const float* p = x + *tap;
    Vec weight[M];
    UNROLL for (int u = 0; u < M; ++u) weight[u] = load(w + u * LANES);
    UNROLL for (int i = 0; i < I; ++i) {
      UNROLL for (int j = 0; j < J; ++j) {
        const Vec a = splat(p[i * row + j * column]);
        UNROLL for (int u = 0; u < M; ++u) acc[i][j][u] = multiply_add(a, weight[u], acc[i][j][u]);
      }
    }
  }
}

// The maximum over a pool window and its place, one filter a lane. Starting from 0 and DEAD is the ReLU, and says
// which outputs pass no gradient: where nothing beats 0.
struct Best {
  Vec value;
  Labels place;

  // A function and not a default: GCC compiles implicit constructors without the target options of the file.
  static inline Best none() { return {zero(), label(DEAD)}; }

  inline void meet(Vec v, int candidate) {
    const Mask better = either(above(v, value), unordered(v, v));
    value = pick(better, v, value);
    place = pick(better, label(uint8_t(candidate)), place);
  }

  inline void meet_number(Vec v, int candidate) {  // v is not NaN
    place = pick(above(v, value), label(uint8_t(candidate)), place);
    value = maximum(v, value);
  }

  // The first n filters of a vector; a null `at` keeps no place.
  template <class T>
  inline void write(T* y, uint8_t* at, int64_t n) const {
    if (n >= LANES) {
      store(y, value);
      if (at) store(at, place);
    } else {
      store(y, value, int(n));
      if (at) store(at, place, int(n));
    }
  }
};

// Where a pass writes: y of either type, and place or nullptr.
struct Target {
  void* y;
  uint8_t* place;
  bool narrow;

  template <class T>
  Target(T* y, uint8_t* place) : y(y), place(place), narrow(sizeof(T) < sizeof(float)) {}

  inline Target operator+(int64_t i) const {
    Target at = *this;
    at.y = static_cast<char*>(y) + i * (narrow ? int64_t(sizeof(bf16)) : int64_t(sizeof(float)));
    if (place) at.place += i;
    return at;
  }

  inline void write(const Best& best, int64_t n) const {
    narrow ? best.write(static_cast<bf16*>(y), place, n) : best.write(static_cast<float*>(y), place, n);
  }
};

// Tile<width, M>::run for a width of 1 to J.
template <template <int, int> class Tile, int J, int M>
auto find(int64_t width) -> decltype(&Tile<1, M>::run) {
  if constexpr (J > 1)
    return width == J ? &Tile<J, M>::run : find<Tile, J - 1, M>(width);
  else
    return &Tile<1, M>::run;
}
