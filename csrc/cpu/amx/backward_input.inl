// dX. The expanded gradient is correlated with the filters turned round. With a stride, pixels of the input fall into
// stride_h * stride_w phases by their remainders: those of one phase meet the same taps, every stride-th, and see the
// gradient with stride 1. So each phase is a correlation of its own and nothing is multiplied with zeros between.
//
//   (u, v)  a pixel of the padded input within its phase (a, b): row u * stride_h + a, column v * stride_w + b
//   (y, z)  a tap within its phase: row y * stride_h + a of the filter, column z * stride_w + b
//
// Pixel (u, v) takes the gradient at (u - y, v - z) times tap (y, z). Phases beyond the filter's size have no taps, and
// their pixels no gradient; neither have pixels that only rows and columns see which the pool's floor drops.

// Taps turned round: the gradient above and to the left comes first in memory, and meets the last taps.
int64_t turned(const InputGradientPlan& plan, const Phase& p, int64_t y, int64_t z) {
  return (p.taps_h - 1 - y) * plan.steps(p) * DEPTH + (p.taps_w - 1 - z) * plan.pixel.width;
}

// Whole pixels are whole tiles: taps are separated, and rows of two filters then paired.
void pack_turned_whole(const InputGradientPass& f, bf16* out, int64_t block) {
  constexpr int64_t TAPS = 16;
  const Geometry& g = f.g;
  const int64_t taps = g.R * g.S, channels = min(BLOCK, g.C - block * BLOCK);
  const int tiles = halves(g.C, block);
  bf16 separate[TAPS][DEPTH][BLOCK] = {};  // (tap, filter, channel)
  for (int64_t k = 0; k < g.K; k += DEPTH) {
    const int64_t filters = min(DEPTH, g.K - k);
    for (int64_t first = 0; first < taps; first += TAPS) {
      const int64_t count = min(TAPS, taps - first);
      for (int64_t n = 0; n < filters; ++n)
        copy_matrix(separate[0][n], BLOCK * DEPTH, 1, f.call.weight + ((k + n) * g.C + block * BLOCK) * taps + first, 1,
                    taps, count, channels);
      f.plan.each_phase(g, [&](const Phase& p) {
        for (int64_t y = 0; y < p.taps_h; ++y)
          for (int64_t z = 0; z < p.taps_w; ++z) {
            const int64_t t = (y * g.stride_h + p.a) * g.S + z * g.stride_w + p.b - first;
            if (t < 0 || t >= count) continue;
            bf16* tile = out + p.weights + (turned(f.plan, p, y, z) + k) * tiles * ROWS;
            for (int half = 0; half < tiles; ++half)
              for (int64_t n = 0; n < DEPTH; n += 2, tile += DEPTH)
                pair(tile, &separate[t][n][half * ROWS], &separate[t][n + 1][half * ROWS]);
          }
      });
    }
  }
}

void pack_turned(const InputGradientPass& f, const Pool& pool) {
  const Geometry& g = f.g;
  const int64_t taps = g.R * g.S;
  parallel(pool, f.plan.channel_blocks, worth_a_thread(BLOCK * taps * g.K), [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      bf16* out = f.weights + block * f.plan.block_weights;
      if (f.plan.pixel.width % DEPTH == 0) {
        pack_turned_whole(f, out, block);
        continue;
      }
      const int64_t channels = min(BLOCK, g.C - block * BLOCK);
      const int tiles = halves(g.C, block);
      clear(out, f.plan.block_weights);
      f.plan.each_phase(g, [&](const Phase& p) {
        for (int64_t k = 0; k < g.K; ++k)
          for (int64_t c = 0; c < channels; ++c) {
            const bf16* w = f.call.weight + (k * g.C + block * BLOCK + c) * taps + p.a * g.S + p.b;
            for (int64_t y = 0; y < p.taps_h; ++y)
              for (int64_t z = 0; z < p.taps_w; ++z)
                out[p.weights + in_tiles(turned(f.plan, p, y, z) + k, c, tiles)] =
                    w[y * g.stride_h * g.S + z * g.stride_w];
          }
      });
    }
  });
}

// Pixels [u0, u1) x [v0, v1) of image n in every phase, and the gradient that reaches them.
struct PixelBlock {
  int64_t n, u0, u1, v0, v1;
  const bf16* gradient;
  float* sums;
};

template <int HALVES>
void write_pixels(const InputGradientPass& f, const PixelBlock& block, const Phase& p, int64_t b, int64_t u0,
                  int64_t u1, int64_t pitch) {
  const Geometry& g = f.g;
  const int64_t channels = min(BLOCK, g.C - b * BLOCK);
  const Inside inside(block.v0 * g.stride_w + p.b - g.padding_w, g.stride_w, block.v1 - block.v0, g.W);
  for (int64_t u = u0; u < u1; ++u) {
    const int64_t h = u * g.stride_h + p.a - g.padding_h;
    if (h < 0 || h >= g.H) continue;
    for (int64_t v = inside.begin; v < inside.end; ++v) {
      const float* sums = block.sums + ((u - u0) * pitch + v) * HALVES * ROWS;
      const int64_t column = (block.v0 + v) * g.stride_w + p.b - g.padding_w;
      bf16* out = f.call.grad_x + ((block.n * g.H + h) * g.W + column) * g.C + b * BLOCK;
      bf16 rounded[HALVES * ROWS];
      round<HALVES * ROWS>(rounded, sums);
      if (channels == HALVES * ROWS)
        std::memcpy(out, rounded, sizeof rounded);
      else
        std::memcpy(out, rounded, size_t(channels) * sizeof(bf16));
    }
  }
}

// All pixels of a block, where some are left to nobody.
void clear_pixels(const InputGradientPass& f, const PixelBlock& block) {
  const Geometry& g = f.g;
  const bool bottom = block.u1 == f.plan.u1, right = block.v1 == f.plan.v1;
  const int64_t h0 = max(block.u0 * g.stride_h - g.padding_h, 0), w0 = max(block.v0 * g.stride_w - g.padding_w, 0);
  const int64_t h1 = bottom ? g.H : min(block.u1 * g.stride_h - g.padding_h, g.H);
  const int64_t w1 = right ? g.W : min(block.v1 * g.stride_w - g.padding_w, g.W);
  for (int64_t h = h0; h < h1; ++h)
    clear(f.call.grad_x + ((block.n * g.H + h) * g.W + w0) * g.C, (w1 - w0) * g.C);
}

template <int HALVES>
void input_gradient_block(const InputGradientPass& f, const PixelBlock& block, const Phase& p, int64_t b) {
  const InputGradientPlan& plan = f.plan;
  const int64_t width = plan.pixel.width, row = plan.columns * width;
  const int64_t corner = (plan.halo_h - (p.taps_h - 1)) * row + (plan.halo_w - (p.taps_w - 1)) * width;
  const Terms terms{plan.e.planes, p.taps_h, plan.steps(p), plan.plane_values, row};
  for (int64_t u0 = block.u0; u0 < block.u1; u0 += plan.group_u) {
    const int64_t u1 = min(u0 + plan.group_u, block.u1);
    const Grid grid(u1 - u0, block.v1 - block.v0, row, width);
    correlate<HALVES>(block.gradient + (u0 - block.u0) * row + corner, grid, terms,
                      f.weights + b * plan.block_weights + p.weights, nullptr, block.sums);
    write_pixels<HALVES>(f, block, p, b, u0, u1, grid.pitch);
  }
}

void input_gradient_blocks(const InputGradientPass& f, const Pool& pool) {
  const InputGradientPlan& plan = f.plan;
  const int64_t pieces = plan.blocks_u * plan.blocks_v;
  const int64_t products = plan.channel_blocks * 2 * plan.block_weights / (2 * TILE) * plan.e.planes *
                           ceil_div(plan.block_u * plan.block_v, ROWS);
  parallel(pool, f.g.N * pieces, worth_a_thread_of(products), [&](int64_t lane, int64_t begin, int64_t end) {
    char* scratch = f.lanes + size_t(lane) * plan.lane_bytes;
    bf16* gradient = buffer<bf16>(scratch, plan.gradient, plan.e.planes * plan.plane_values);
    float* sums = buffer<float>(scratch, plan.plane, plan.sums * BLOCK);
    const Tiles::Session session;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t u0 = plan.u0 + i % pieces / plan.blocks_v * plan.block_u;
      const int64_t v0 = plan.v0 + i % plan.blocks_v * plan.block_v;
      const PixelBlock block{i / pieces, u0, min(u0 + plan.block_u, plan.u1), v0, min(v0 + plan.block_v, plan.v1),
                             gradient, sums};
      const Piece piece{block.n, 0, f.g.K, u0 - plan.halo_h, block.u1 - u0 + plan.halo_h, v0 - plan.halo_w,
                        plan.columns};
      expand(gradient, plan.plane_values, plan.pixel.width, at<float>(scratch, plan.expanded),
             at<bf16>(scratch, plan.room), plan.e, f.call.grad_y, f.call.place, f.g.K, piece,
             Windows::over(plan.e, piece));
      for (int64_t plane = 0; plane < plan.e.planes; ++plane)
        clear(gradient + plane * plan.plane_values + piece.rows * piece.columns * plan.pixel.width, plan.zeros());
      if (plan.gaps) clear_pixels(f, block);
      plan.each_phase(f.g, [&](const Phase& p) {
        for (int64_t b = 0; b < plan.channel_blocks; ++b)
          (halves(f.g.C, b) == 2 ? input_gradient_block<2> : input_gradient_block<1>)(f, block, p, b);
      });
    }
  });
}

void backward_input(const BackwardInputOf<bf16>& call, void* workspace, const Pool& pool) {
  const Geometry& g = call.geometry;
  if (g.N == 0) return;
  if (!all_finite(call.weight, g.K * g.C * g.R * g.S, pool) ||
      !all_finite(call.grad_y, g.N, g.K, g.P(), g.Q(), pool))
    return widened().backward_input(call, workspace, pool);
  const InputGradientPass f(call, pool.threads, workspace);
  pack_turned(f, pool);
  input_gradient_blocks(f, pool);
}
