// How an instruction set joins: isa_<name>.cpp holds one static Isa, and that is all anybody has to edit.
#pragma once

#include "../conv_relu_maxpool.h"
#include "frozen.h"

namespace cnnzoo {

struct Isa {
  Kernels kernels;
  int rank;             // a higher one is preferred
  bool (*supported)();  // does this machine run it? Asked before any of its code runs
  Isa* next;            // the list, best first

  Isa(const Kernels& kernels, int rank, bool (*supported)());
};

}  // namespace cnnzoo
