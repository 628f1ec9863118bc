// The list of instruction sets that run frozen layers; see isa.h for the other one.

#include "frozen.h"

#include <cstring>

namespace cnnzoo {
namespace {

const FrozenKernels* first = nullptr;  // constant-initialised, so it is ready before the static objects that join

}  // namespace

FrozenKernels::FrozenKernels(const char* name, FrozenLayout layout, size_t (*workspace_bytes)(const Frozen&, int),
                             void (*run)(const Frozen&, void*, const Pool&))
    : name(name), layout(layout), workspace_bytes(workspace_bytes), run(run), next(first) {
  first = this;
}

const FrozenKernels* frozen_kernels(const Kernels& kernels) {
  for (const FrozenKernels* each = first; each; each = each->next)
    if (std::strcmp(each->name, kernels.float32.isa) == 0) return each;
  return nullptr;
}

}  // namespace cnnzoo
