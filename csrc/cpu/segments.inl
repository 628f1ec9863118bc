// What the two gradients share. For one filter and one block of channels, the taps of a filter row r are `length`
// contiguous floats (s, c) - in the weights packed here as in the dense pixels of a patch under it. So a filter is R
// segments, a segment is `vectors` vectors, and one output of the pool touches a filter's worth of them at its place:
//
//   dW[r][v] += g * x[r][v]        dx[r][v] += g * w[r][v]
//
// A tile is some rows and vectors of that rectangle, held in registers over many outputs.

struct Segments {
  static constexpr int MOST_ROWS = 8;
  static constexpr int MOST_VECTORS = ACCUMULATORS > 12 ? 6 : 12;

  int64_t rows, length, vectors, pitch;  // pitch: floats from one row's segment to the next in packed filters
  int64_t tile_rows, tile_vectors;

  // Tiles of at most `most` vectors, nearly equal: in a small one the FMA units wait for their own results.
  Segments(const Geometry& g, const Channels& channels, int64_t most, int64_t most_in_row)
      : rows(g.R), length(g.S * channels.width), vectors(ceil_div(length, LANES)), pitch(vectors * LANES) {
    tile_vectors = ceil_div(vectors, ceil_div(vectors, most_in_row));
    const int64_t fit = clamp(most / tile_vectors, 1, MOST_ROWS);
    tile_rows = ceil_div(rows, ceil_div(rows, fit));
  }

  // visit(row, rows, vector, vectors) for every tile
  template <class Visit>
  void tiles(const Visit& visit) const {
    for (int64_t v = 0; v < vectors; v += tile_vectors)
      for (int64_t r = 0; r < rows; r += tile_rows)
        visit(r, min(tile_rows, rows - r), v, min(tile_vectors, vectors - v));
  }
};

// Tile<rows, vectors>::run for the sizes that tiles come in.
template <template <int, int> class Tile, int R = Segments::MOST_ROWS, int V = Segments::MOST_VECTORS>
auto find_tile(int64_t rows, int64_t vectors) -> decltype(&Tile<1, 1>::run) {
  if constexpr (R * V <= ACCUMULATORS)
    if (rows == R && vectors == V) return &Tile<R, V>::run;
  if constexpr (V > 1)
    return find_tile<Tile, R, V - 1>(rows, vectors);
  else if constexpr (R > 1)
    return find_tile<Tile, R - 1, Segments::MOST_VECTORS>(rows, vectors);
  else
    return nullptr;
}
