// The input of a forward pass whose elements are pairs of bfloat16 (TERMS = 2). Pairs come from
//
//   channels   two neighbours of a pixel; an odd number of them gets a 0. Dense pixels are read where they lie
//   taps       few and odd channels: the taps of a filter row are (s, c) in one run, and beside every value in a row of
//              the copy stands the one after it, so that every second one of them makes the run
//
// A run of odd length ends in a weight of 0 against a value that belongs to somebody else. Where that could be 0 * inf
// or 0 * NaN, the widened kernels do it.

struct PairPlan {
  bool taps;  // or channels
  Elements elements;

  explicit PairPlan(const Geometry& g)
      : taps(g.C % 2 && g.C < 8), elements{Channels(taps ? g.C : ceil_div(g.C, 2)), 0, 0} {
    const int64_t run = ceil_div(g.S * g.C, 2), pixel = ceil_div(g.C, 2);
    elements.taps = taps ? g.R * run : pixel * g.R * g.S;
    elements.block_taps = taps ? elements.taps : elements.channels.width * g.R * g.S;
  }

  bool needs_finite(const Geometry& g) const { return taps && g.S % 2; }
};

bool reads_in_place(const ForwardOf<bf16>& call) {
  const Geometry& g = call.geometry;
  if (g.padding_h || g.padding_w || g.C % 2 || g.C > 64 || call.x.stride[1] != 1) return false;
  return (call.x.stride[0] | call.x.stride[2] | call.x.stride[3]) % 2 == 0 && uintptr_t(call.x.data) % 4 == 0;
}

// Whether no value is infinite or NaN.
bool finite(const StridedOf<bf16>& x, const Geometry& g, const Pool& pool) {
  const bool dense = x.stride[3] == 1 && x.stride[2] == g.W && x.stride[1] == g.H * g.W;  // images of one run
  const int64_t runs = dense ? 1 : g.C * g.H, length = dense ? g.C * g.H * g.W : g.W;
  bool found = false;
  parallel(pool, g.N, worth_a_thread(g.C * g.H * g.W), [&](int64_t, int64_t begin, int64_t end) {
    Halves any = {};
    uint16_t rest = 0;
    for (int64_t i = begin * runs; i < end * runs; ++i) {
      const bf16* run = image(x, i / runs) + i % runs / g.H * x.stride[1] + i % runs % g.H * x.stride[2];
      int64_t j = 0;
      for (Halves halves; x.stride[3] == 1 && j + LANES <= length; j += LANES) {
        std::memcpy(&halves, run + j, sizeof halves);
        any |= Halves((halves & 0x7fff) > 0x7f7f);
      }
      for (; j < length; ++j) rest |= (run[j * x.stride[3]] & 0x7fff) > 0x7f7f;
    }
    for (int i = 0; i < LANES; ++i) rest |= any[i];
    if (rest) __atomic_store_n(&found, true, __ATOMIC_RELAXED);
  });
  return !found;
}

// `count` pixels of `channels` channels in, `width` pairs out: what the channels lack is 0.
inline void copy_pair_pixels(float* out, const bf16* in, int64_t count, int64_t channels, int64_t width,
                             ptrdiff_t channel, ptrdiff_t column) {
  bf16* to = reinterpret_cast<bf16*>(out);
  if (channel == 1 && channels == 2 * width && column == channels) {
    std::memcpy(to, in, size_t(count * channels) * sizeof(bf16));
    return;
  }
  for (int64_t i = 0; i < count; ++i, to += 2 * width, in += column) {
    if (channel == 1)
      std::memcpy(to, in, size_t(channels) * sizeof(bf16));
    else
      for (int64_t c = 0; c < channels; ++c) to[c] = in[c * channel];
    for (int64_t c = channels; c < 2 * width; ++c) to[c] = 0;
  }
}

// A row of values, each beside the one after it. Whole vectors: what is past the end is read and written too.
inline void pair_neighbours(float* out, const bf16* in, int64_t count) {
  for (int64_t j = 0; j < count; j += LANES) {
    Halves first, second;
    std::memcpy(&first, in + j, sizeof first);
    std::memcpy(&second, in + j + 1, sizeof second);
    store(out + j, Vec(__builtin_convertvector(first, Bits) | __builtin_convertvector(second, Bits) << 16));
  }
}

// The patch as runs of values, each beside the one after it. `row` is room for one row and a vector; a row of the patch
// may be written past its end, into the next one or the end of its piece of workspace.
void copy_neighbours(float* out, const StridedOf<bf16>& x, const Geometry& g, int64_t n, Patch patch, bf16* row) {
  const int64_t values = patch.columns * g.C, rows = patch.rows;
  const bool side_by_side = g.C == 1 ? x.stride[3] == 1 : x.stride[1] == 1 && x.stride[3] == g.C;
  if (side_by_side && !g.padding_h && !g.padding_w && patch.columns == g.W && x.stride[2] == values) {
    // One run, whose last values go through `row`: nothing after them may be read.
    const bf16* in = image(x, n) + patch.row * values;
    const int64_t total = rows * values, whole = max(total - 1, 0) / LANES * LANES;
    pair_neighbours(out, in, whole);
    std::memset(row, 0, 2 * LANES * sizeof(bf16));
    std::memcpy(row, in + whole, size_t(total - whole) * sizeof(bf16));
    return pair_neighbours(out + whole, row, total - whole);
  }
  std::memset(row + values, 0, LANES * sizeof(bf16));
  patch.rows = 1;
  for (int64_t i = 0; i < rows; ++i, ++patch.row, out += values) {
    copy_padded(row, image(x, n), x.stride, g, g.C, patch, [&](bf16* to, const bf16* from, int64_t count) {
      if (side_by_side)
        std::memcpy(to, from, size_t(count * g.C) * sizeof(bf16));
      else
        for (int64_t j = 0; j < count; ++j)
          for (int64_t c = 0; c < g.C; ++c) to[j * g.C + c] = from[j * x.stride[3] + c * x.stride[1]];
    });
    pair_neighbours(out, row, values);
  }
}

// out (K, taps), in pairs.
void pair_weights(float* out, const bf16* weight, const Geometry& g, const PairPlan& pairs, const Pool& pool) {
  const int64_t taps = pairs.elements.taps, area = g.R * g.S;
  parallel(pool, g.K, worth_a_thread(taps), [&](int64_t, int64_t begin, int64_t end) {
    bf16* to = reinterpret_cast<bf16*>(out + begin * taps);
    for (int64_t k = begin; k < end; ++k) {
      const bf16* from = weight + k * g.C * area;
      if (!pairs.taps) {
        for (int64_t c = 0; c < g.C; c += 2)
          for (int64_t i = 0; i < area; ++i, to += 2)
            to[0] = from[c * area + i], to[1] = c + 1 < g.C ? from[(c + 1) * area + i] : bf16(0);
        continue;
      }
      for (int64_t r = 0; r < g.R; ++r) {
        for (int64_t i = 0; i < g.S * g.C; ++i) *to++ = from[(i % g.C * g.R + r) * g.S + i / g.C];
        if (g.S % 2) *to++ = 0;
      }
    }
  });
}

void find_taps(const ForwardPass& f, const PairPlan& pairs) {
  const Geometry& g = f.g;
  const int64_t width = f.plan.channels.width;
  const ptrdiff_t row = f.plan.direct ? f.x.stride[2] / 2 : f.plan.columns * width;
  const ptrdiff_t column = f.plan.direct ? f.x.stride[3] / 2 : width;
  ptrdiff_t* offset = f.offsets;
  if (pairs.taps) {
    for (int64_t r = 0; r < g.R; ++r)
      for (int64_t i = 0; i < g.S * g.C; i += 2) *offset++ = r * row + i;
    return;
  }
  for (int64_t c = 0; c < width; ++c)
    for (int64_t r = 0; r < g.R; ++r)
      for (int64_t s = 0; s < g.S; ++s) *offset++ = c + r * row + s * column;
}

// The input under pooled rows [p0, p1) of image n: where it lies, or a padded copy in scratch.
Plane plane(const ForwardPass& f, int64_t n, int64_t p0, int64_t p1, char* scratch) {
  const Geometry& g = f.g;
  const StridedOf<bf16> x = f.x.as<bf16>();
  if (f.plan.direct)
    return {reinterpret_cast<const float*>(image(x, n)), g.stride_h * x.stride[2] / 2, g.stride_w * x.stride[3] / 2, 0};
  const int64_t begin = f.plan.h.begin(p0), rows = f.plan.h.end(p1 - 1) - begin, width = f.plan.channels.width;
  const int64_t block = rows * f.plan.columns * width;
  const Patch area{begin, rows, 0, f.plan.columns};
  float* patch = at<float>(scratch, f.plan.patch);
  if (PairPlan(g).taps)
    copy_neighbours(patch, x, g, n, area, at<bf16>(scratch, f.plan.pixels));
  else
    for (int64_t b = 0; b < f.plan.channels.blocks; ++b) {
      const int64_t c = 2 * b * width, channels = min(2 * width, g.C - c);
      copy_padded(patch + b * block, image(x, n) + c * x.stride[1], x.stride, g, width, area,
                  [&](float* to, const bf16* from, int64_t count) {
                    copy_pair_pixels(to, from, count, channels, width, x.stride[1], x.stride[3]);
                  });
    }
  return {patch - begin * f.plan.columns * width, g.stride_h * f.plan.columns * width, g.stride_w * width, block};
}

const KernelsOf<bf16>& widened();

void forward(const ForwardOf<bf16>& call, void* workspace, const Pool& pool) {
  const Geometry& g = call.geometry;
  if (g.N == 0) return;
  const PairPlan pairs(g);
  if (pairs.needs_finite(g) && !finite(call.x, g, pool)) return widened().forward(call, workspace, pool);
  const ForwardPlan plan(g, pairs.elements, pool.threads, true, reads_in_place(call));
  const ForwardPass f(call, plan, workspace);
  float* weights = at<float>(workspace, plan.wide_weights);
  pair_weights(weights, call.weight, g, pairs, pool);
  pack_filters(f, weights, as_floats(call.bias, at<float>(workspace, plan.wide_bias), g.K, pool), pool);
  find_taps(f, pairs);
  forward_images(f, pool);
}

size_t forward_workspace(const Geometry& g, int threads) {
  const PairPlan pairs(g);
  const auto bytes = [&](bool direct) { return int64_t(ForwardPlan(g, pairs.elements, threads, true, direct).bytes); };
  const size_t own = size_t(max(bytes(false), bytes(true)));
  return pairs.needs_finite(g) ? size_t(max(own, widened().workspace_bytes(Pass::forward, g, threads))) : own;
}
