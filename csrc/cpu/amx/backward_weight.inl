// dW and db. A product sums over 32 pixels at once: rows of A are channels (x turned round), columns of B filters of
// the expanded gradient, where two neighbouring pixels make a pair of rows. Pixels are counted on through rows and blocks,
// so a tap is a distance between the two; it moves the gradient, not x, because pairs may begin at even pixels or at
// odd ones and both are kept, while a row of A that crosses cache lines is slow. Where the gradient ends there are
// zeros as wide as the filter, so nothing of one row or block meets another's.
//
// With a stride, pixels fall into phases as in backward_input.inl, and (u, v) counts those of one phase. With few
// channels a row of A is a tap and a channel: one shifted copy of the channel each, and the gradient stays.
//
// Blocks of windows are dealt out in chunks that only the sizes fix, each with sums of its own, added up in order.

// sums (LINES, FILTERS halves, 16, 16) += A * B over `planes` gradients; a (16 * LINES, pitch), b (half, pairs, 16, 2)
template <int LINES, int FILTERS>
void accumulate(const WeightGradientPlan& plan, int64_t depth, const bf16* a, const bf16* b, float* sums) {
  constexpr ptrdiff_t LINE = 64, HALF = ROWS * ROWS;
  const ptrdiff_t pitch = plan.pitch * ptrdiff_t(sizeof(bf16)), second = ROWS * plan.pitch;
  const ptrdiff_t half = plan.pairs * DEPTH;
  float* const below = sums + FILTERS * HALF;
  Tiles::load<0>(sums, LINE);
  if (FILTERS == 2) Tiles::load<1>(sums + HALF, LINE);
  if (LINES == 2) Tiles::load<2>(below, LINE);
  if (LINES * FILTERS == 4) Tiles::load<3>(below + HALF, LINE);
  for (int64_t plane = 0; plane < plan.e.planes; ++plane) {
    const bf16* gradient = b + plane * plan.plane_values();
    for (int64_t i = 0; i < depth; i += DEPTH, gradient += TILE) {
      Tiles::load<4>(a + i, pitch);
      Tiles::load<6>(gradient, LINE);
      Tiles::dot<0, 4, 6>();
      if (FILTERS == 2) {
        Tiles::load<7>(gradient + half, LINE);
        Tiles::dot<1, 4, 7>();
      }
      if (LINES == 2) {
        Tiles::load<5>(a + second + i, pitch);
        Tiles::dot<2, 5, 6>();
      }
      if (LINES * FILTERS == 4) Tiles::dot<3, 5, 7>();
    }
  }
  Tiles::store<0>(sums, LINE);
  if (FILTERS == 2) Tiles::store<1>(sums + HALF, LINE);
  if (LINES == 2) Tiles::store<2>(below, LINE);
  if (LINES * FILTERS == 4) Tiles::store<3>(below + HALF, LINE);
}

inline int64_t tile_index(const WeightGradientPlan& plan, int64_t filter_block, int64_t line_block, int64_t tap) {
  return (filter_block * plan.line_blocks + line_block) * plan.taps + tap;
}

struct WeightLane {
  bf16 *channels, *packed, *dense, *carry, *even, *odd, *room;
  float* expanded;

  WeightLane(const WeightGradientPass& f, int64_t lane) {
    const WeightGradientPlan& plan = f.plan;
    char* scratch = f.lanes + size_t(lane) * plan.lane_bytes;
    channels = buffer<bf16>(scratch, plan.channels, plan.channel_values(f.g));
    packed = buffer<bf16>(scratch, plan.packed_rows, plan.packed ? plan.row_values() : 0);
    even = buffer<bf16>(scratch, plan.even, plan.pair_values());
    odd = buffer<bf16>(scratch, plan.odd, plan.odds ? plan.pair_values() : 0);
    dense = at<bf16>(scratch, plan.dense_gradient);
    carry = at<bf16>(scratch, plan.carry);
    room = at<bf16>(scratch, plan.room);
    expanded = at<float>(scratch, plan.expanded);
    std::memset(even, 0, size_t(plan.pair_values()) * sizeof(bf16));
    if (plan.odds) std::memset(odd, 0, size_t(plan.pair_values()) * sizeof(bf16));
  }
};

// The products of `depth` pixels for filters [filter, filter + filters).
void multiply(const WeightGradientPass& f, const WeightLane& lane, int64_t depth, float* partial, int64_t filter,
              int64_t filters) {
  const WeightGradientPlan& plan = f.plan;
  const bf16* lines = plan.packed ? lane.packed : lane.channels;
  for (int64_t b = 0; b * BLOCK < filters; ++b)
    for (int64_t line = 0; line < plan.line_blocks; ++line)
      for (int64_t t = 0; t < plan.taps; ++t) {
        const Tap tap(f, plan.packed ? 0 : t / f.g.S, plan.packed ? 0 : t % f.g.S);
        const bf16* a = lines + (tap.phase * round_up(f.g.C, ROWS) + line * BLOCK) * plan.pitch;
        const bf16* pairs = tap.distance % 2 ? lane.odd : lane.even;
        pairs += (2 * b * plan.pairs + plan.pairs_before - tap.distance / 2) * DEPTH;
        float* sums = partial + tile_index(plan, filter / BLOCK + b, line, t) * BLOCK * BLOCK;
        const bool wide = halves(filters, b) == 2, tall = halves(plan.lines, line) == 2;
        const auto add = wide ? tall ? accumulate<2, 2> : accumulate<1, 2> : tall ? accumulate<2, 1> : accumulate<1, 1>;
        add(plan, depth, a, pairs, sums);
      }
}

// Any pool: the dense gradient first.
void expand_pairs(const WeightGradientPass& f, const WeightLane& lane, const WindowBlock& block, int64_t at) {
  const WeightGradientPlan& plan = f.plan;
  const int64_t filters = block.piece.filters, width = round_up(filters, ROWS), pixels = plan.rows * plan.columns;
  for (int64_t plane = 0; plane < plan.e.planes; ++plane)
    clear(lane.dense + (plane * plan.pixels + pixels) * width, (plan.pixels - pixels) * width);
  expand(lane.dense, plan.pixels * width, width, lane.expanded, lane.room, plan.e, f.call.grad_y, f.call.place, f.g.K,
         block.piece, block.windows);
  pair_up(f, lane.dense, filters, width, lane.even, lane.odd, at);
}

// One chunk of blocks, for one group of filters.
void weight_chunk(const WeightGradientPass& f, const WeightLane& lane, int64_t chunk, int64_t group) {
  const WeightGradientPlan& plan = f.plan;
  const int64_t filter = group * plan.GROUP, filters = min(plan.GROUP, f.g.K - filter);
  const int64_t blocks = f.g.N * plan.blocks_p * plan.blocks_q;
  const int64_t batches = ceil_div(blocks, plan.together);
  const int64_t end = min(part(batches, plan.chunks, chunk + 1) * plan.together, blocks);
  float* partial = f.partial + chunk * plan.partial_values;
  float* bias = f.partial_bias + chunk * f.g.K + filter;
  const int64_t first = tile_index(plan, filter / BLOCK, 0, 0);
  const int64_t count = tile_index(plan, ceil_div(filters, BLOCK), 0, 0);
  std::memset(partial + first * BLOCK * BLOCK, 0, size_t(count * BLOCK * BLOCK) * sizeof(float));
  std::memset(bias, 0, size_t(filters) * sizeof(float));
  for (int64_t i = part(batches, plan.chunks, chunk) * plan.together; i < end; i += plan.together) {
    const int64_t together = min(plan.together, end - i), used = together * plan.pixels;
    for (int64_t j = 0; j < together; ++j) {
      const WindowBlock block(f, i + j, filter, filters);
      gather_channels(f, block, lane.channels, j * plan.pixels);
      if (plan.dense)
        expand_pairs(f, lane, block, j * plan.pixels);
      else
        pair_windows(f, block.piece, block.windows, lane.room, lane.carry, lane.even, lane.odd, j * plan.pixels);
      add_bias(f, block.piece, block.windows, lane.room, bias);
    }
    // Behind the last block both operands are zero; what a shorter batch leaves over from a longer one is not used.
    for (int64_t c = 0; c < plan.phases_h * plan.phases_w * round_up(f.g.C, ROWS); ++c)
      clear(lane.channels + c * plan.pitch + used, plan.pitch - used);
    if (plan.packed) pack_rows(f, lane.channels, lane.packed);
    multiply(f, lane, round_up(used, DEPTH), partial, filter, filters);
  }
}

// Adds up the chunks' sums for one block of filters and lines, in order, and rounds.
void write_weights(const WeightGradientPass& f, int64_t filter_block, int64_t line_block) {
  const WeightGradientPlan& plan = f.plan;
  const Geometry& g = f.g;
  constexpr int64_t VALUES = BLOCK * BLOCK;
  const int64_t wide = halves(g.K, filter_block) * ROWS, taps = g.R * g.S;
  const int64_t lines = min(BLOCK, plan.lines - line_block * BLOCK), filters = min(BLOCK, g.K - filter_block * BLOCK);
  for (int64_t t = 0; t < plan.taps; ++t) {
    float sums[VALUES];
    const float* in = f.partial + tile_index(plan, filter_block, line_block, t) * VALUES;
    for (int64_t i = 0; i < VALUES; ++i) sums[i] = in[i];
    for (int64_t chunk = 1; chunk < plan.chunks; ++chunk)
      for (int64_t i = 0; i < VALUES; ++i) sums[i] += in[chunk * plan.partial_values + i];
    bf16 rounded[VALUES];
    for (int64_t i = 0; i < VALUES; i += BLOCK) round<BLOCK>(rounded + i, sums + i);
    for (int64_t i = 0; i < lines; ++i) {
      const int64_t line = line_block * BLOCK + i;
      const int64_t c = plan.packed ? line % g.C : line, tap = plan.packed ? line / g.C : t;
      const bf16* row = rounded + (i / ROWS * wide + i % ROWS) * ROWS;
      bf16* out = f.call.grad_weight + (filter_block * BLOCK * g.C + c) * taps + tap;
      for (int64_t k = 0; k < filters; ++k) out[k * g.C * taps] = row[k / ROWS * ROWS * ROWS + k % ROWS];
    }
  }
}

void backward_weight(const BackwardWeightOf<bf16>& call, void* workspace, const Pool& pool) {
  const Geometry& g = call.geometry;
  if (g.N > 0 && (!all_finite(call.x, g.N, g.C, g.H, g.W, pool) ||
                  !all_finite(call.grad_y, g.N, g.K, g.P(), g.Q(), pool)))
    return widened().backward_weight(call, workspace, pool);
  const WeightGradientPass f(call, pool.threads, workspace);
  const WeightGradientPlan& plan = f.plan;
  const int64_t blocks = g.N * plan.blocks_p * plan.blocks_q;
  const int64_t products = ceil_div(blocks * plan.pixels, plan.chunks * DEPTH) * ceil_div(plan.filters, ROWS) *
                           ceil_div(plan.lines, ROWS) * plan.taps * plan.e.planes;
  parallel(pool, plan.chunks * plan.groups, worth_a_thread_of(products), [&](int64_t i, int64_t begin, int64_t end) {
    const WeightLane lane(f, i);
    const Tiles::Session session;
    for (int64_t task = begin; task < end; ++task) weight_chunk(f, lane, task / plan.groups, task % plan.groups);
  });
  const int64_t values = plan.chunks * plan.taps * BLOCK * BLOCK;
  parallel(pool, plan.filter_blocks * plan.line_blocks, worth_a_thread(values),
           [&](int64_t, int64_t begin, int64_t end) {
             for (int64_t i = begin; i < end; ++i) write_weights(f, i / plan.line_blocks, i % plan.line_blocks);
           });
  if (!call.grad_bias) return;
  for (int64_t k = 0; k < g.K; ++k) {
    float sum = 0;
    for (int64_t chunk = 0; chunk < plan.chunks; ++chunk) sum += f.partial_bias[chunk * g.K + k];
    call.grad_bias[k] = narrow(sum);
  }
}
