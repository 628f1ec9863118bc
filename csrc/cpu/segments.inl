// What the two gradients share. For one filter and one block of channels, the taps of a filter row r are `length`
// contiguous floats (s, c) - in the weights packed here as in the dense pixels of a patch under it. So a filter is R
// segments, a segment is `vectors` vectors, and one output of the pool touches a filter's worth of them at its place:
//
//   dW[r][v] += g * x[r][v]        dx[r][v] += g * w[r][v]
//
// A tile is some rows and vectors of that rectangle, held in registers over many outputs.

struct Segments {
  int64_t rows, length, vectors, pitch;  // pitch: floats from one row's segment to the next in the packed filters
  int64_t tile_rows, tile_vectors;

  Segments(const Geometry& g, const Channels& channels)
      : rows(g.R), length(g.S * channels.width), vectors(ceil_div(length, LANES)), pitch(vectors * LANES) {
    // Nearly equal tiles: a small one leaves the FMA units waiting for their own results.
    const int64_t parts = ceil_div(vectors, MOST_VECTORS);
    tile_vectors = ceil_div(vectors, parts);
    const int64_t fit = clamp(ACCUMULATORS / tile_vectors, 1, MOST_ROWS);
    tile_rows = ceil_div(rows, ceil_div(rows, fit));
  }

  static constexpr int MOST_ROWS = 8;
  static constexpr int MOST_VECTORS = ACCUMULATORS > 12 ? 6 : 12;

  // visit(row, rows, vector, vectors) for every tile
  template <class Visit>
  void tiles(const Visit& visit) const {
    for (int64_t v = 0; v < vectors; v += tile_vectors)
      for (int64_t r = 0; r < rows; r += tile_rows)
        visit(r, min(tile_rows, rows - r), v, min(tile_vectors, vectors - v));
  }
};

// Kernel<rows, vectors>::run for the sizes of a tile, from a family of templates.
template <template <int, int> class Kernel, int R = Segments::MOST_ROWS, int V = Segments::MOST_VECTORS>
auto find_tile(int64_t rows, int64_t vectors) -> decltype(&Kernel<1, 1>::run) {
  if constexpr (R * V <= ACCUMULATORS)
    if (rows == R && vectors == V) return &Kernel<R, V>::run;
  if constexpr (V > 1)
    return find_tile<Kernel, R, V - 1>(rows, vectors);
  else if constexpr (R > 1)
    return find_tile<Kernel, R - 1, Segments::MOST_VECTORS>(rows, vectors);
  else
    return nullptr;
}
