"""What lanes of a warp do together: shfl.sync, vote.sync, bar.warp.sync, activemask.

The wave runs these only when every lane that the mask names has come; see `wave.Wave._together`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx.decode import Decoder, Lanes, Run, opcode

if TYPE_CHECKING:
    from ptx.wave import Wave

TOGETHER = ("shfl", "vote", "mma", "ldmatrix")  # and bar.warp
WARP = 32


def mask_operand(opcode_: str) -> int | None:
    """Which operand says the lanes; None: all of them, as for `.aligned` instructions."""
    return {"shfl": 4, "vote": 2, "bar": 0, "barrier": 0}.get(opcode_)


@opcode("shfl")
def _shfl(d: Decoder) -> Run:
    d.need("sync")
    mode = d.need("up", "down", "bfly", "idx")
    kind = d.type("b32")
    d.count(5)
    value, step = d.get(1, kind), d.get(2, "u32")
    clamp = d.get(3, "u32")
    names = d.operands[0].split("|")
    put = d.put(names[0], kind)
    put_there = d.put(names[1], "pred") if len(names) > 1 else None

    def run(wave: Wave, lanes: Lanes) -> None:
        index = wave.numbers(lanes)
        lane = (index % WARP).astype(np.int64) if wave.threads % WARP == 0 else wave.lane[index]
        b = np.broadcast_to(step(wave, lanes), len(index)).astype(np.int64) & 31
        c = np.broadcast_to(clamp(wave, lanes), len(index)).astype(np.int64)
        segment, limit = c >> 8 & 31, c & 31
        last, first = lane & segment | limit & ~segment & 31, lane & segment
        source = {"up": lane - b, "down": lane + b, "bfly": lane ^ b,
                  "idx": first | b & ~segment & 31}[mode]  # fmt: skip
        there = source >= last if mode == "up" else source <= last
        source = np.where(there, source, lane)
        position = np.full(wave.size, -1)
        position[index] = np.arange(len(index))
        start = index - lane
        taken = position[np.minimum(start + source, wave.size - 1)]
        if (taken < 0).any():
            wave.fault("shuffle from a lane that is not in the mask", index, taken < 0)
        values = np.broadcast_to(value(wave, lanes), len(index))
        put(wave, lanes, values[taken])
        if put_there is not None:
            put_there(wave, lanes, there)

    return run


@opcode("vote")
def _vote(d: Decoder) -> Run:
    d.need("sync")
    mode = d.need("all", "any", "uni", "ballot")
    kind = d.type("b32") if mode == "ballot" else d.type("pred")
    d.count(3)
    get, put = d.get(1, "pred"), d.put(0, kind)

    def run(wave: Wave, lanes: Lanes) -> None:
        index = wave.numbers(lanes)
        votes = np.broadcast_to(get(wave, lanes), len(index))
        warp = wave.warp[index]
        if mode == "ballot":
            bits = np.where(votes, np.uint32(1) << wave.lane[index].astype(np.uint32), 0)
            ballot = np.zeros(wave.warp[-1] + 1, np.uint32)
            np.bitwise_or.at(ballot, warp, bits.astype(np.uint32))
            put(wave, lanes, ballot[warp])
            return
        put(wave, lanes, _agree(mode, votes, warp, int(wave.warp[-1]) + 1))

    return run


def _agree(mode: str, votes: NDArray, warp: NDArray, warps: int) -> NDArray:
    yes = np.bincount(warp, votes, warps)[warp]
    everyone = np.bincount(warp, None, warps)[warp]
    return {"all": yes == everyone, "any": yes > 0, "uni": (yes == everyone) | (yes == 0)}[mode]


@opcode("bar", "barrier")
def _bar_warp(d: Decoder) -> Run:
    d.need("warp")
    d.need("sync")
    d.count(1)

    def run(wave: Wave, lanes: Lanes) -> None:
        wave.warp_barriers[lanes] += 1

    return run


@opcode("activemask")
def _activemask(d: Decoder) -> Run:
    raise d.instruction.unknown("what the mask is depends on the hardware's schedule:")
