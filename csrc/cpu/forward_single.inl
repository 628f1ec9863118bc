// The input of a forward pass whose elements are floats: float32 where it lies or in a padded copy, bfloat16 widened on
// its way into the copy.

Elements single(const Geometry& g) {
  const Channels channels(g.C);
  return {channels, g.C * g.R * g.S, channels.width * g.R * g.S};
}

// Reading in place suits few channels in any order, and more of them side by side; padding is only in a copy.
template <class T>
bool reads_in_place(const ForwardOf<T>& call) {
  const Geometry& g = call.geometry;
  if (sizeof(T) < sizeof(float) || g.padding_h || g.padding_w) return false;
  return g.C <= 4 || (g.C <= 32 && call.x.stride[1] == 1);
}

void find_taps(const ForwardPass& f) {
  const int64_t width = f.plan.channels.width;
  const int64_t* stride = f.x.stride;
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
  const Source& x = f.x;
  if (f.plan.direct) return {image(x.as<float>(), n), g.stride_h * x.stride[2], g.stride_w * x.stride[3], 0};
  const int64_t begin = f.plan.h.begin(p0), rows = f.plan.h.end(p1 - 1) - begin, width = f.plan.channels.width;
  const int64_t block = rows * f.plan.columns * width;
  float* patch = at<float>(scratch, f.plan.patch);
  for (int64_t b = 0; b < f.plan.channels.blocks; ++b)
    copy_patch(patch + b * block, x, g, n, f.plan.channels, b, {begin, rows, 0, f.plan.columns});
  return {patch - begin * f.plan.columns * width, g.stride_h * f.plan.columns * width, g.stride_w * width, block};
}

size_t forward_workspace(const Geometry& g, int threads, bool narrow) {
  const auto bytes = [&](bool direct) { return int64_t(ForwardPlan(g, single(g), threads, narrow, direct).bytes); };
  return size_t(narrow ? bytes(false) : max(bytes(false), bytes(true)));
}

template <class T>
void forward(const ForwardOf<T>& call, void* workspace, const Pool& pool) {
  const Geometry& g = call.geometry;
  if (g.N == 0) return;
  const ForwardPlan plan(g, single(g), pool.threads, sizeof(T) < sizeof(float), reads_in_place(call));
  const ForwardPass f(call, plan, workspace);
  pack_filters(f, as_floats(call.weight, at<float>(workspace, plan.wide_weights), g.K * plan.taps, pool),
               as_floats(call.bias, at<float>(workspace, plan.wide_bias), g.K, pool), pool);
  find_taps(f);
  forward_images(f, pool);
}
