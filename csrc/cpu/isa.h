// How an instruction set joins: isa_<name>.cpp holds one static Isa, and that is all anybody has to edit.
//
// One that only brings bfloat16 kernels names the one whose float32 kernels go with them. It may also call those of
// `base`, once it has been chosen.
#pragma once

#include "../conv_relu_maxpool.h"
#include "frozen.h"
#include "head.h"

namespace cnnzoo {

struct Isa {
  Kernels kernels;
  int rank;             // a higher one is preferred
  bool (*supported)();  // does this machine run it? Asked before any of its code runs
  const char* builds_on;  // whose float32 kernels it has, or nullptr
  const Kernels* base;    // those of builds_on
  Isa* next;              // the list, best first

  Isa(const Kernels& kernels, int rank, bool (*supported)(), const char* builds_on = nullptr);
};

}  // namespace cnnzoo
