// Pool windows along one axis of an image, in positions of the convolution and in rows or columns of padded input.

struct Axis {
  int64_t conv, kernel, stride, pool, pool_stride, pool_padding, pooled;

  static Axis h(const Geometry& g) {
    return {g.conv_h(), g.R, g.stride_h, g.pool_h, g.pool_stride_h, g.pool_padding_h, g.P()};
  }
  static Axis w(const Geometry& g) {
    return {g.conv_w(), g.S, g.stride_w, g.pool_w, g.pool_stride_w, g.pool_padding_w, g.Q()};
  }

  // Positions of the convolution that window p covers: [conv_begin, conv_end), within [corner, corner + pool).
  int64_t corner(int64_t p) const { return p * pool_stride - pool_padding; }
  int64_t conv_begin(int64_t p) const { return max(corner(p), 0); }
  int64_t conv_end(int64_t p) const { return min(corner(p) + pool, conv); }

  // Padded input that window p reads: [begin, end).
  int64_t begin(int64_t p) const { return conv_begin(p) * stride; }
  int64_t end(int64_t p) const { return (conv_end(p) - 1) * stride + kernel; }

  // From one window to the next, and the most that `windows` neighbours read together.
  int64_t step() const { return pool_stride * stride; }
  int64_t span(int64_t windows) const { return (windows - 1) * step() + (pool - 1) * stride + kernel; }

  // Most windows that read no more than `most`, dealt out evenly; at least `least` where there are so many.
  int64_t windows_within(int64_t most, int64_t least) const {
    const int64_t fit = clamp((most - span(1)) / step() + 1, min(least, pooled), pooled);
    return ceil_div(pooled, ceil_div(pooled, fit));
  }
};
