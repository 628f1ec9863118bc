// The input as the passes read it: padded with zeros, in blocks of at most 32 channels, each block dense NHWC. Narrow
// pixels keep the columns of a tile off the same few sets of the cache, and one block's rows fit into L1.
//
//   coordinates are those of the padded image: row 0 is the first row of padding

struct Channels {
  int64_t width, blocks;  // blocks * width >= C, evenly filled

  explicit Channels(int64_t c) : width(c), blocks(1) {
    if (c <= 32) return;
    width = round_up(ceil_div(c, ceil_div(c, 32)), 4);
    blocks = ceil_div(c, width);
  }

  // For vectors over s pixels in a row: pixels of whole quads split fewer cache lines, unless that takes more vectors.
  Channels(int64_t c, int64_t s) : Channels(c) {
    const int64_t quads = round_up(width, 4);
    if (ceil_div(s * quads, LANES) == ceil_div(s * width, LANES)) width = quads;
  }

  static Channels planes(int64_t c) {
    Channels channels(1);
    channels.blocks = c;
    return channels;
  }
};

struct Patch {
  int64_t row, rows, column, columns;
};

template <class T>
inline const T* image(const StridedOf<T>& x, int64_t n) {
  return x.data + n * x.stride[0];
}

// A tensor of either type, as a pass holds it: float32 is read where it lies, bfloat16 through copies that widen it.
struct Source {
  const void* data;
  bool narrow;
  int64_t stride[4];

  template <class T>
  explicit Source(const StridedOf<T>& x)
      : data(x.data), narrow(sizeof(T) < sizeof(float)), stride{x.stride[0], x.stride[1], x.stride[2], x.stride[3]} {}

  template <class T>
  StridedOf<T> as() const {
    return {static_cast<const T*>(data), {stride[0], stride[1], stride[2], stride[3]}};
  }
};

// `count` pixels of `channels` channels in, `width` out: what the channels lack is 0.
template <class T>
inline void copy_pixels(float* out, const T* in, int64_t count, int64_t channels, int64_t width, ptrdiff_t channel,
                        ptrdiff_t column) {
  if (channels == width && (width == 1 ? column == 1 : channel == 1 && column == width))
    return copy(out, in, count * width);
  if (sizeof(T) < sizeof(float) && column == 1 && channels <= 4) {  // planes: widened in whole vectors first
    constexpr int64_t RUN = 64;
    float planes[4 * RUN];
    for (int64_t i = 0; i < count; i += RUN) {
      const int64_t pixels = min(RUN, count - i);
      for (int64_t c = 0; c < channels; ++c) copy(planes + c * RUN, in + c * channel + i, pixels);
      copy_pixels<float>(out + i * width, planes, pixels, channels, width, RUN, 1);
    }
    return;
  }
  if (channels == 3 && width == 4 && column == 1) {  // images as they are stored
    int64_t i = 0;
    for (; i + 4 <= count; i += 4, in += 4, out += 16)
      turn(out, 4, load_quad(in), load_quad(in + channel), load_quad(in + 2 * channel), Quad{0, 0, 0, 0});
    count -= i;
  }
  if (channels < width) std::memset(out, 0, size_t(count * width) * sizeof(float));
  if (channel == 1)
    for (int64_t i = 0; i < count; ++i) copy(out + i * width, in + i * column, channels);
  else if (column == 1)
    transpose(out, width, in, channel, channels, count);
  else
    for (int64_t i = 0; i < count; ++i)
      for (int64_t c = 0; c < channels; ++c) out[i * width + c] = widen(in[i * column + c * channel]);
}

// A patch whose pixels take `width` elements of Out: zeros where it is padding, copy_run(out, in, pixels) elsewhere.
template <class Out, class T, class CopyRun>
inline void copy_padded(Out* out, const T* in, const int64_t (&stride)[4], const Geometry& g, int64_t width,
                        const Patch& patch, const CopyRun& copy_run) {
  const int64_t left = clamp(g.padding_w - patch.column, 0, patch.columns);
  const int64_t right = clamp(g.padding_w + g.W - patch.column, left, patch.columns);
  in += (patch.column + left - g.padding_w) * stride[3];
  for (int64_t i = 0; i < patch.rows; ++i, out += patch.columns * width) {
    const int64_t h = patch.row + i - g.padding_h;
    const bool inside = h >= 0 && h < g.H && left < right;
    const int64_t begin = inside ? left : patch.columns, end = inside ? right : patch.columns;
    std::memset(out, 0, size_t(begin * width) * sizeof(Out));
    if (begin < end) copy_run(out + begin * width, in + h * stride[2], end - begin);
    std::memset(out + end * width, 0, size_t((patch.columns - end) * width) * sizeof(Out));
  }
}

// out (rows, columns, width) = the patch of image n, channel block b.
template <class T>
void copy_patch(float* out, const StridedOf<T>& x, const Geometry& g, int64_t n, const Channels& channels, int64_t b,
                const Patch& patch) {
  const int64_t width = channels.width, present = min(width, g.C - b * width);
  const ptrdiff_t channel = x.stride[1], column = x.stride[3];
  copy_padded(out, image(x, n) + b * width * channel, x.stride, g, width, patch,
              [=](float* to, const T* from, int64_t count) {
                copy_pixels(to, from, count, present, width, channel, column);
              });
}

inline void copy_patch(float* out, const Source& x, const Geometry& g, int64_t n, const Channels& channels, int64_t b,
                       const Patch& patch) {
  x.narrow ? copy_patch(out, x.as<bf16>(), g, n, channels, b, patch)
           : copy_patch(out, x.as<float>(), g, n, channels, b, patch);
}
