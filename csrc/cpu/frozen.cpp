// The lists of instruction sets that run frozen layers, one for each type; see isa.h for the other one.

#include "frozen.h"

#include <cstring>

namespace cnnzoo {
namespace {

// Constant-initialised, so it is ready before the static objects that join.
template <class T>
const FrozenKernelsOf<T>* first = nullptr;

}  // namespace

template <class T>
FrozenKernelsOf<T>::FrozenKernelsOf(const char* name, const FrozenLayout& layout,
                                    int64_t (*elements)(const FrozenStage&),
                                    size_t (*workspace_bytes)(const FrozenOf<T>&, int),
                                    void (*run)(const FrozenOf<T>&, void*, const Pool&))
    : name(name), layout(layout), elements(elements), workspace_bytes(workspace_bytes), run(run), next(first<T>) {
  first<T> = this;
}

template <class T>
const FrozenKernelsOf<T>* frozen_kernels(const Kernels& kernels) {
  for (const FrozenKernelsOf<T>* each = first<T>; each; each = each->next)
    if (std::strcmp(each->name, kernels.of<T>().isa) == 0) return each;
  return nullptr;
}

template struct FrozenKernelsOf<float>;
template struct FrozenKernelsOf<bf16>;
template const FrozenKernelsOf<float>* frozen_kernels<float>(const Kernels&);
template const FrozenKernelsOf<bf16>* frozen_kernels<bf16>(const Kernels&);

}  // namespace cnnzoo
