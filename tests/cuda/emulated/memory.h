// Device memory for the tests: exact in size, full of NaN until something is written.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

inline float value_of(float a) { return a; }
inline float value_of(__nv_bfloat16 a) { return __bfloat162float(a); }
inline float value_of(__half a) { return __half2float(a); }
inline void put(float& to, float a) { to = a; }
inline void put(__nv_bfloat16& to, float a) { to = __float2bfloat16_rn(a); }
inline void put(__half& to, float a) { to = __float2half_rn(a); }

// As it is after a stay in memory as T.
template <class T>
float stored(float a) {
  T t;
  put(t, a);
  return value_of(t);
}

template <class T>
struct Buffer {
  T* data = nullptr;
  size_t size;

  explicit Buffer(size_t size) : size(size) { cudaMalloc(&data, size * sizeof(T)); }
  explicit Buffer(const std::vector<float>& values) : Buffer(values.size()) {
    for (size_t i = 0; i < size; ++i) put(data[i], values[i]);
  }
  Buffer(const Buffer&) = delete;
  ~Buffer() { cudaFree(data); }

  std::vector<float> read() const {
    std::vector<float> out;
    for (size_t i = 0; i < size; ++i) out.push_back(value_of(data[i]));
    return out;
  }
};
