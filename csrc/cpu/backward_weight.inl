// dW[k] = sum over outputs of g * (the input under the place of the maximum), db[k] = sum of g. A pool window passes
// one gradient on, so with 2x2 windows this is a quarter of a dense convolution's work.
//
// The images fall into blocks of windows whose input fits into L1. Blocks are dealt out in chunks that the sizes fix
// and the threads do not; a chunk's sums are its own, and chunks are added in order: the bits are always the same. Two
// roads go over a block: by list (backward_weight_list.inl), and by lookup (backward_weight_lookup.inl) where taps are
// so few that they would leave lanes empty.

void add_chunk(const WeightGradientPass& f, int64_t chunk, int64_t group, char* scratch) {
  const WeightGradientPlan& plan = f.plan;
  const int64_t k0 = group * plan.GROUP, k1 = plan.lookup ? plan.filters : min(k0 + plan.GROUP, f.g.K);
  float* dw = f.partial + chunk * plan.partial_floats + k0 * plan.filter;
  float* db = f.partial_bias + chunk * plan.filters + k0;
  const int64_t floats = plan.lookup ? plan.partial_floats : (k1 - k0) * plan.filter;
  std::memset(dw, 0, size_t(floats) * sizeof(float));
  std::memset(db, 0, size_t(k1 - k0) * sizeof(float));
  const int64_t blocks = f.g.N * plan.blocks_p * plan.blocks_q;
  for (int64_t i = part(blocks, plan.chunks, chunk); i < part(blocks, plan.chunks, chunk + 1); ++i) {
    const int64_t n = i / (plan.blocks_p * plan.blocks_q);
    const int64_t p0 = i / plan.blocks_q % plan.blocks_p * plan.block_p, p1 = min(p0 + plan.block_p, plan.h.pooled);
    const int64_t q0 = i % plan.blocks_q * plan.block_q, q1 = min(q0 + plan.block_q, plan.w.pooled);
    const int64_t row = plan.h.begin(p0), column = plan.w.begin(q0);
    // Whole groups of four columns keep the rows of a patch, and so its vectors, on cache lines.
    const Block block{n, p0, p1, q0, q1,
                      {row, plan.h.end(p1 - 1) - row, column, round_up(plan.w.end(q1 - 1) - column, 4)}};
    if (plan.lookup)
      add_block_by_lookup(f, block, dw, db, scratch);
    else
      add_block_by_list(f, block, k0, k1, dw, db, scratch);
  }
}

template <class T>
void backward_weight(const BackwardWeightOf<T>& call, void* workspace, const Pool& pool) {
  const WeightGradientPass f(call, pool.threads, workspace);
  const auto scratch = [&](int64_t lane) { return f.lanes + size_t(lane) * f.plan.lane_bytes; };
  parallel(pool, f.plan.chunks * f.plan.groups, 1, [&](int64_t lane, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) add_chunk(f, i / f.plan.groups, i % f.plan.groups, scratch(lane));
  });
  const int64_t units = f.plan.lookup ? f.g.C * f.g.R * f.g.S : f.g.K;  // taps, or filters
  const int64_t least = worth_a_thread(f.plan.chunks * f.plan.partial_floats / units);
  parallel(pool, units, least, [&](int64_t lane, int64_t begin, int64_t end) {
    if (f.plan.lookup)
      store_lookup_sums(f, begin, end);
    else
      for (int64_t k = begin; k < end; ++k) store_list_sums(f, k, at<float>(scratch(lane), f.plan.sum));
  });
  for (int64_t k = 0; k < f.g.K && call.grad_bias; ++k) {
    float sum = 0;
    for (int64_t i = 0; i < f.plan.chunks; ++i) sum += f.partial_bias[i * f.plan.filters + k];
    copy(call.grad_bias + k, &sum, 1);
  }
  if (f.plan.narrow) {
    const int64_t filter = f.g.C * f.g.R * f.g.S;
    parallel(pool, f.g.K, worth_a_thread(filter), [&](int64_t, int64_t begin, int64_t end) {
      copy(call.grad_weight + begin * filter, f.grad_weight + begin * filter, (end - begin) * filter);
    });
  }
}
