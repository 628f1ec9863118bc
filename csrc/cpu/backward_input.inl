// dX. Every output that is alive adds g * (its filter) to the input under the place of its maximum. The outputs of one
// window that share a place share an address: their filters add up in registers, with one read and one write of dx.
//
// dx is built in rows that stay in L2, padded and in blocks of channels like the input elsewhere; rows that no later
// window touches go out to memory, the others move up. A thread owns rows of dx; for windows that reach into
// them from above it repeats the work instead of sharing it. Sums run in the same order however rows are dealt out.

constexpr int64_t BUCKET = 32;  // filters whose places are compared at once, and whose weights stay in L1

template <int R, int V>
struct ScatterTile {
  // One window: `filters` has a bit for each filter with this place. `tail`: floats of the last vector that are dx's.
  static void run(uint32_t filters, const float* g, ptrdiff_t g_step, const float* w, ptrdiff_t filter,
                  ptrdiff_t pitch, float* dx, ptrdiff_t row, int tail) {
    Vec acc[R][V];
    UNROLL for (int r = 0; r < R; ++r)
      UNROLL for (int v = 0; v < V; ++v) acc[r][v] = load(dx + r * row + v * LANES);
    for (; filters; filters &= filters - 1) {
      const int k = __builtin_ctz(filters);
      const Vec a = splat(g[k * g_step]);
      const float* p = w + k * filter;
      UNROLL for (int r = 0; r < R; ++r)
        UNROLL for (int v = 0; v < V; ++v) acc[r][v] = fma(a, load(p + r * pitch + v * LANES), acc[r][v]);
    }
    UNROLL for (int r = 0; r < R; ++r) {
      UNROLL for (int v = 0; v < V - 1; ++v) store(dx + r * row + v * LANES, acc[r][v]);
      float* last = dx + r * row + (V - 1) * LANES;
      tail == LANES ? store(last, acc[r][V - 1]) : store(last, acc[r][V - 1], tail);
    }
  }
};

struct InputGradient {
  Channels channels;
  Segments segments;
  Axis h, w;
  int64_t buckets, places;
  int64_t columns;        // of padded dx that windows reach
  int64_t group, rows;    // pooled rows taken together, and rows of padded dx under them
  int64_t strips, strip;  // shares of an image, in pooled rows
  size_t weights, lanes, sums, masks, lane_bytes, bytes;

  InputGradient(const Geometry& g, int threads)
      : channels(g.C, g.S), segments(g, channels), h(Axis::h(g)), w(Axis::w(g)) {
    buckets = ceil_div(g.K, BUCKET);
    places = g.pool_h * g.pool_w;
    columns = w.end(w.pooled - 1);
    strips = threads > 1 && g.N < 4 * threads ? min(ceil_div(2 * threads, max(g.N, 1)), h.pooled) : 1;
    strip = ceil_div(h.pooled, strips);
    strips = ceil_div(h.pooled, strip);
    group = clamp(ceil_div(32, w.pooled), 1, h.pooled);
    rows = ((group - 1) * h.pool_stride + h.pool - 1) * h.stride + h.kernel;

    Layout shared, lane;
    weights = shared.take<float>(channels.blocks * g.K * segments.rows * segments.pitch);
    lanes = shared.bytes;
    sums = lane.take<float>(channels.blocks * rows * columns * channels.width);
    masks = lane.take<uint32_t>(buckets * group * w.pooled * places);
    lane_bytes = lane.bytes;
    bytes = lanes + size_t(max(threads, 1)) * lane_bytes;
  }
};

class InputGradientPass {
 public:
  InputGradientPass(const BackwardInput& call, void* workspace, const Pool& pool)
      : call(call), g(call.geometry), plan(g, pool.threads), workspace(workspace), pool(pool) {}

  void run() {
    if (g.N == 0) return;
    parallel(pool, g.K, [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) pack(k);
    });
    parallel(pool, g.N * plan.strips, [&](int64_t lane, int64_t begin, int64_t end) {
      void* scratch = at<char>(workspace, plan.lanes + size_t(lane) * plan.lane_bytes);
      for (int64_t i = begin; i < end; ++i) run_strip(i / plan.strips, i % plan.strips, scratch);
    });
  }

 private:
  const BackwardInput& call;
  const Geometry& g;
  const InputGradient plan;
  void* const workspace;
  const Pool& pool;

  // Weights of filter k as (channel block, k, r, (s, c)), with zeros up to whole vectors.
  void pack(int64_t k) const {
    const Segments& s = plan.segments;
    const int64_t width = plan.channels.width;
    for (int64_t c = 0; c < plan.channels.blocks; ++c) {
      float* out = at<float>(workspace, plan.weights) + (c * g.K + k) * s.rows * s.pitch;
      std::memset(out, 0, size_t(s.rows * s.pitch) * sizeof(float));
      for (int64_t r = 0; r < g.R; ++r)
        transpose(out + r * s.pitch, width, call.weight + ((k * g.C + c * width) * g.R + r) * g.S, g.R * g.S,
                  min(width, g.C - c * width), g.S);
    }
  }

  // Where strip i's rows of padded dx begin; the last strip ends with the image.
  int64_t first_row(int64_t i) const {
    return i == 0 ? 0 : i == plan.strips ? g.H + 2 * g.padding_h : plan.h.begin(i * plan.strip);
  }

  void run_strip(int64_t n, int64_t i, void* scratch) const {
    const int64_t row0 = first_row(i), row1 = first_row(i + 1);
    const int64_t p1 = min((i + 1) * plan.strip, plan.h.pooled);
    int64_t p = i * plan.strip;
    while (p > 0 && plan.h.end(p - 1) > row0) --p;
    int64_t out = row0;             // rows before it are written
    int64_t base = 0, end = 0;      // rows in scratch
    for (int64_t next; p < p1; p = next) {
      next = min((p / plan.group + 1) * plan.group, p1);  // whichever strip it is in, a group is the same windows
      const int64_t last = next - 1, begin = plan.h.begin(p);
      write(n, out, min(begin, row1), base, end, scratch);
      out = max(out, min(begin, row1));
      move_up(begin - base, end - base, plan.h.end(last) - base, scratch);
      base = begin;
      end = plan.h.end(last);
      add_windows(n, p, next, base, scratch);
    }
    write(n, out, row1, base, end, scratch);
  }

  float* sums(int64_t block, void* scratch) const {
    return at<float>(scratch, plan.sums) + block * plan.rows * plan.columns * plan.channels.width;
  }

  // Rows [begin, end) become rows 0 and on; zeros follow them up to row `last` of before.
  void move_up(int64_t begin, int64_t end, int64_t last, void* scratch) const {
    const int64_t row = plan.columns * plan.channels.width, kept = max(end - begin, 0);
    for (int64_t c = 0; c < plan.channels.blocks; ++c) {
      float* x = sums(c, scratch);
      if (kept && begin) std::memmove(x, x + begin * row, size_t(kept * row) * sizeof(float));
      std::memset(x + kept * row, 0, size_t((last - begin - kept) * row) * sizeof(float));
    }
  }

  // Rows [begin, end) of padded dx to grad_x; those that are not in scratch, [base, last), are zero.
  void write(int64_t n, int64_t begin, int64_t end, int64_t base, int64_t last, void* scratch) const {
    const int64_t width = plan.channels.width;
    const int64_t filled = clamp(plan.columns - g.padding_w, 0, g.W);
    for (int64_t i = max(begin, g.padding_h); i < min(end, g.H + g.padding_h); ++i) {
      float* out = call.grad_x + (n * g.H + i - g.padding_h) * g.W * g.C;
      const bool zeros = i < base || i >= last;
      for (int64_t c = 0; c < plan.channels.blocks && !zeros; ++c) {
        const int64_t channels = min(width, g.C - c * width);
        const float* in = sums(c, scratch) + ((i - base) * plan.columns + g.padding_w) * width;
        if (width == g.C)
          copy(out, in, filled * g.C);
        else
          for (int64_t j = 0; j < filled; ++j) copy(out + j * g.C + c * width, in + j * width, channels);
      }
      const int64_t done = zeros ? 0 : filled;
      std::memset(out + done * g.C, 0, size_t((g.W - done) * g.C) * sizeof(float));
    }
  }

  // Windows of pooled rows [p0, p1) into the rows in scratch, of which the first is `base`.
  void add_windows(int64_t n, int64_t p0, int64_t p1, int64_t base, void* scratch) const {
    uint32_t* masks = at<uint32_t>(scratch, plan.masks);
    bucket(n, p0, p1, masks);
    const Segments& s = plan.segments;
    const int64_t column = plan.channels.width, row = plan.columns * column;
    const Strided& gy = call.grad_y;
    ptrdiff_t offset[DEAD];
    for (int64_t a = 0; a < plan.places; ++a)
      offset[a] = a / g.pool_w * g.stride_h * row + a % g.pool_w * g.stride_w * column;
    for (int64_t c = 0; c < plan.channels.blocks; ++c) {
      for (int64_t b = 0; b < plan.buckets; ++b) {
        const float* w = at<float>(workspace, plan.weights) + (c * g.K + b * BUCKET) * s.rows * s.pitch;
        s.tiles([&](int64_t r, int64_t rows, int64_t v, int64_t vectors) {
          const auto tile = find_tile<ScatterTile>(rows, vectors);
          const int tail = v + vectors == s.vectors ? int(s.length - (s.vectors - 1) * LANES) : LANES;
          const uint32_t* mask = masks + b * (p1 - p0) * plan.w.pooled * plan.places;
          for (int64_t p = p0; p < p1; ++p) {
            const float* gp = gy.data + n * gy.stride[0] + b * BUCKET * gy.stride[1] + p * gy.stride[2];
            float* dx = sums(c, scratch) + (plan.h.corner(p) * g.stride_h - base + r) * row + v * LANES +
                        plan.w.corner(0) * g.stride_w * column;
            for (int64_t q = 0; q < plan.w.pooled; ++q, mask += plan.places, gp += gy.stride[3]) {
              for (int64_t a = 0; a < plan.places; ++a)
                if (mask[a])
                  tile(mask[a], gp, gy.stride[1], w + r * s.pitch + v * LANES, s.rows * s.pitch, s.pitch,
                       dx + offset[a], row, tail);
              dx += g.pool_stride_w * g.stride_w * column;
            }
          }
        });
      }
    }
  }

  // masks (bucket, p, q, place): a bit for each filter of the bucket whose maximum is there.
  void bucket(int64_t n, int64_t p0, int64_t p1, uint32_t* masks) const {
    const int64_t windows = (p1 - p0) * plan.w.pooled;
    const uint8_t* place = call.place + (n * plan.h.pooled + p0) * plan.w.pooled * g.K;
    for (int64_t b = 0; b < plan.buckets; ++b) {
      const int64_t filters = min(BUCKET, g.K - b * BUCKET);
      for (int64_t i = 0; i < windows; ++i) {
        const uint8_t* in = place + i * g.K + b * BUCKET;
        uint8_t whole[BUCKET];
        if (filters < BUCKET) {
          std::memset(whole, DEAD, BUCKET);
          std::memcpy(whole, in, size_t(filters));
          in = whole;
        }
        for (int64_t a = 0; a < plan.places; ++a) *masks++ = equal32(in, uint8_t(a));
      }
    }
  }
};

void backward_input(const BackwardInput& call, void* workspace, const Pool& pool) {
  InputGradientPass(call, workspace, pool).run();
}
