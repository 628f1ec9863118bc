// Forward. Two roads lead from the input to y:
//
//   windows: few taps and a 2x2 pool whose windows lie side by side. A tile is two rows of whole windows; the maximum
//            is taken in registers, so that only y and place are stored
//   rows:    everything else. A tile is a piece of one row of the convolution, kept in a ring of rows in L1 until the
//            windows over it are done: any pool, every row computed once, and one store in hundreds of FMAs
//
// Accumulators start at the bias: it is free there, and ties are then those of the composition. Every value is the
// same chain of FMAs over (c, r, s), in whichever tile it falls: bits depend neither on threads nor on the cut.

// Reading in place suits few channels in any order, and more of them side by side; padding is only in a copy.
bool reads_in_place(const Forward& call) {
  const Geometry& g = call.geometry;
  return g.padding_h == 0 && g.padding_w == 0 && (g.C <= 4 || (g.C <= 32 && call.x.stride[1] == 1));
}

size_t forward_workspace(const Geometry& g, int threads) {
  return size_t(max(int64_t(ForwardPlan(g, threads, false).bytes), int64_t(ForwardPlan(g, threads, true).bytes)));
}

// Weights and bias in blocks of filters, with zeros where the last block has none.
void pack_filters(const ForwardPass& f, const Pool& pool) {
  const int64_t taps = f.plan.taps;
  parallel(pool, f.plan.filter_blocks, worth_a_thread(KB * taps), [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t filters = min(KB, f.g.K - b * KB);
      float* out = f.weights + b * taps * KB;
      if (filters < KB) std::memset(out, 0, size_t(taps * KB) * sizeof(float));
      transpose(out, KB, f.call.weight + b * KB * taps, taps, filters, taps);
      for (int64_t k = 0; k < KB; ++k) f.bias[b * KB + k] = f.call.bias && k < filters ? f.call.bias[b * KB + k] : 0;
    }
  });
}

void find_taps(const ForwardPass& f) {
  const int64_t width = f.plan.channels.width;
  const ptrdiff_t* stride = f.call.x.stride;
  const ptrdiff_t channel = f.plan.direct ? stride[1] : 1;
  const ptrdiff_t row = f.plan.direct ? stride[2] : f.plan.columns * width;
  const ptrdiff_t column = f.plan.direct ? stride[3] : width;
  ptrdiff_t* offset = f.offsets;
  for (int64_t c = 0; c < width; ++c)
    for (int64_t r = 0; r < f.g.R; ++r)
      for (int64_t s = 0; s < f.g.S; ++s) *offset++ = c * channel + r * row + s * column;
}

// The input under pooled rows [p0, p1) of image n: where it lies, or a padded copy in scratch.
Plane plane(const ForwardPass& f, int64_t n, int64_t p0, int64_t p1, char* scratch) {
  const Geometry& g = f.g;
  const Strided& x = f.call.x;
  if (f.plan.direct) return {image(x, n), g.stride_h * x.stride[2], g.stride_w * x.stride[3], 0};
  const int64_t begin = f.plan.h.begin(p0), rows = f.plan.h.end(p1 - 1) - begin, width = f.plan.channels.width;
  const int64_t block = rows * f.plan.columns * width;
  float* patch = at<float>(scratch, f.plan.patch);
  for (int64_t b = 0; b < f.plan.channels.blocks; ++b)
    copy_patch(patch + b * block, x, g, n, f.plan.channels, b, {begin, rows, 0, f.plan.columns});
  return {patch - begin * f.plan.columns * width, g.stride_h * f.plan.columns * width, g.stride_w * width, block};
}

// Every image of a pass whose weights, bias and offsets are ready.
void forward_images(const ForwardPass& f, const Pool& pool) {
  const Geometry& g = f.g;
  parallel(pool, g.N * f.plan.strips, 1, [&](int64_t lane, int64_t begin, int64_t end) {
    char* scratch = f.lanes + size_t(lane) * f.plan.lane_bytes;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / f.plan.strips, p0 = i % f.plan.strips * f.plan.strip;
      const int64_t p1 = min(p0 + f.plan.strip, f.plan.h.pooled);
      const Plane x = plane(f, n, p0, p1, scratch);
      for (int64_t b = 0; b < f.plan.filter_blocks; ++b) {
        const bool whole = g.K - b * KB > KB - LANES;  // or only the first vector of the block holds filters
        const auto road = f.plan.windows ? (whole ? forward_windows<U> : forward_windows<1>)
                                         : (whole ? forward_rows<U> : forward_rows<1>);
        road(f, {n, p0, p1, b, x, scratch});
      }
    }
  });
}

void forward(const Forward& call, void* workspace, const Pool& pool) {
  const Geometry& g = call.geometry;
  if (g.N == 0) return;
  const ForwardPass f(call, ForwardPlan(g, pool.threads, reads_in_place(call)), workspace);
  pack_filters(f, pool);
  find_taps(f);
  forward_images(f, pool);
}
