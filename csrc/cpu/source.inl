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

inline const float* image(const Strided& x, int64_t n) { return x.data + n * x.stride[0]; }

// `count` pixels of `channels` channels in, `width` out: what the channels lack is 0.
inline void copy_pixels(float* out, const float* in, int64_t count, int64_t channels, int64_t width,
                        ptrdiff_t channel, ptrdiff_t column) {
  if (channels == width && (width == 1 ? column == 1 : channel == 1 && column == width))
    return copy(out, in, count * width);
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
      for (int64_t c = 0; c < channels; ++c) out[i * width + c] = in[i * column + c * channel];
}

// out (rows, columns, width) = the patch of image n, channel block b.
void copy_patch(float* out, const Strided& x, const Geometry& g, int64_t n, const Channels& channels, int64_t b,
                const Patch& patch) {
  const int64_t width = channels.width;
  const int64_t left = clamp(g.padding_w - patch.column, 0, patch.columns);
  const int64_t right = clamp(g.padding_w + g.W - patch.column, left, patch.columns);
  const float* in = image(x, n) + b * width * x.stride[1] + (patch.column + left - g.padding_w) * x.stride[3];
  for (int64_t i = 0; i < patch.rows; ++i, out += patch.columns * width) {
    const int64_t h = patch.row + i - g.padding_h;
    const bool inside = h >= 0 && h < g.H && left < right;
    const int64_t begin = inside ? left : patch.columns, end = inside ? right : patch.columns;
    std::memset(out, 0, size_t(begin * width) * sizeof(float));
    if (begin < end)
      copy_pixels(out + begin * width, in + h * x.stride[2], end - begin, min(width, g.C - b * width), width,
                  x.stride[1], x.stride[3]);
    std::memset(out + end * width, 0, size_t((patch.columns - end) * width) * sizeof(float));
  }
}
