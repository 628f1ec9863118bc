"""mma.sync and ldmatrix: matrix products of a warp, fragments laid out as the PTX manual says.

With g = lane / 4 and t = lane % 4, and registers counted from 0 (manual, "Matrix Fragments for
mma.m16n8k16 with floating point type" and its neighbours):

    A, 16-bit   register r, half h   row g + 8 (r % 2)   column 2t + h + 8 (r / 2)
    B, 16-bit   register r, half h   row 2t + h + 8 r    column g
    A, tf32     register r           row g + 8 (r % 2)   column t + 4 (r / 2)
    B, tf32     register r           row t + 4 r         column g
    C and D     register r           row g + 8 (r / 2)   column 2t + r % 2

The hardware's sum has its own order and internal width, which nobody documents. Here products and
sums are float64 and rounded once: integer-valued data comes out to the bit either way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx.access import _where
from ptx.decode import Decoder, Lanes, Run, opcode
from ptx.numbers import bf16_to_f32, tf32_to_f32

if TYPE_CHECKING:
    from ptx.wave import Wave

WARP = 32
G, T = np.arange(WARP) // 4, np.arange(WARP) % 4
# shape, A and B type: depth, and words of A and B
KINDS = {
    ("m16n8k16", "bf16"): (16, 4, 2),
    ("m16n8k16", "f16"): (16, 4, 2),
    ("m16n8k8", "bf16"): (8, 2, 1),
    ("m16n8k8", "f16"): (8, 2, 1),
    ("m16n8k8", "tf32"): (8, 4, 2),
    ("m16n8k4", "tf32"): (4, 2, 1),
}


@opcode("mma")
def _mma(d: Decoder) -> Run:
    d.need("sync")
    d.need("aligned")
    shape = d.need("m16n8k16", "m16n8k8", "m16n8k4")
    d.need("row")
    d.need("col")
    d.need("f32")
    kind = d.need("bf16", "f16", "tf32")
    d.need(kind)
    d.type("f32")
    if (shape, kind) not in KINDS:
        raise d.instruction.unknown(f"unknown shape of {kind}")
    depth, a_words, b_words = KINDS[shape, kind]
    d.count(4)
    sizes = [len(d.vector(i)) for i in range(4)]
    if sizes != [4, a_words, b_words, 4]:
        raise d.instruction.unknown(f"fragments of {sizes} registers")
    a, b = ([d.get(name, "b32") for name in d.vector(i)] for i in (1, 2))
    c = [d.get(name, "f32") for name in d.vector(3)]
    puts = [d.put(name, "f32") for name in d.vector(0)]

    def run(wave: Wave, lanes: Lanes) -> None:
        left = _left([_words(wave, lanes, get) for get in a], kind, depth)  # (warps, 16, depth)
        right = _right([_words(wave, lanes, get) for get in b], kind, depth)  # (warps, depth, 8)
        total = np.empty((len(left), 16, 8))
        for r, get in enumerate(c):
            total[:, G + 8 * (r // 2), 2 * T + r % 2] = _words(wave, lanes, get)
        with np.errstate(all="ignore"):
            total = (left @ right + total).astype(np.float32)
        for r, put in enumerate(puts):
            put(wave, lanes, total[:, G + 8 * (r // 2), 2 * T + r % 2].reshape(-1))

    return run


def _words(wave: Wave, lanes: Lanes, get) -> NDArray:
    """A register of whole warps: (warps, 32)."""
    values = get(wave, lanes)
    if values.ndim == 0:
        values = np.broadcast_to(values, len(wave.numbers(lanes)))
    return values.reshape(-1, WARP)


def _halves(words: NDArray, kind: str) -> tuple[NDArray, NDArray]:
    low, high = (
        (words & np.uint32(0xFFFF)).astype(np.uint16),
        (words >> np.uint32(16)).astype(np.uint16),
    )
    if kind == "bf16":
        return bf16_to_f32(low), bf16_to_f32(high)
    return low.view(np.float16), high.view(np.float16)


def _left(words: list[NDArray], kind: str, depth: int) -> NDArray:
    matrix = np.empty((len(words[0]), 16, depth))
    for r, word in enumerate(words):
        if kind == "tf32":
            matrix[:, G + 8 * (r % 2), T + 4 * (r // 2)] = tf32_to_f32(word)
            continue
        for h, half in enumerate(_halves(word, kind)):
            matrix[:, G + 8 * (r % 2), 2 * T + h + 8 * (r // 2)] = half
    return matrix


def _right(words: list[NDArray], kind: str, depth: int) -> NDArray:
    matrix = np.empty((len(words[0]), depth, 8))
    for r, word in enumerate(words):
        if kind == "tf32":
            matrix[:, T + 4 * r, G] = tf32_to_f32(word)
            continue
        for h, half in enumerate(_halves(word, kind)):
            matrix[:, 2 * T + h + 8 * r, G] = half
    return matrix


@opcode("ldmatrix")
def _ldmatrix(d: Decoder) -> Run:
    """Rows of 16 bytes, each from the address of one lane, dealt out as fragments of 8x8 halves."""
    d.need("sync")
    d.need("aligned")
    d.need("m8n8")
    count = int(d.need("x1", "x2", "x4")[1:])
    swapped = d.take("trans") is not None
    d.need("shared")
    d.type("b16")
    d.count(2)
    names = d.vector(0)
    if len(names) != count:
        raise d.instruction.unknown(f"{len(names)} registers")
    puts = [d.put(name, "b32") for name in names]
    where = _where(d, 1, "shared")

    def run(wave: Wave, lanes: Lanes) -> None:
        index = wave.numbers(lanes)
        asks = wave.lane[index] < 8 * count
        some = index[asks]
        memory, rows = wave.locate(*where(wave, some), some, 16, "read")
        data = memory.read(wave, some, rows, 16).view(np.uint16).reshape(-1, count, 8, 8)
        if swapped:
            data = data.swapaxes(2, 3)
        for matrix, put in enumerate(puts):
            pairs = np.ascontiguousarray(data[:, matrix]).view(np.uint32)  # (warps, 8, 4)
            put(wave, lanes, pairs[:, G, T].reshape(-1))

    return run
