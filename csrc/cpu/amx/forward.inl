// Forward. A task takes strips of images: it lays the padded input out once, then for each block of 32 filters goes
// through it in groups of pooled rows whose sums stay in L1 until they are pooled. Weights of a block are read for a
// whole strip, from L2; a strip's input stays there too.
//
// With few channels a pixel holds those of all rows under the filter (`fold`), so that a position is one run of values;
// with more, a run is one row of the filter. Every value is the same chain of products in whichever strip it falls.

// Whole pixels are whole tiles: a filter's taps are separated, and pairs of channels then turned into rows.
void pack_whole(const ForwardPass& f, bf16* out, int64_t block) {
  constexpr int64_t TAPS = 16;
  const Geometry& g = f.g;
  const int64_t taps = g.R * g.S, filters = min(BLOCK, g.K - block * BLOCK), steps = f.plan.pixel.width / DEPTH;
  const int tiles = halves(g.K, block);
  bf16 separate[TAPS][BLOCK][DEPTH] = {};  // (tap, filter, channel)
  for (int64_t c = 0; c < g.C; c += DEPTH) {
    const int64_t channels = min(DEPTH, g.C - c);
    if (channels < DEPTH) std::memset(separate, 0, sizeof separate);
    for (int64_t first = 0; first < taps; first += TAPS) {
      const int64_t count = min(TAPS, taps - first);
      for (int64_t n = 0; n < filters; ++n)
        turn(separate[0][n], BLOCK * DEPTH, f.call.weight + ((block * BLOCK + n) * g.C + c) * taps + first, taps,
             channels, count);
      for (int64_t t = 0; t < count; ++t)
        for (int half = 0; half < tiles; ++half) {
          bf16* tile = out + (((first + t) * steps + c / DEPTH) * tiles + half) * TILE;
          turn_pairs(tile, separate[t][half * ROWS]);
        }
    }
  }
}

void pack_filters(const ForwardPass& f, const Pool& pool) {
  const Geometry& g = f.g;
  const int64_t taps = g.C * g.R * g.S, run = f.plan.pixel.steps * DEPTH, width = f.plan.pixel.width;
  parallel(pool, f.plan.filter_blocks, worth_a_thread(BLOCK * taps), [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      bf16* out = f.weights + b * f.block_values();
      const int64_t filters = min(BLOCK, g.K - b * BLOCK);
      for (int64_t n = 0; n < BLOCK; ++n)
        f.bias[b * BLOCK + n] = f.call.bias && n < filters ? widen(f.call.bias[b * BLOCK + n]) : 0;
      if (f.plan.fold == 1 && width % DEPTH == 0) {
        pack_whole(f, out, b);
        continue;
      }
      const int tiles = halves(g.K, b);
      clear(out, f.block_values());
      const bf16* w = f.call.weight + b * BLOCK * taps;
      for (int64_t n = 0; n < filters; ++n)
        for (int64_t c = 0; c < g.C; ++c)
          for (int64_t r = 0; r < g.R; ++r)
            for (int64_t s = 0; s < g.S; ++s)
              out[in_tiles((f.plan.fold > 1 ? r * g.C : r * run) + s * width + c, n, tiles)] = *w++;
    }
  });
}

// Windows [p0, p1) x [q0, q1) of image n, whose input lies in `strip` from conv row `top` on.
struct Strip {
  int64_t n, p0, p1, q0, q1;
  const bf16* values;
  float* sums;
};

template <int HALVES>
void forward_block(const ForwardPass& f, const Strip& strip, int64_t b) {
  constexpr int WIDTH = HALVES * int(ROWS);
  const ForwardPlan& plan = f.plan;
  const int64_t P = plan.h.pooled, Q = plan.w.pooled, K = f.g.K;
  const int64_t top = plan.h.conv_begin(strip.p0), left = plan.w.conv_begin(strip.q0);
  const int64_t columns = plan.w.conv_end(strip.q1 - 1) - left;
  const Terms terms{1, plan.segments, plan.pixel.steps, 0, plan.columns * plan.pixel.width};
  for (int64_t p0 = strip.p0; p0 < strip.p1; p0 += plan.group_p) {
    const int64_t p1 = min(p0 + plan.group_p, strip.p1), first = plan.h.conv_begin(p0);
    const Grid grid(plan.h.conv_end(p1 - 1) - first, columns, plan.row(), plan.column());
    correlate<HALVES>(strip.values + (first - top) * plan.row(), grid, terms, f.weights + b * f.block_values(),
                      f.bias + b * BLOCK, strip.sums);
    for (int64_t p = p0; p < p1; ++p)
      for (int64_t q = strip.q0; q < strip.q1; ++q) {
        const int64_t i = plan.h.conv_begin(p), j = plan.w.conv_begin(q);
        const int64_t label = (i - plan.h.corner(p)) * plan.w.pool + j - plan.w.corner(q);
        const Window window{strip.sums + ((i - first) * grid.pitch + j - left) * WIDTH, grid.pitch,
                            plan.h.conv_end(p) - i, plan.w.conv_end(q) - j, label, plan.w.pool};
        const int64_t at = ((strip.n * P + p) * Q + q) * K + b * BLOCK;
        pool_window<WIDTH>(window, f.call.y + at, f.call.place ? f.call.place + at : nullptr,
                           min(BLOCK, K - b * BLOCK));
      }
  }
}

void forward_strips(const ForwardPass& f, const Pool& pool) {
  const ForwardPlan& plan = f.plan;
  const int64_t pieces = plan.blocks_p * plan.blocks_q;
  const int64_t products = plan.filter_blocks * 2 * plan.segments * plan.pixel.steps * plan.strip_tiles();
  parallel(pool, f.g.N * pieces, worth_a_thread_of(products), [&](int64_t lane, int64_t begin, int64_t end) {
    char* scratch = f.lanes + size_t(lane) * plan.lane_bytes;
    bf16* values = buffer<bf16>(scratch, plan.strip, plan.strip_values);
    float* sums = buffer<float>(scratch, plan.plane, plan.sums * BLOCK);
    const Tiles::Session session;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t p0 = i % pieces / plan.blocks_q * plan.block_p, q0 = i % plan.blocks_q * plan.block_q;
      const Strip strip{i / pieces, p0, min(p0 + plan.block_p, plan.h.pooled), q0,
                        min(q0 + plan.block_q, plan.w.pooled), values, sums};
      const int64_t top = plan.h.begin(p0), bottom = plan.h.end(strip.p1 - 1);
      const int64_t rows = plan.fold > 1 ? plan.h.conv_end(strip.p1 - 1) - plan.h.conv_begin(p0) : bottom - top;
      gather_pixels(values, f.call.x, f.g, strip.n,
                    {top, rows, plan.fold > 1 ? plan.h.stride : 1, plan.w.begin(q0), plan.columns, plan.fold,
                     plan.pixel.width});
      clear(values + rows * plan.columns * plan.pixel.width, DEPTH);  // a last run may end here, times zero
      for (int64_t b = 0; b < plan.filter_blocks; ++b)
        (halves(f.g.K, b) == 2 ? forward_block<2> : forward_block<1>)(f, strip, b);
    }
  });
}

void forward(const ForwardOf<bf16>& call, void* workspace, const Pool& pool) {
  const Geometry& g = call.geometry;
  if (g.N == 0) return;
  const ForwardPass f(call, pool.threads, workspace);
  // inf and NaN in weights stay in their own filter, and in x they meet no weights but those of the composition
  if (f.plan.overruns(g) && !all_finite(call.x, g.N, g.C, g.H, g.W, pool))
    return widened().forward(call, workspace, pool);
  pack_filters(f, pool);
  forward_strips(f, pool);
}
