// A run of frozen layers (frozen.h). Each thread takes images of its own through all layers, some at a time, so that
// what lies between two layers stays in its L2 and nobody waits for anybody. Where there are fewer images than threads,
// all threads share each layer that is worth waking them for.
//
// Whoever includes this file has said how a convolution reads its input (frozen_single.inl, frozen_pairs.inl).

#include "frozen_linear.inl"

template <class T>
struct FrozenPlan {
  static constexpr int64_t TOGETHER = 128 * 1024 / sizeof(T);  // values between two convolutions that stay in L2
  static constexpr int64_t WORTH_A_SHARE = TERMS << 20;  // operations that earn back waking a thread, once a call
  static constexpr int64_t WORTH_SHARING = TERMS << 22;  // and of a layer: for mnist_cnn's two threads lose, measured
  static constexpr int64_t MOST_ROWS = 64;

  int64_t convolutions = 0;        // stages before the linear ones
  int64_t features = 0;            // values of an image after them
  int64_t widest = 0, hidden = 0;  // values of an image or row between two of them, between two linear ones
  int64_t operations = 0;
  int64_t images, rows;            // taken together through convolutions, through linear layers
  bool shared;                     // by all threads, layer by layer
  size_t maps[2], row, sums[2], taps, lane;  // in a lane's workspace
  size_t lane_bytes;

  FrozenPlan(const FrozenOf<T>& call, int threads) {
    int64_t most_taps = 0;
    for (int64_t i = 0; i < call.count; ++i) {
      const FrozenStage& stage = call.stages[i];
      operations += stage.operations();
      if (stage.kind == FrozenStage::linear) {
        hidden = max(hidden, stage.out);
        continue;
      }
      convolutions = i + 1;
      features = stage.outputs();
      widest = max(widest, features);
      if (stage.kind == FrozenStage::convolution)
        most_taps = max(most_taps, elements_of(stage.geometry).block_taps);
    }
    shared = threads > 1 && call.images < threads;
    rows = clamp(2 * TOGETHER / max(features, 1), min(call.images, LINEAR_ROWS), min(call.images, MOST_ROWS));
    images = clamp(TOGETHER / max(widest, 1), 1, max(rows, 1));
    // A copy of the input takes more room than reading in place, and a share of an image less than all of it.
    int64_t scratch = 0;
    for (int64_t i = 0; i < convolutions; ++i) {
      if (call.stages[i].kind != FrozenStage::convolution) continue;
      Geometry g = call.stages[i].geometry;
      g.N = images;
      const auto bytes = [&](int lanes) {
        return lanes * int64_t(ForwardPlan(g, elements_of(g), lanes, NARROW, false).lane_bytes);
      };
      scratch = max(scratch, max(bytes(1), widened_bytes(g, 1)));
      if (shared) scratch = max(scratch, max(bytes(threads), widened_bytes(g, threads)));
    }
    Layout layout;
    for (size_t& map : maps) map = layout.take<T>(convolutions > 1 ? images * widest : 0);
    row = layout.take<T>(convolutions && hidden ? rows * features : 0);
    for (size_t& sum : sums) sum = layout.take<T>(rows * hidden);
    taps = layout.take<ptrdiff_t>(most_taps);
    lane = layout.take<char>(scratch);
    lane_bytes = layout.bytes;
  }

  static constexpr bool NARROW = sizeof(T) < sizeof(float);
};

template <class T>
void frozen_convolution(const FrozenStage& stage, int64_t images, const StridedOf<T>& x, T* y, void* workspace,
                        const FrozenPlan<T>& plan, const Pool& pool) {
  Geometry g = stage.geometry;
  g.N = images;
  if (needs_widening(x, g, pool)) {
    // An image at a time: what it is computed by must not depend on the others.
    if (images == 1) return widened_convolution(stage, x, y, at<char>(workspace, plan.lane), pool);
    for (int64_t n = 0; n < images; ++n) {
      StridedOf<T> one = x;
      one.data += n * x.stride[0];
      frozen_convolution(stage, 1, one, y + n * stage.outputs(), workspace, plan, pool);
    }
    return;
  }
  const ForwardOf<T> call{g, x, nullptr, nullptr, y, nullptr};
  const ForwardPass f(call, ForwardPlan(g, elements_of(g), pool.threads, plan.NARROW, reads_in_place(call)),
                      const_cast<float*>(stage.weight), const_cast<float*>(stage.bias),
                      at<ptrdiff_t>(workspace, plan.taps), at<char>(workspace, plan.lane));
  find_taps(f);
  forward_images(f, pool);
}

// Dense pixels of C channels, from x to y, which may be the same.
template <class T>
void frozen_scale(const FrozenStage& stage, int64_t images, const T* x, T* y) {
  const int64_t channels = stage.geometry.C, pixels = images * stage.geometry.H * stage.geometry.W;
  for (int64_t i = 0; i < pixels; ++i, x += channels, y += channels) {
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES)
      store(y + c, rounded_to<T>(fma(load(x + c), load(stage.weight + c), load(stage.bias + c))));
    if (c < channels) {
      T last[LANES] = {};
      for (int64_t j = c; j < channels; ++j) last[j - c] = x[j];
      store(y + c, rounded_to<T>(fma(load(last), load(stage.weight + c), load(stage.bias + c))), int(channels - c));
    }
  }
}

// Images [n, n + images) through the convolutions, into y.
template <class T>
void frozen_maps(const FrozenOf<T>& call, const FrozenPlan<T>& plan, int64_t n, int64_t images, T* y, char* workspace,
                 const Pool& pool, const Pool& alone) {
  StridedOf<T> x = call.x;
  x.data += n * x.stride[0];
  for (int64_t i = 0; i < plan.convolutions; ++i) {
    const FrozenStage& stage = call.stages[i];
    T* const to = i + 1 == plan.convolutions ? y : at<T>(workspace, plan.maps[i % 2]);
    if (stage.kind == FrozenStage::convolution)
      frozen_convolution(stage, images, x, to, workspace, plan,
                         stage.operations() * images >= plan.WORTH_SHARING ? pool : alone);
    else
      frozen_scale(stage, images, x.data, to);
    const Geometry& g = stage.geometry;
    const bool conv = stage.kind == FrozenStage::convolution;
    const int64_t c = conv ? g.K : g.C, h = conv ? g.P() : g.H, w = conv ? g.Q() : g.W;
    x = {to, {h * w * c, 1, w * c, c}};
  }
}

template <class T>
void frozen_rows(const FrozenOf<T>& call, const FrozenPlan<T>& plan, int64_t n, int64_t rows, char* workspace,
                 const Pool& pool, const Pool& alone) {
  const bool linears = plan.convolutions < call.count;
  const T* x = call.x.data + n * call.x.stride[0];
  if (plan.convolutions) {
    T* const y = linears ? at<T>(workspace, plan.row) : call.y + n * plan.features;
    for (int64_t i = 0; i < rows; i += plan.images)
      frozen_maps(call, plan, n + i, min(plan.images, rows - i), y + i * plan.features, workspace, pool, alone);
    x = y;
  }
  for (int64_t i = plan.convolutions; i < call.count; ++i) {
    const FrozenStage& stage = call.stages[i];
    T* const y = i + 1 == call.count ? call.y + n * stage.out : at<T>(workspace, plan.sums[i % 2]);
    linear(stage, x, rows, y, stage.operations() * rows >= plan.WORTH_SHARING ? pool : alone);
    x = y;
  }
}

template <class T>
size_t frozen_workspace(const FrozenOf<T>& call, int threads) {
  const FrozenPlan<T> plan(call, threads);
  return plan.lane_bytes * size_t(plan.shared ? 1 : max(threads, 1));
}

template <class T>
void frozen_run(const FrozenOf<T>& call, void* workspace, const Pool& pool) {
  if (call.images == 0) return;
  const FrozenPlan<T> plan(call, pool.threads);
  const Pool alone{1, nullptr, nullptr};
  if (plan.shared) {
    for (int64_t n = 0; n < call.images; n += plan.rows)
      frozen_rows(call, plan, n, min(plan.rows, call.images - n), static_cast<char*>(workspace), pool, alone);
    return;
  }
  const int64_t least = ceil_div(plan.WORTH_A_SHARE, max(plan.operations, 1));
  parallel(pool, call.images, least, [&](int64_t lane, int64_t begin, int64_t end) {
    char* const own = static_cast<char*>(workspace) + size_t(lane) * plan.lane_bytes;
    for (int64_t n = begin; n < end; n += plan.rows)
      frozen_rows(call, plan, n, min(plan.rows, end - n), own, alone, alone);
  });
}

int64_t frozen_elements(const FrozenStage& stage) {
  return stage.kind == FrozenStage::linear ? ceil_div(stage.in, TERMS) : elements_of(stage.geometry).taps;
}

constexpr FrozenLayout FROZEN_LAYOUT{LANES, KB, LINEAR_VECTORS, TERMS};
