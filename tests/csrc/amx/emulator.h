// The tile instructions as their documentation has them (Intel SDM, volume 2: LDTILECFG, TILELOADD, TILESTORED,
// TILEZERO, TDPBF16PS, TILERELEASE), with every condition checked that would raise #UD, #GP or read beyond a buffer.
// What breaks one ends the process with a sentence. Each thread has tiles of its own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

void ldtilecfg(const void* bytes);  // 64 of them
void tilerelease();
void tileload(int tile, const void* from, ptrdiff_t pitch);
void tilestore(int tile, void* to, ptrdiff_t pitch);
void tilezero(int tile);
void tdpbf16ps(int c, int a, int b);

// Somebody else's turn on this thread: expects that no configuration of ours was left, and leaves one of theirs.
void take_turns();

// Tiles may be loaded from and stored to these bytes, until forget().
void know(const void* begin, size_t bytes);
void forget();

// A mistake that somebody has to notice can be planted: CNNZOO_EMULATOR_FAULT names it.
//
//   pair_order        one pair of B's rows is taken in the wrong order
//   past_buffer       some loads go far beyond their last row
//   no_configuration  ldtilecfg does nothing
//   no_release        tilerelease does nothing
//   stale_sums        tilezero does nothing

}  // namespace emulator
