// The product that forward and dX share: sums over pixels under a filter, for a grid of positions.
//
//   sum[position][column] = start[column] + sum over terms of A[address(position) + offset(term)] * B[term][column]
//
// A position's values lie in memory as runs of pixels, one run a row of the filter, so that 32 of them are a row of a
// tile and nothing is unrolled beforehand. Rows of the grid may follow each other at a multiple of the step between
// positions: then tiles run on through the ends of rows, and what they compute between two rows is left alone.

// How a grid of positions is cut into tiles.
struct Grid {
  ptrdiff_t row, column;  // steps between positions, in values of A
  int64_t pitch;          // positions from one row to the next in the sums
  int64_t in_row, tiles;  // tiles of a row (or all of them, where they run on), and in all

  Grid(int64_t rows, int64_t columns, ptrdiff_t row, ptrdiff_t column) : row(row), column(column) {
    const int64_t steps = row / column, by_rows = rows * ceil_div(columns, ROWS);
    const int64_t through = ceil_div((rows - 1) * steps + columns, ROWS);
    if (row % column == 0 && through <= by_rows) {
      pitch = steps, in_row = tiles = through;
    } else {
      in_row = ceil_div(columns, ROWS), tiles = by_rows, pitch = in_row * ROWS;
    }
  }
  ptrdiff_t address(int64_t tile) const { return tile / in_row * row + tile % in_row * ROWS * column; }

  // Sums of the largest grid of so many rows and columns, and values of A behind its last position.
  static int64_t positions(int64_t rows, int64_t columns, ptrdiff_t row, ptrdiff_t column) {
    const int64_t through = row % column == 0 ? (rows - 1) * (row / column) + columns : 0;
    return max(rows * round_up(columns, ROWS), round_up(through, ROWS));
  }
  static int64_t behind(ptrdiff_t column) { return (ROWS - 1) * column + DEPTH; }
};

// What a sum runs over: for each plane (of the gradient's upper and lower half) the rows of the filter, and in each a
// run of steps of 32 values. B has one tile, or two side by side, for each row and step; all planes share it.
struct Terms {
  int64_t planes, rows, steps;
  ptrdiff_t plane, row;  // from one to the next, in values of A
};

template <int HALVES, int TILES>
inline void correlate_tiles(const bf16* a, ptrdiff_t second, ptrdiff_t column, const Terms& terms, const bf16* b,
                            const float* start, float* sums) {
  constexpr ptrdiff_t LINE = 64, SUMS = HALVES * ROWS * sizeof(float);
  const ptrdiff_t pitch = column * ptrdiff_t(sizeof(bf16));
  if (start) {
    Tiles::load<0>(start, 0);
    if (HALVES == 2) Tiles::load<1>(start + ROWS, 0);
    if (TILES == 2) Tiles::load<2>(start, 0);
    if (TILES * HALVES == 4) Tiles::load<3>(start + ROWS, 0);
  } else {
    Tiles::zero<0>();
    if (HALVES == 2) Tiles::zero<1>();
    if (TILES == 2) Tiles::zero<2>();
    if (TILES * HALVES == 4) Tiles::zero<3>();
  }
  for (int64_t plane = 0; plane < terms.planes; ++plane) {
    const bf16* weights = b;
    for (int64_t row = 0; row < terms.rows; ++row) {
      const bf16* from = a + plane * terms.plane + row * terms.row;
      for (int64_t step = 0; step < terms.steps; ++step, from += DEPTH, weights += HALVES * TILE) {
        Tiles::load<4>(from, pitch);
        Tiles::load<6>(weights, LINE);
        Tiles::dot<0, 4, 6>();
        if (HALVES == 2) {
          Tiles::load<7>(weights + TILE, LINE);
          Tiles::dot<1, 4, 7>();
        }
        if (TILES == 2) {
          Tiles::load<5>(from + second, pitch);
          Tiles::dot<2, 5, 6>();
        }
        if (TILES * HALVES == 4) Tiles::dot<3, 5, 7>();
      }
    }
  }
  Tiles::store<0>(sums, SUMS);
  if (HALVES == 2) Tiles::store<1>(sums + ROWS, SUMS);
  if (TILES == 2) Tiles::store<2>(sums + ROWS * HALVES * ROWS, SUMS);
  if (TILES * HALVES == 4) Tiles::store<3>(sums + ROWS * HALVES * ROWS + ROWS, SUMS);
}

// sums (positions, HALVES * 16); two tiles of positions share each load of B
template <int HALVES>
void correlate(const bf16* a, const Grid& grid, const Terms& terms, const bf16* b, const float* start, float* sums) {
  constexpr int64_t SUMS = ROWS * HALVES * ROWS;
  int64_t tile = 0;
  for (; tile + 2 <= grid.tiles; tile += 2) {
    const ptrdiff_t at = grid.address(tile);
    correlate_tiles<HALVES, 2>(a + at, grid.address(tile + 1) - at, grid.column, terms, b, start, sums + tile * SUMS);
  }
  if (tile < grid.tiles)
    correlate_tiles<HALVES, 1>(a + grid.address(tile), 0, grid.column, terms, b, start, sums + tile * SUMS);
}
