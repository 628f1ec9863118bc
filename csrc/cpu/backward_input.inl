// dX. Every output that is alive adds g * (its filter) to the input under the place of its maximum.
//
// dx is built in rows that stay in L2, padded and in blocks of channels like the input elsewhere. Rows that no later
// window touches go out to memory and the others move up. A thread owns rows of dx; for windows that reach into them
// from above it repeats the work instead of sharing it. Sums run in the same order however the rows are dealt out.

// Weights as (channel block, k, r, (s, c)), with zeros up to whole vectors.
void pack_segments(const InputGradientPass& f, const float* weight, const Pool& pool) {
  const Geometry& g = f.g;
  const Segments& s = f.plan.segments;
  const int64_t width = f.plan.channels.width;
  parallel(pool, g.K, worth_a_thread(g.C * g.R * g.S), [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      for (int64_t c = 0; c < f.plan.channels.blocks; ++c) {
        float* out = f.weights + (c * g.K + k) * s.rows * s.pitch;
        std::memset(out, 0, size_t(s.rows * s.pitch) * sizeof(float));
        for (int64_t r = 0; r < g.R; ++r)
          transpose(out + r * s.pitch, width, weight + ((k * g.C + c * width) * g.R + r) * g.S, g.R * g.S,
                    min(width, g.C - c * width), g.S);
      }
    }
  });
}

// Makes [begin, end) the rows in hand: those that were there before move, the others are zero.
void move_up(const InputGradientPass& f, Sums& sums, int64_t begin, int64_t end) {
  const int64_t row = f.plan.columns * f.plan.channels.width, kept = max(sums.end - begin, 0);
  for (int64_t c = 0; c < f.plan.channels.blocks; ++c) {
    float* x = sums.block(f, c);
    if (kept) std::memmove(x, x + (begin - sums.begin) * row, size_t(kept * row) * sizeof(float));
    std::memset(x + kept * row, 0, size_t((end - begin - kept) * row) * sizeof(float));
  }
  sums.begin = begin, sums.end = end;
}

// Rows [begin, end) of padded dx to grad_x, without the padding; those that are not in hand are zero.
template <class T>
void write_rows(const InputGradientPass& f, const Sums& sums, int64_t begin, int64_t end) {
  const Geometry& g = f.g;
  const int64_t width = f.plan.channels.width, reached = clamp(f.plan.columns - g.padding_w, 0, g.W);
  for (int64_t i = max(begin, g.padding_h); i < min(end, g.H + g.padding_h); ++i) {
    T* out = static_cast<T*>(f.grad_x) + (sums.n * g.H + i - g.padding_h) * g.W * g.C;
    const int64_t columns = i >= sums.begin && i < sums.end ? reached : 0;
    for (int64_t c = 0; c < f.plan.channels.blocks && columns; ++c) {
      const float* in = sums.block(f, c) + ((i - sums.begin) * f.plan.columns + g.padding_w) * width;
      if (width == g.C)
        copy(out, in, columns * g.C);
      else
        for (int64_t j = 0, channels = min(width, g.C - c * width); j < columns; ++j)
          copy(out + j * g.C + c * width, in + j * width, channels);
    }
    std::memset(out + columns * g.C, 0, size_t((g.W - columns) * g.C) * sizeof(T));
  }
}

void write_rows(const InputGradientPass& f, const Sums& sums, int64_t begin, int64_t end) {
  f.plan.narrow ? write_rows<bf16>(f, sums, begin, end) : write_rows<float>(f, sums, begin, end);
}

// The rows of padded dx that belong to strip i, from below those of the strip before it; the last ends with the image.
void add_strip(const InputGradientPass& f, int64_t n, int64_t i, char* scratch) {
  const Axis& h = f.plan.h;
  const int64_t p0 = i * f.plan.strip, p1 = min(p0 + f.plan.strip, h.pooled);
  const int64_t end = p1 == h.pooled ? f.g.H + 2 * f.g.padding_h : h.begin(p1);
  int64_t written = p0 == 0 ? 0 : h.begin(p0), p = p0;
  while (p > 0 && h.end(p - 1) > written) --p;
  Sums sums{n, 0, 0, at<float>(scratch, f.plan.sums), at<uint64_t>(scratch, f.plan.masks),
            at<float>(scratch, f.plan.gradient)};
  for (int64_t next; p < p1; p = next) {
    next = min((p / f.plan.group + 1) * f.plan.group, p1);  // whichever strip it is in, a group is the same windows
    const int64_t done = min(h.begin(p), end);
    write_rows(f, sums, written, done);
    written = max(written, done);
    move_up(f, sums, h.begin(p), h.end(next - 1));
    add_windows(f, sums, p, next);
  }
  write_rows(f, sums, written, end);
}

template <class T>
void backward_input(const BackwardInputOf<T>& call, void* workspace, const Pool& pool) {
  if (call.geometry.N == 0) return;
  const InputGradientPass f(call, pool.threads, workspace);
  const Geometry& g = f.g;
  pack_segments(f, as_floats(call.weight, at<float>(workspace, f.plan.wide), g.K * g.C * g.R * g.S, pool), pool);
  parallel(pool, call.geometry.N * f.plan.strips, 1, [&](int64_t lane, int64_t begin, int64_t end) {
    char* scratch = f.lanes + size_t(lane) * f.plan.lane_bytes;
    for (int64_t i = begin; i < end; ++i) add_strip(f, i / f.plan.strips, i % f.plan.strips, scratch);
  });
}
