// bfloat16 in memory, float32 in registers: widening, rounding to nearest even, and copies that do either.
//
// Vec is a vector of the compiler's own on every target, so integers over its bits need no functions of the target's.
// A NaN survives the rounding: it was made by the machine or came in as bfloat16, and has nothing in its lower half.

typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));

inline float widen(float a) { return a; }
inline float widen(bf16 a) {
  const uint32_t bits = uint32_t(a) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

inline bf16 narrow(float a) {
  uint32_t bits;
  std::memcpy(&bits, &a, sizeof bits);
  return bf16((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline Vec load(const bf16* p) {
  Halves halves;
  std::memcpy(&halves, p, sizeof halves);
  return Vec(__builtin_convertvector(halves, Bits) << 16);
}

inline Vec round_bf16(Vec v) {
  const Bits bits = Bits(v);
  return Vec((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

// The least number that rounds to v, a positive bfloat16.
inline Vec least_rounded_to(Vec v) {
  const Bits bits = Bits(v);
  return Vec(bits - 0x8000 + (bits >> 16 & 1));
}

// Values that are bfloat16 already.
inline void store(bf16* p, Vec v) {
  const Halves halves = __builtin_convertvector(Bits(v) >> 16, Halves);
  std::memcpy(p, &halves, sizeof halves);
}
inline void store(bf16* p, Vec v, int n) {
  const Halves halves = __builtin_convertvector(Bits(v) >> 16, Halves);
  std::memcpy(p, &halves, size_t(n) * sizeof(bf16));
}

inline void copy(float* out, const float* in, int64_t n) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) store(out + i, load(in + i));
  for (; i < n; ++i) out[i] = in[i];
}

inline void copy(float* out, const bf16* in, int64_t n) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) store(out + i, load(in + i));
  for (; i < n; ++i) out[i] = widen(in[i]);
}

inline void copy(bf16* out, const float* in, int64_t n) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) store(out + i, round_bf16(load(in + i)));
  for (; i < n; ++i) out[i] = narrow(in[i]);
}

// Weights and biases as float32: where they lie, or widened into `room`.
inline const float* as_floats(const float* in, float*, int64_t, const Pool&) { return in; }
inline const float* as_floats(const bf16* in, float* room, int64_t n, const Pool& pool) {
  if (!in) return nullptr;
  parallel(pool, ceil_div(n, 1024), 64, [&](int64_t, int64_t begin, int64_t end) {
    copy(room + begin * 1024, in + begin * 1024, min(end * 1024, n) - begin * 1024);
  });
  return room;
}
