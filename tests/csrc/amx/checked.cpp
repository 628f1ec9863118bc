// A stand-in for isa_amx.cpp: the kernels for AMX on emulated instructions.

#include <cmath>
#include <cstring>

#include "cpu/isa.h"
#include "emulator.h"

namespace cnnzoo {
namespace {

#include "checked_tiles.inl"
#include "cpu/amx/vector.inl"
#include "cpu/amx/kernels.inl"

// A caller asks for this before each pass: the buffers of the last one are gone, and others have used the thread.
size_t forgetful_workspace_bytes(Pass pass, const Geometry& g, int threads) {
  emulator::forget();
  emulator::take_turns();
  return workspace_bytes(pass, g, threads);
}

bool supported() { return true; }

Isa isa({"amx", {}, {"amx", forgetful_workspace_bytes, forward, backward_input, backward_weight}}, 50, supported,
        "scalar");

const KernelsOf<bf16>& widened() { return isa.base->bfloat16; }

}  // namespace
}  // namespace cnnzoo
