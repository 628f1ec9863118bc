// Are all values finite? Tiles multiply zeros with whatever is on the other side - places that did not win, what a run
// of values lacks to 32 - and inf * 0 is NaN: where that may happen, inputs with inf or NaN take the kernels that leave
// these zeros out and compute in float32.

inline bool finite_run(const bf16* p, int64_t n) {
  constexpr bf16 EXPONENT = 0x7f80;
  bf16 largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    const bf16 exponent = p[i] & EXPONENT;
    largest = exponent > largest ? exponent : largest;
  }
  return largest < EXPONENT;
}

// Dimensions in the order of memory, with those that follow each other without a gap as one.
struct Runs {
  int64_t size[4], stride[4];
  int dims = 0;

  Runs(const StridedOf<bf16>& t, const int64_t (&shape)[4]) {
    for (int d = 0; d < 4; ++d) {
      if (shape[d] == 1 || t.stride[d] == 0) continue;
      int at = dims++;
      for (; at > 0 && stride[at - 1] > t.stride[d]; --at) size[at] = size[at - 1], stride[at] = stride[at - 1];
      size[at] = shape[d], stride[at] = t.stride[d];
    }
    int kept = 0;
    for (int d = 1; d < dims; ++d)
      if (stride[d] == size[kept] * stride[kept])
        size[kept] *= size[d];
      else
        ++kept, size[kept] = size[d], stride[kept] = stride[d];
    if (dims) dims = kept + 1;
  }

  bool finite(const bf16* p, int d) const {
    if (d < 0) return finite_run(p, 1);
    if (d == 0 && stride[0] == 1) return finite_run(p, size[0]);
    for (int64_t i = 0; i < size[d]; ++i)
      if (!finite(p + i * stride[d], d - 1)) return false;
    return true;
  }
};

bool all_finite(const bf16* p, int64_t n, const Pool& pool) {
  constexpr int64_t RUN = 64 * 1024;
  bool good = true;
  parallel(pool, ceil_div(n, RUN), 2, [&](int64_t, int64_t begin, int64_t end) {
    if (!finite_run(p + begin * RUN, min(end * RUN, n) - begin * RUN)) __atomic_store_n(&good, false, __ATOMIC_RELAXED);
  });
  return good;
}

bool all_finite(const StridedOf<bf16>& t, int64_t N, int64_t C, int64_t H, int64_t W, const Pool& pool) {
  const Runs image(t, {1, C, H, W});
  bool good = true;
  parallel(pool, N, ceil_div(64 * 1024, C * H * W), [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      if (!image.finite(t.data + n * t.stride[0], image.dims - 1))
        return __atomic_store_n(&good, false, __ATOMIC_RELAXED);
  });
  return good;
}
