"""A kernel made ready to run: addresses of its variables, decoded instructions in blocks.

A block is a straight line. It ends after whatever changes where threads are (branch, return) or
makes them wait (a barrier). An instruction that needs other lanes of its warp is alone in its
block, so that lanes can wait in front of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ptx import access, arithmetic, async_copy, bits, compare, convert, matrix, warp
from ptx.decode import Run, decode
from ptx.parser import Instruction, Kernel, Variable

INSTRUCTIONS = (access, arithmetic, async_copy, bits, compare, convert, matrix, warp)  # registers
BRANCHES, EXITS, BARRIERS = ("bra",), ("ret", "exit"), ("bar", "barrier")
SHARED_START = 1024


@dataclass
class Step:
    """An instruction; `run` is None where the wave itself acts (branch, return, barrier)."""

    instruction: Instruction
    run: Run | None
    target: int = -1  # block, of a branch
    name: str = ""


@dataclass
class Block:
    steps: list[Step] = field(default_factory=list)
    together: bool = False  # a warp operation: lanes wait here for each other


class Program:
    """What a wave runs."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._place(list(kernel.variables.values()))
        starts = self._starts(kernel)
        number = {start: index for index, start in enumerate(starts)}
        number[len(kernel.instructions)] = len(starts)  # falling off the end
        self.blocks = []
        ends = [*starts[1:], len(kernel.instructions)]
        for start, end in zip(starts, ends, strict=True):
            lines = kernel.instructions[start:end]
            steps = [self._step(each, number) for each in lines]
            self.blocks.append(Block(steps, _needs_warp(lines[0])))
        self.shared_grain = _grain(kernel, "shared")
        self.global_grain = _grain(kernel, "global")

    def _place(self, variables: list[Variable]) -> None:
        """Lay shared memory out no better aligned than the PTX asks for, dynamic at the end."""
        self.addresses = {name: offset for name, (offset, _) in self.kernel.params.items()}
        self.shared: list[Variable] = [v for v in variables if v.space == "shared"]
        offset, local = SHARED_START, 0
        for each in sorted(self.shared, key=lambda v: v.size == 0):
            offset = -(-offset // (2 * each.align)) * 2 * each.align + each.align
            self.addresses[each.name] = offset
            offset += each.size + 16
        self.shared_end = offset
        for each in variables:
            if each.space == "local":
                local = -(-local // each.align) * each.align
                self.addresses[each.name] = local
                local += each.size
        self.local_size = local

    def _starts(self, kernel: Kernel) -> list[int]:
        starts = {0, *kernel.labels.values()}
        for index, each in enumerate(kernel.instructions):
            if each.opcode in (*BRANCHES, *EXITS) or _is_barrier(each):
                starts.add(index + 1)
            elif _needs_warp(each):
                starts |= {index, index + 1}
        return sorted(start for start in starts if start < len(kernel.instructions))

    def _step(self, instruction: Instruction, number: dict[int, int]) -> Step:
        name = ".".join((instruction.opcode, *instruction.modifiers))
        if instruction.opcode in BRANCHES:
            if instruction.modifiers not in ((), ("uni",)):
                raise instruction.unknown("unknown modifier")
            label = instruction.operands[0]
            if label not in self.kernel.labels:
                raise instruction.unknown(f"unknown label {label}")
            return Step(instruction, None, number[self.kernel.labels[label]], name)
        if instruction.opcode in EXITS:
            if instruction.modifiers:
                raise instruction.unknown("unknown modifier")
            return Step(instruction, None, name=name)
        if _is_barrier(instruction):
            if name not in ("bar.sync", "barrier.sync", "barrier.sync.aligned"):
                raise instruction.unknown("unknown barrier")
            if instruction.operands != ("0",):
                raise instruction.unknown("expected barrier 0 of the whole block")
            return Step(instruction, None, name=name)
        return Step(instruction, decode(instruction, self.kernel, self.addresses), name=name)


def _is_barrier(instruction: Instruction) -> bool:
    return instruction.opcode in BARRIERS and "warp" not in instruction.modifiers


def _needs_warp(instruction: Instruction) -> bool:
    return instruction.opcode in warp.TOGETHER or (
        instruction.opcode in BARRIERS and "warp" in instruction.modifiers
    )


def _grain(kernel: Kernel, space: str) -> int:
    """The smallest access of the kernel to a space, in bytes; generic ones count for each."""
    sizes = [16]
    for each in kernel.instructions:
        if each.opcode in ("ld", "st", "atom", "red", "ldu"):
            spaces = {"global", "shared", "local", "param", "const"} & set(each.modifiers)
            if not spaces or space in spaces:
                sizes.append(access.size_of(each))
        elif each.opcode == "cp" and "async" in each.modifiers:
            sizes.append(async_copy.size_of(each))
    return min(sizes)
