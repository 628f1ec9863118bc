// pool_numbers() in bfloat16 where the instruction set rounds two vectors into one register. Positive bfloat16 compare
// like integers, and the others are below 0 either way.

template <int M>
inline void pool_numbers(const Vec (&four)[4][M], bf16* y, uint8_t* place, int64_t filters) {
  static_assert(M <= 2);
  const __mmask32 all = filters >= M * LANES ? uint32_t((uint64_t(1) << M * LANES) - 1) : (uint32_t(1) << filters) - 1;
  __m512i best = _mm512_setzero_si512();
  __m256i where = _mm256_set1_epi8(char(DEAD));
  UNROLL for (int i = 0; i < 4; ++i) {
    const __m512i v = M == 2 ? __m512i(_mm512_cvtne2ps_pbh(four[i][M - 1], four[i][0]))
                             : _mm512_castsi256_si512(__m256i(_mm512_cvtneps_pbh(four[i][0])));
    where = _mm256_mask_mov_epi8(where, _mm512_cmpgt_epi16_mask(v, best), _mm256_set1_epi8(char(i)));
    best = _mm512_max_epi16(best, v);
  }
  _mm512_mask_storeu_epi16(y, all, best);
  if (place) _mm256_mask_storeu_epi8(place, all, where);
}
