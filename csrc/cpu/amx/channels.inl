// The input as rows of A for dW: a channel's pixels side by side, in phases, so that every tap finds 32 in a row.

// The windows of one block, and what they cover of the convolution's output.
struct WindowBlock {
  int64_t n;
  Windows windows;
  Piece piece;

  WindowBlock(const WeightGradientPass& f, int64_t index, int64_t filter, int64_t filters) {
    const WeightGradientPlan& plan = f.plan;
    const int64_t blocks = plan.blocks_p * plan.blocks_q;
    n = index / blocks;
    const int64_t p0 = index % blocks / plan.blocks_q * plan.block_p, q0 = index % plan.blocks_q * plan.block_q;
    windows = {p0, min(p0 + plan.block_p, plan.e.h.pooled), q0, min(q0 + plan.block_q, plan.e.w.pooled)};
    piece = {n, filter, filters, plan.e.h.conv_begin(p0), plan.rows, plan.e.w.conv_begin(q0), plan.columns};
  }
};

// channels (phase, C rounded up to 16, pitch): the block's pixels from `at` on.
void gather_channels(const WeightGradientPass& f, const WindowBlock& block, bf16* channels, int64_t at) {
  const WeightGradientPlan& plan = f.plan;
  const Geometry& g = f.g;
  const StridedOf<bf16>& x = f.call.x;
  bf16* out = channels + at;
  for (int64_t a = 0; a < plan.phases_h; ++a)
    for (int64_t b = 0; b < plan.phases_w; ++b, out += round_up(g.C, ROWS) * plan.pitch) {
      const int64_t left = block.piece.column * g.stride_w + b - g.padding_w;
      const Inside columns(left, g.stride_w, plan.columns, g.W);
      const bf16* in = x.data + block.n * x.stride[0] + (left + columns.begin * g.stride_w) * x.stride[3];
      for (int64_t u = 0; u < plan.rows; ++u) {
        const int64_t h = (block.piece.row + u) * g.stride_h + a - g.padding_h;
        const bool inside = h >= 0 && h < g.H && columns.begin < columns.end;
        const int64_t begin = inside ? columns.begin : plan.columns, end = inside ? columns.end : plan.columns;
        bf16* row = out + u * plan.columns;
        if (end - begin < plan.columns)
          for (int64_t c = 0; c < g.C; ++c) {
            clear(row + c * plan.pitch, begin);
            clear(row + c * plan.pitch + end, plan.columns - end);
          }
        if (begin < end)
          copy_matrix(row + begin, plan.pitch, 1, in + h * x.stride[2], x.stride[1], g.stride_w * x.stride[3], g.C,
                      end - begin);
      }
      for (int64_t i = plan.rows * plan.columns; i < plan.pixels; ++i)
        for (int64_t c = 0; c < g.C; ++c) out[c * plan.pitch + i] = 0;
    }
}

// Where a tap's pixels lie: the phase, and how far from those of the gradient.
struct Tap {
  int64_t phase, distance;

  Tap(const WeightGradientPass& f, int64_t r, int64_t s)
      : phase(r % f.g.stride_h * f.plan.phases_w + s % f.g.stride_w),
        distance(r / f.g.stride_h * f.plan.columns + s / f.g.stride_w) {}
};

void pack_rows(const WeightGradientPass& f, const bf16* channels, bf16* out) {
  const WeightGradientPlan& plan = f.plan;
  for (int64_t r = 0; r < f.g.R; ++r)
    for (int64_t s = 0; s < f.g.S; ++s) {
      const Tap tap(f, r, s);
      const bf16* in = channels + tap.phase * round_up(f.g.C, ROWS) * plan.pitch + tap.distance;
      for (int64_t c = 0; c < f.g.C; ++c, in += plan.pitch, out += plan.pitch)
        std::memcpy(out, in, size_t(plan.depth) * sizeof(bf16));
    }
}
