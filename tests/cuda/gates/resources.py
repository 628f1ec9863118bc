"""Registers, stack and spills of every kernel, as ptxas says; and a kernel's readable name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gates.build import Built

_ENTRY = re.compile(r"Compiling entry function '(\S+)' for 'sm_(\d+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")
_NAME = re.compile(r"_ZN6cnnzoo4cuda(\d+)")
_ARGUMENT = re.compile(r"f|13__nv_bfloat16|6__half|L[ib](\d+)E")
_TYPES = {"f": "float32", "13__nv_bfloat16": "bfloat16", "6__half": "float16"}


@dataclass(frozen=True)
class Resources:
    """What one kernel takes on one architecture; bytes, but for registers (a thread)."""

    kernel: str  # mangled
    architecture: int
    registers: int
    stack: int
    spills: int
    shared: int  # static


def resources(built: Built) -> list[Resources]:
    """Every kernel on every architecture."""
    found = []
    kernel, architecture, stack, spills = "", 0, 0, 0
    for line in built.log.splitlines():
        if match := _ENTRY.search(line):
            kernel, architecture, stack, spills = match[1], int(match[2]), 0, 0
        elif match := _STACK.search(line):
            stack, spills = int(match[1]), int(match[2]) + int(match[3])
        elif match := _USED.search(line):
            registers, shared = int(match[1]), int(match[2] or 0)
            found.append(Resources(kernel, architecture, registers, stack, spills, shared))
    return sorted(found, key=lambda each: (readable(each.kernel), each.architecture))


def readable(mangled: str) -> str:
    """As "forward_mma<float32, 5>"; a name of another form stays as it is."""
    if not (match := _NAME.match(mangled)):
        return mangled
    end = match.end() + int(match[1])
    name, rest = mangled[match.end() : end], mangled[end:]
    if not rest.startswith("I"):
        return name
    arguments, position = [], 1
    while argument := _ARGUMENT.match(rest, position):
        arguments.append(_TYPES.get(argument[0]) or argument[1])
        position = argument.end()
    return f"{name}<{', '.join(arguments)}>"
