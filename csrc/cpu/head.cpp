// The list of instruction sets that run classifier heads; see isa.h for the first one.

#include "head.h"

#include <cstring>

namespace cnnzoo {
namespace {

const HeadKernels* first = nullptr;  // constant-initialised, so it is ready before the static objects that join

}  // namespace

HeadKernels::HeadKernels(const char* name, size_t (*workspace_bytes)(const Head&, bool, int),
                         void (*forward)(const Head&, void*, const Pool&),
                         void (*backward)(const Head&, void*, const Pool&))
    : name(name), workspace_bytes(workspace_bytes), forward(forward), backward(backward), next(first) {
  first = this;
}

const HeadKernels* head_kernels(const Kernels& kernels) {
  for (const HeadKernels* each = first; each; each = each->next)
    if (std::strcmp(each->name, kernels.float32.isa) == 0) return each;
  return nullptr;
}

}  // namespace cnnzoo
