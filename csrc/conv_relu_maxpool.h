// y = max_pool(relu(conv(x, weight) + bias)) and its gradients: the border between whoever owns tensors and threads
// (the torch binding, the tests) and the kernels. Plain structs and pointers; no torch, and no exceptions.
//
//   N images   C channels   H W input size    K filters   R S filter size   P Q pooled size
//
//   x        (N, C, H, W)  float32, any element strides: NCHW, channels_last, sliced, expanded (stride 0)
//   weight   (K, C, R, S)  float32, contiguous;  bias (K) float32 or nullptr
//   y        (N, P, Q, K)  float32, dense: what torch calls a channels_last (N, K, P, Q)
//   place    (N, P, Q, K)  uint8, dense: where in its window the maximum was, row * pool_w + column, counted from the
//                          window's corner even where that lies in the padding; DEAD where y is 0
//   grad_y   (N, K, P, Q)  float32, any element strides; dense NHWC is fastest
//
// Answers are those of torch's max_pool2d(relu(conv2d(x, weight, bias))) with ceil_mode off:
//   - a tie goes to the first maximum in row-major order of the window; NaN beats every number, and the last NaN wins
//   - a position in the pool's padding never wins
//   - y keeps NaN; the gradient flows where !(y <= 0), so through NaN, and not where y is 0. DEAD already says so: the
//     backward passes need neither y nor the convolution's output, only `place`
//   - the gradient goes to the place alone: no 0 * inf from positions that did not win
// The same bits come out run to run and for any number of threads.
//
// With bfloat16 in place of float32 (x, weight, bias, y and the gradients alike) sums are taken in float32. As in torch,
// the convolution is rounded to bfloat16 before its maximum is looked for, so values that round alike are ties; a
// gradient is rounded once, at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace cnnzoo {

constexpr uint8_t DEAD = 255;  // the `place` of an output that passes no gradient

using bf16 = uint16_t;  // the bits of a bfloat16, which are the upper half of a float's

// Sizes. The derived ones are torch's formulas, rounded down; they mean something where covers() returns nullptr.
struct Geometry {
  int64_t N, C, H, W, K, R, S;
  int64_t stride_h, stride_w;
  int64_t padding_h, padding_w;
  int64_t pool_h, pool_w;
  int64_t pool_stride_h, pool_stride_w;
  int64_t pool_padding_h, pool_padding_w;

  int64_t conv_h() const { return (H + 2 * padding_h - R) / stride_h + 1; }
  int64_t conv_w() const { return (W + 2 * padding_w - S) / stride_w + 1; }
  int64_t P() const { return (conv_h() + 2 * pool_padding_h - pool_h) / pool_stride_h + 1; }
  int64_t Q() const { return (conv_w() + 2 * pool_padding_w - pool_w) / pool_stride_w + 1; }
};

// nullptr where the kernels cover this geometry, otherwise the reason as one sentence. The other functions trust it.
const char* covers(const Geometry& geometry);

// A tensor of four dimensions as torch hands it over: strides in elements, in the order N, C (or K), H, W.
template <class T>
struct StridedOf {
  const T* data;
  int64_t stride[4];
};

template <class T>
struct ForwardOf {
  Geometry geometry;
  StridedOf<T> x;    // (N, C, H, W)
  const T* weight;   // (K, C, R, S)
  const T* bias;     // (K) or nullptr
  T* y;              // (N, P, Q, K)
  uint8_t* place;    // (N, P, Q, K), or nullptr for inference
};

template <class T>
struct BackwardInputOf {
  Geometry geometry;
  StridedOf<T> grad_y;   // (N, K, P, Q)
  const T* weight;       // (K, C, R, S)
  const uint8_t* place;  // (N, P, Q, K)
  T* grad_x;             // (N, H, W, C), dense; every element is written
};

template <class T>
struct BackwardWeightOf {
  Geometry geometry;
  StridedOf<T> x;        // (N, C, H, W)
  StridedOf<T> grad_y;   // (N, K, P, Q)
  const uint8_t* place;  // (N, P, Q, K)
  T* grad_weight;        // (K, C, R, S); every element is written
  T* grad_bias;          // (K) or nullptr
};

using Strided = StridedOf<float>;
using Forward = ForwardOf<float>;
using BackwardInput = BackwardInputOf<float>;
using BackwardWeight = BackwardWeightOf<float>;

// The caller's threads. run() calls body(ctx, begin, end) over disjoint ranges that cover [0, tasks), on any threads
// in any order, and returns when all are done; one after the other is legal. Kernels ask for at most `threads` tasks
// at a time, one share of the work each, and reuse the workspace in the next run().
struct Pool {
  int threads;
  void (*run)(void* self, int64_t tasks, void (*body)(void* ctx, int64_t begin, int64_t end), void* ctx);
  void* self;
};

enum class Pass { forward, backward_input, backward_weight };

// The three passes over tensors of one type. Hold on to one table for a whole call: `workspace` is at least
// workspace_bytes(pass, geometry, pool.threads) of the same table, aligned to 64 bytes, and needs no initial value.
template <class T>
struct KernelsOf {
  const char* isa;  // whose instructions do the arithmetic: what measurements are kept by
  size_t (*workspace_bytes)(Pass pass, const Geometry& geometry, int threads);
  void (*forward)(const ForwardOf<T>& call, void* workspace, const Pool& pool);
  void (*backward_input)(const BackwardInputOf<T>& call, void* workspace, const Pool& pool);
  void (*backward_weight)(const BackwardWeightOf<T>& call, void* workspace, const Pool& pool);
};

// The kernels of one instruction set. One that is about bfloat16 alone has the float32 kernels of another.
struct Kernels {
  const char* name;  // "avx2": what CNNZOO_ISA and select() take
  KernelsOf<float> float32;
  KernelsOf<bf16> bfloat16;

  template <class T>
  const KernelsOf<T>& of() const {
    if constexpr (sizeof(T) == sizeof(float))
      return float32;
    else
      return bfloat16;
  }
};

// The instruction sets that are compiled in and that this machine runs, best first. The last one is "scalar".
std::vector<std::string> isas();

// The kernels in use: the best, or the one that the environment variable CNNZOO_ISA (read once) or select() names.
// nullptr where CNNZOO_ISA names one that isas() lacks; *error is then a sentence that lists the legal names.
const Kernels* current(std::string* error = nullptr);

// Uses these kernels from the next current() on, in every thread. Returns an empty string, or why nothing changed.
std::string select(const std::string& name);

}  // namespace cnnzoo
