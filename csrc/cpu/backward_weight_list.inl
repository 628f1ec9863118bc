// The road by lists, with the taps in the lanes. Per block and filter, the outputs that are alive become a list of
// (offset, g): the place of the maximum changes an address, never a branch. Then every tile of the filter runs down
// the list, acc += g * x[offset].

template <int R, int V>
struct GatherTile {
  static void run(const Item* item, const Item* end, const float* x, ptrdiff_t row, float* dw, ptrdiff_t pitch) {
    Vec acc[R][V];
    UNROLL for (int r = 0; r < R; ++r)
      UNROLL for (int v = 0; v < V; ++v) acc[r][v] = load(dw + r * pitch + v * LANES);
    for (; item != end; ++item) {
      const float* p = x + item->offset;
      const Vec g = splat(item->g);
      UNROLL for (int r = 0; r < R; ++r)
        UNROLL for (int v = 0; v < V; ++v) acc[r][v] = fma(g, load(p + r * row + v * LANES), acc[r][v]);
    }
    UNROLL for (int r = 0; r < R; ++r)
      UNROLL for (int v = 0; v < V; ++v) store(dw + r * pitch + v * LANES, acc[r][v]);
  }
};

// Dense NHWC whose segments are whole vectors is read where it lies; nothing past a segment is read then.
bool reads_in_place(const WeightGradientPass& f) {
  const int64_t* stride = f.x.stride;
  if (f.plan.narrow || stride[2] > (1 << 30) / f.plan.rows) return false;
  return f.g.padding_h == 0 && f.g.padding_w == 0 && f.plan.channels.blocks == 1 && stride[1] == 1 &&
         stride[3] == f.plan.channels.width && f.plan.segments.length == f.plan.segments.pitch;
}

// For each filter the outputs of the block that are alive, and their sum into db.
void list_outputs(const WeightGradientPass& f, const Block& block, int64_t k0, int64_t k1, ptrdiff_t row, float* db,
                  char* scratch) {
  const Geometry& g = f.g;
  const Outputs outputs = outputs_of(f, block, k0, k1 - k0, k1 - k0, !f.plan.narrow, scratch);
  const Axis &h = f.plan.h, &w = f.plan.w;
  const ptrdiff_t column = f.plan.channels.width;
  int32_t offset[DEAD + 1];
  for (int64_t a = 0; a < g.pool_h * g.pool_w; ++a)
    offset[a] = int32_t(a / g.pool_w * g.stride_h * row + a % g.pool_w * g.stride_w * column);
  offset[DEAD] = 0;
  Item* items = at<Item>(scratch, f.plan.items);
  int64_t* counts = at<int64_t>(scratch, f.plan.counts);
  const int32_t step = int32_t(w.step() * column);
  for (int64_t k = 0; k < k1 - k0; ++k, items += f.plan.block_p * f.plan.block_q) {
    Item* item = items;
    float sum = 0;
    for (int64_t p = block.p0; p < block.p1; ++p) {
      const float* in = outputs.g + (p - block.p0) * outputs.g_row + k * outputs.g_filter;
      const uint8_t* place = outputs.place + (p - block.p0) * outputs.place_row + k;
      int32_t corner = int32_t((h.corner(p) * h.stride - block.patch.row) * row +
                               (w.corner(block.q0) * w.stride - block.patch.column) * column);
      for (int64_t q = block.q0; q < block.q1; ++q) {
        const uint8_t a = *place;
        *item = {corner + offset[a], *in};  // a dead one is overwritten by the next
        item += a != DEAD;
        sum += a != DEAD ? *in : 0;
        corner += step, in += outputs.g_column, place += outputs.place_column;
      }
    }
    counts[k] = item - items;
    db[k] += sum;
  }
}

// Filters [k0, k1) over one block; dw is (k, channel block, r, (s, c)).
void add_block_by_list(const WeightGradientPass& f, const Block& block, int64_t k0, int64_t k1, float* dw, float* db,
                       char* scratch) {
  const Segments& s = f.plan.segments;
  const bool direct = reads_in_place(f);
  const ptrdiff_t column = f.plan.channels.width;
  const ptrdiff_t row = direct ? f.x.stride[2] : block.patch.columns * column;
  list_outputs(f, block, k0, k1, row, db, scratch);
  const Item* items = at<Item>(scratch, f.plan.items);
  const int64_t* counts = at<int64_t>(scratch, f.plan.counts);
  float* patch = at<float>(scratch, f.plan.patch);
  const float* x = patch;
  if (direct) x = image(f.x.as<float>(), block.n) + block.patch.row * row + block.patch.column * column;
  for (int64_t c = 0; c < f.plan.channels.blocks; ++c, dw += s.rows * s.pitch) {
    if (!direct) copy_patch(patch, f.x, f.g, block.n, f.plan.channels, c, block.patch);
    s.tiles([&](int64_t r, int64_t rows, int64_t v, int64_t vectors) {
      const auto tile = find_tile<GatherTile>(rows, vectors);
      for (int64_t k = 0; k < k1 - k0; ++k) {
        const Item* item = items + k * f.plan.block_p * f.plan.block_q;
        float* out = dw + k * f.plan.filter + r * s.pitch + v * LANES;
        tile(item, item + counts[k], x + r * row + v * LANES, row, out, s.pitch);
      }
    });
  }
}

// Filter k of the sum over chunks, in torch's order.
void store_list_sums(const WeightGradientPass& f, int64_t k, float* sum) {
  const Geometry& g = f.g;
  const int64_t width = f.plan.channels.width;
  const float* partial = f.partial + k * f.plan.filter;
  std::memcpy(sum, partial, size_t(f.plan.filter) * sizeof(float));
  for (int64_t i = 1; i < f.plan.chunks; ++i)
    for (int64_t j = 0; j < f.plan.filter; j += LANES)
      store(sum + j, add(load(sum + j), load(partial + i * f.plan.partial_floats + j)));
  for (int64_t c = 0; c < f.plan.channels.blocks; ++c)
    for (int64_t r = 0; r < g.R; ++r)
      transpose(f.grad_weight + ((k * g.C + c * width) * g.R + r) * g.S, g.R * g.S,
                sum + (c * g.R + r) * f.plan.segments.pitch, width, g.S, min(width, g.C - c * width));
}
