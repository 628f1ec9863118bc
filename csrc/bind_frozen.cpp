// `frozen_run` for torch, through its stable ABI: a run of layers in one call. cnnzoo/ops/_frozen.py holds the schema
// and packs weights and plan; this file checks both against each other and hands pointers to cpu/frozen.h.
//
//   x       (N, C, H, W) or (N, in), float32; bfloat16 where the plan says that weights are pairs of those
//   packed  float32: every stage's weights and biases, or pairs of bfloat16 in the same bits
//   plan    int64: HEADER numbers, then STAGE numbers a stage
//           header  lanes, filters in a block, vectors in a block, terms (cpu/frozen.h), stages
//           stage   kind, offset of weights, of biases, elements of weights, of biases, then
//                   convolution: C H W K R S, stride, padding, pool size, pool stride, pool padding (height, width)
//                   linear: in, out, relu      scale: C H W

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>


#include "cpu/frozen.h"
#include "torch_threads.h"

namespace {

using cnnzoo::FrozenStage;
using cnnzoo::binding::workspace;
using torch::stable::Tensor;
using torch::stable::detail::from;
using torch::stable::detail::to;

constexpr int64_t HEADER = 5, STAGE = 21, MOST_STAGES = 64;

constexpr int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

bool is_dense(const Tensor& tensor, int32_t dtype, int64_t dim) {
  int32_t got_dtype;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(tensor.get(), &got_dtype));
  return got_dtype == dtype && tensor.dim() == dim && tensor.is_contiguous();
}

// A stage as the kernels take it, and whether its weights and biases are as many as its sizes ask for.
template <class T>
FrozenStage read_stage(const int64_t* p, const cnnzoo::FrozenKernelsOf<T>& kernels, const float* packed,
                       int64_t floats) {
  const cnnzoo::FrozenLayout& layout = kernels.layout;
  FrozenStage stage{};
  stage.kind = p[0];
  const int64_t *s = p + 5, weights = p[3], biases = p[4];
  STD_TORCH_CHECK(p[1] >= 0 && p[2] >= 0 && weights >= 0 && biases >= 0 && p[1] <= floats - weights &&
                      p[2] <= floats - biases,
                  "frozen_run: the plan points outside of the packed weights");
  stage.weight = packed + p[1];
  stage.bias = packed + p[2];
  cnnzoo::Geometry& g = stage.geometry;
  int64_t want_weights = -1, want_biases = -1;
  if (stage.kind == FrozenStage::convolution) {
    g = {1, s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11], s[12], s[13], s[14], s[15]};
    const char* reason = cnnzoo::covers(g);
    STD_TORCH_CHECK(!reason, "frozen_run: ", reason ? reason : "");
    want_biases = round_up(g.K, layout.filters_in_block);
    want_weights = want_biases * kernels.elements(stage);
  } else if (stage.kind == FrozenStage::linear) {
    stage.in = s[0], stage.out = s[1], stage.relu = s[2] != 0;
    STD_TORCH_CHECK(stage.in > 0 && stage.out > 0 && stage.in < (1 << 30) && stage.out < (1 << 30),
                    "frozen_run: a linear layer without features");
    want_biases = round_up(stage.out, layout.lanes);
    want_weights = want_biases * kernels.elements(stage);
  } else if (stage.kind == FrozenStage::scale) {
    g.C = s[0], g.H = s[1], g.W = s[2];
    want_weights = want_biases = round_up(g.C, layout.lanes);
  }
  STD_TORCH_CHECK(weights == want_weights && biases == want_biases, "frozen_run: weights of other sizes than the plan");
  return stage;
}

// Whether the stages follow one another: sizes, and convolutions before linear layers.
bool fits(const FrozenStage* stages, int64_t count) {
  if (stages[0].kind == FrozenStage::scale) return false;
  int64_t c = stages[0].geometry.C, h = stages[0].geometry.H, w = stages[0].geometry.W, features = stages[0].in;
  bool flat = stages[0].kind == FrozenStage::linear;
  for (int64_t i = 0; i < count; ++i) {
    const FrozenStage& stage = stages[i];
    const cnnzoo::Geometry& g = stage.geometry;
    if (stage.kind == FrozenStage::linear) {
      if (stage.in != (flat ? features : c * h * w)) return false;
      flat = true, features = stage.out;
      continue;
    }
    if (flat || g.C != c || g.H != h || g.W != w) return false;
    if (stage.kind == FrozenStage::convolution) c = g.K, h = g.P(), w = g.Q();
  }
  return true;
}

// A call whose plan has `count` stages for weights of type T, the type of x.
template <class T>
Tensor run(Tensor x, const Tensor& packed, const int64_t* numbers, int64_t count, int32_t dtype) {
  const cnnzoo::Kernels& chosen = cnnzoo::binding::current_kernels();
  const cnnzoo::FrozenKernelsOf<T>* kernels = cnnzoo::frozen_kernels<T>(chosen);
  STD_TORCH_CHECK(kernels, "frozen_run: ", chosen.name, " has no frozen kernels for x of ",
                  sizeof(T) == sizeof(float) ? "float32" : "bfloat16");
  const cnnzoo::FrozenLayout& layout = kernels->layout;
  STD_TORCH_CHECK(
      numbers[0] == layout.lanes && numbers[1] == layout.filters_in_block && numbers[2] == layout.vectors_in_block,
      "frozen_run: these weights were packed for another instruction set than ", kernels->name);

  FrozenStage stages[MOST_STAGES];
  for (int64_t i = 0; i < count; ++i)
    stages[i] = read_stage(numbers + HEADER + i * STAGE, *kernels, static_cast<const float*>(packed.data_ptr()),
                           packed.numel());
  STD_TORCH_CHECK(fits(stages, count), "frozen_run: the stages of the plan do not follow one another");

  const bool images = stages[0].kind == FrozenStage::convolution;
  const cnnzoo::Geometry& g = stages[0].geometry;
  STD_TORCH_CHECK(x.dim() == (images ? 4 : 2), "frozen_run: expected x of ", images ? 4 : 2, " dimensions");
  STD_TORCH_CHECK(images ? x.size(1) == g.C && x.size(2) == g.H && x.size(3) == g.W : x.size(1) == stages[0].in,
                  "frozen_run: x is of another shape than the plan");
  if (!images && !x.is_contiguous()) x = torch::stable::contiguous(x);

  const int64_t n = x.size(0);
  const FrozenStage& last = stages[count - 1];
  const bool maps = last.kind != FrozenStage::linear;
  const bool conv = last.kind == FrozenStage::convolution;
  const cnnzoo::Geometry& e = last.geometry;
  const int64_t c = !maps ? last.out : conv ? e.K : e.C, h = conv ? e.P() : e.H, w = conv ? e.Q() : e.W;
  const int64_t sizes[4] = {n, c, h, w}, strides[4] = {maps ? c * h * w : c, 1, w * c, c};
  AtenTensorHandle handle;
  STABLE_TORCH_ERROR_CODE_CHECK(
      aoti_torch_empty_strided(maps ? 4 : 2, sizes, strides, dtype, aoti_torch_device_type_cpu(), 0, &handle));
  const Tensor y(handle);

  cnnzoo::FrozenOf<T> call{stages, count, n, {static_cast<const T*>(x.data_ptr()), {x.stride(0), x.stride(1)}},
                           static_cast<T*>(y.data_ptr())};
  if (images) call.x.stride[2] = x.stride(2), call.x.stride[3] = x.stride(3);
  const cnnzoo::Pool pool = cnnzoo::binding::torch_pool();
  kernels->run(call, workspace(kernels->workspace_bytes(call, pool.threads)), pool);
  return y;
}

// x, packed, plan, out → y (N, out) or (N, K, P, Q); out = [out] or [K, P, Q] is there for the fake kernel
void frozen_run(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor x = to<Tensor>(stack[0]), packed = to<Tensor>(stack[1]), plan = to<Tensor>(stack[2]);
  torch_delete_list(to<StableListHandle>(stack[3]));
  STD_TORCH_CHECK(is_dense(packed, aoti_torch_dtype_float32(), 1) && is_dense(plan, aoti_torch_dtype_int64(), 1),
                  "frozen_run: expected packed weights (float32) and a plan (int64), each in one dense row");
  const int64_t* numbers = static_cast<const int64_t*>(plan.data_ptr());
  const int64_t length = plan.numel(), count = length < HEADER ? 0 : numbers[4];
  STD_TORCH_CHECK(count > 0 && count <= MOST_STAGES && length == HEADER + count * STAGE,
                  "frozen_run: expected a plan of 1 to 64 stages");
  const bool pairs = numbers[3] == 2;
  STD_TORCH_CHECK(pairs || numbers[3] == 1, "frozen_run: expected a plan for weights by themselves (1) or in pairs (2)");
  const int32_t dtype = pairs ? aoti_torch_dtype_bfloat16() : aoti_torch_dtype_float32();
  int32_t got;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(x.get(), &got));
  STD_TORCH_CHECK(got == dtype, "frozen_run: expected x of ", pairs ? "bfloat16" : "float32", ", as the weights are");
  stack[0] = from(pairs ? run<cnnzoo::bf16>(x, packed, numbers, count, dtype)
                        : run<float>(x, packed, numbers, count, dtype));
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(cnnzoo, CPU, m) { m.impl("frozen_run", frozen_run); }
