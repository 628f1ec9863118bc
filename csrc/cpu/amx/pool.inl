// From sums of the convolution to y and place: round, then compare, as torch does, so values that round alike are ties.
//
// Positive bfloat16 are in the order of their bits as signed integers, and whatever is not positive is dead: a maximum
// that begins at 0 needs no more. NaN is given the largest number, whatever its sign.

// A window's positions inside the convolution: `rows` by `columns` of them from `first` on.
struct Window {
  const float* first;  // (row, column, WIDTH)
  ptrdiff_t row;       // positions from one row to the next
  int64_t rows, columns;
  int64_t label, label_row;  // place of the first, and from one row to the next
};

// `filters` outputs of one window.
template <int WIDTH>
inline void pool_window(const Window& window, bf16* y, uint8_t* place, int64_t filters) {
  constexpr int16_t NUMBERS = 0x7f80, NOT_A_NUMBER = 0x7fff;
  int16_t best[WIDTH], label[WIDTH];
  for (int k = 0; k < WIDTH; ++k) best[k] = 0, label[k] = DEAD;
  for (int64_t i = 0; i < window.rows; ++i)
    for (int64_t j = 0; j < window.columns; ++j) {
      const float* sums = window.first + (i * window.row + j) * WIDTH;
      const int16_t here = int16_t(window.label + i * window.label_row + j);
      bf16 rounded[WIDTH];
      round<WIDTH>(rounded, sums);
      for (int k = 0; k < WIDTH; ++k) {
        const bool number = int16_t(rounded[k] & 0x7fff) <= NUMBERS;
        const int16_t a = number ? int16_t(rounded[k]) : NOT_A_NUMBER;
        const bool wins = (a > best[k]) | !number;  // the last NaN
        best[k] = wins ? a : best[k];
        label[k] = wins ? here : label[k];
      }
    }
  bf16 value[WIDTH];
  uint8_t where[WIDTH];
  for (int k = 0; k < WIDTH; ++k) value[k] = bf16(best[k]);
  for (int k = 0; k < WIDTH; ++k) where[k] = uint8_t(label[k]);
  const size_t count = size_t(filters);
  if (count == WIDTH) {
    std::memcpy(y, value, sizeof value);
    if (place) std::memcpy(place, where, sizeof where);
  } else {
    std::memcpy(y, value, count * sizeof(bf16));
    if (place) std::memcpy(place, where, count);
  }
}
