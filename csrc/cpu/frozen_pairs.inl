// The input of a frozen convolution whose elements are pairs of bfloat16. As in forward_pairs.inl, an image with an
// infinity or a NaN goes to the widened kernels where a run of taps is odd. They take weights as torch has them, which
// are unpacked for that: it is rare, and a second copy would be there in every run.

Elements elements_of(const Geometry& g) { return PairPlan(g).elements; }

void find_taps(const ForwardPass& f) { find_taps(f, PairPlan(f.g)); }

bool needs_widening(const StridedOf<bf16>& x, const Geometry& g, const Pool& pool) {
  return PairPlan(g).needs_finite(g) && !finite(x, g, pool);
}

struct WidenedPlan {
  size_t weight, bias, pass;

  explicit WidenedPlan(const Geometry& g) {
    Layout layout;
    weight = layout.take<bf16>(g.K * g.C * g.R * g.S);
    bias = layout.take<bf16>(g.K);
    pass = layout.bytes;
  }
};

int64_t widened_bytes(Geometry g, int threads) {
  if (!PairPlan(g).needs_finite(g)) return 0;
  g.N = 1;
  return int64_t(WidenedPlan(g).pass + widened().workspace_bytes(Pass::forward, g, threads));
}

// One image, with weights that pair_weights() and pack_filters() packed, or the like of them.
void widened_convolution(const FrozenStage& stage, const StridedOf<bf16>& x, bf16* y, char* workspace,
                         const Pool& pool) {
  const Geometry& g = stage.geometry;
  const WidenedPlan plan(g);
  const int64_t run = round_up(g.S * g.C, 2), taps = g.R * run / 2;
  bf16* const weight = at<bf16>(workspace, plan.weight);
  bf16* const bias = at<bf16>(workspace, plan.bias);
  for (int64_t k = 0; k < g.K; ++k) {
    bias[k] = narrow(stage.bias[k]);
    const bf16* block = reinterpret_cast<const bf16*>(stage.weight + k / KB * taps * KB) + k % KB * 2;
    for (int64_t r = 0; r < g.R; ++r)
      for (int64_t i = 0; i < g.S * g.C; ++i) {
        const int64_t tap = r * run + i;
        weight[((k * g.C + i % g.C) * g.R + r) * g.S + i / g.C] = block[tap / 2 * 2 * KB + tap % 2];
      }
  }
  widened().forward({g, x, weight, bias, y, nullptr}, workspace + plan.pass, pool);
}
