// The maximum of a 2x2 window in registers: four positions of M vectors of filters, in row-major order, to y and place.

template <int M, class T>
inline void pool_any(const Vec (&four)[4][M], T* y, uint8_t* place, int64_t filters) {
  UNROLL for (int u = 0; u < M; ++u) {
    Best best = Best::none();
    UNROLL for (int i = 0; i < 4; ++i) best.meet(sizeof(T) < sizeof(float) ? round_bf16(four[i][u]) : four[i][u], i);
    best.write(y + u * LANES, place ? place + u * LANES : nullptr, filters - u * LANES);
  }
}

// Where none of the four is NaN.
template <int M>
inline void pool_numbers(const Vec (&four)[4][M], float* y, uint8_t* place, int64_t filters) {
  UNROLL for (int u = 0; u < M; ++u) {
    Best best = Best::none();
    UNROLL for (int i = 0; i < 4; ++i) best.meet_number(four[i][u], i);
    best.write(y + u * LANES, place ? place + u * LANES : nullptr, filters - u * LANES);
  }
}

// As if each had been rounded before. The largest is still the largest when it is rounded, so it is enough to round
// that one; what else rounds to it is not below half a step under it.
template <int M>
inline void pool_rounded(const Vec (&four)[4][M], bf16* y, uint8_t* place, int64_t filters) {
  UNROLL for (int u = 0; u < M; ++u) {
    Vec most = zero();
    UNROLL for (int i = 0; i < 4; ++i) most = maximum(four[i][u], most);
    Best best{round_bf16(most), label(0)};
    const Vec least = least_rounded_to(best.value);
    UNROLL for (int i = 0; i < 4; ++i)  // from the last to the first
      best.place = pick(above(least, four[3 - i][u]), best.place, label(uint8_t(3 - i)));
    best.place = pick(above(best.value, zero()), best.place, label(DEAD));
    best.write(y + u * LANES, place ? place + u * LANES : nullptr, filters - u * LANES);
  }
}
