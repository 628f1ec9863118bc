// Forward. Two roads lead from the input to y:
//
//   windows: few taps and a 2x2 pool whose windows lie side by side. A tile is two rows of whole windows; the maximum
//            is taken in registers, so that only y and place are stored
//   rows:    everything else. A tile is a piece of one row of the convolution, kept in a ring of rows in L1 until the
//            windows over it are done: any pool, every row computed once, and one store in hundreds of FMAs
//
// Accumulators start at the bias: it is free there, and ties are then those of the composition. Every value is the
// same chain of FMAs over (c, r, s), in whichever tile it falls: bits depend neither on threads nor on the cut.
//
// How the input reaches the tiles is another file's: forward_single.inl or forward_pairs.inl.

// Weights and bias in blocks of filters, with zeros where the last block has none.
void pack_filters(const ForwardPass& f, const float* weight, const float* bias, const Pool& pool) {
  const int64_t taps = f.plan.taps;
  parallel(pool, f.plan.filter_blocks, worth_a_thread(KB * taps), [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t filters = min(KB, f.g.K - b * KB);
      float* out = f.weights + b * taps * KB;
      if (filters < KB) std::memset(out, 0, size_t(taps * KB) * sizeof(float));
      transpose(out, KB, weight + b * KB * taps, taps, filters, taps);
      for (int64_t k = 0; k < KB; ++k) f.bias[b * KB + k] = bias && k < filters ? bias[b * KB + k] : 0;
    }
  });
}

Plane plane(const ForwardPass& f, int64_t n, int64_t p0, int64_t p1, char* scratch);

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
