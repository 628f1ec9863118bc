"""PTX text to kernels: parameters, registers, variables, instructions with their lines.

Scopes (`{ … }`, which inline assembly opens) have registers of their own: a name declared inside
gets a number, so that two scopes never share one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ptx.errors import UnknownPtxError
from ptx.numbers import TYPES, UNSIGNED


@dataclass(frozen=True)
class Instruction:
    """As written: `@guard opcode.modifier… operand, …`."""

    line: int
    text: str
    guard: tuple[str, bool] | None  # register, negated
    opcode: str
    modifiers: tuple[str, ...]
    operands: tuple[str, ...]

    def unknown(self, why: str) -> UnknownPtxError:
        return UnknownPtxError(self.line, self.text, why)


@dataclass(frozen=True)
class Variable:
    """A variable in shared or local memory; `size` 0 is the dynamic shared memory."""

    name: str
    space: str
    align: int
    size: int


@dataclass
class Kernel:
    """An `.entry`."""

    name: str
    params: dict[str, tuple[int, int]] = field(default_factory=dict)  # offset, size
    registers: dict[str, np.dtype] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)  # the instruction that follows
    max_threads: int | None = None

    @property
    def params_size(self) -> int:
        return max((offset + size for offset, size in self.params.values()), default=0)


_ENTRY = re.compile(r"\.entry\s+([\w$]+)\s*(?:\(([^)]*)\))?([^{]*)\{")
_VARIABLE = re.compile(r"\.(\w+)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)(?:\[(\d*)\])?")
_PARAM = re.compile(
    r"\.param\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+"
    r"(?:\.ptr\s+(?:\.\w+\s+)?(?:\.align\s+\d+\s+)?)?([\w$]+)(?:\[(\d+)\])?"
)
_INSTRUCTION = re.compile(r"(?:@(!?)([%\w$]+)\s+)?([\w.:]+)\s*(.*)", re.S)
_WORD = re.compile(r"[%\w$]+")
_MODULE_WORDS = (".version", ".target", ".address_size", ".visible", ".weak", ".file")


def parse(text: str) -> dict[str, Kernel]:
    """Name → kernel, in the order of the text.

    Raises:
        UnknownPtxError: a directive that this does not know.
    """
    text = _without_comments(text)
    kernels: dict[str, Kernel] = {}
    outside, position = "", 0
    while match := _ENTRY.search(text, position):
        outside += text[position : match.start()] + "\n" * text.count("\n", *match.span())
        end = _closing_brace(text, match.end())
        kernel = Kernel(match[1])
        _params(kernel, match[2] or "", text.count("\n", 0, match.start()) + 1)
        _limits(kernel, match[3], text.count("\n", 0, match.start(3)) + 1)
        _body(kernel, text[match.end() : end], text.count("\n", 0, match.end()) + 1)
        kernels[kernel.name] = kernel
        outside += "\n" * text.count("\n", match.end(), end + 1)
        position = end + 1
    shared = _module_variables(outside + text[position:])
    for kernel in kernels.values():
        words = {word for i in kernel.instructions for word in _WORD.findall(i.text)}
        kernel.variables |= {name: v for name, v in shared.items() if name in words}
    return kernels


def split(operands: str) -> tuple[str, ...]:
    """Cut at the commas outside of brackets."""
    parts, depth, current = [], 0, ""
    for letter in operands:
        depth += (letter in "{[(") - (letter in "}])")
        if letter == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    return (*parts, current.strip()) if current.strip() else tuple(parts)


def _without_comments(text: str) -> str:
    """Comments go, lines stay."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    return re.sub(r"//[^\n]*", "", text)


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for match in re.finditer(r"[{}]", text[start:]):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return start + match.start()
    raise UnknownPtxError(text.count("\n", 0, start) + 1, text[start : start + 40], "no `}`")


def _params(kernel: Kernel, text: str, line: int) -> None:
    offset = 0
    for each in split(text):
        match = _PARAM.fullmatch(each)
        if not match or match[2] not in TYPES:
            raise UnknownPtxError(line, each, "unknown parameter")
        item = TYPES[match[2]].itemsize
        align, size = int(match[1] or item), item * int(match[4] or 1)
        offset = -(-offset // align) * align
        kernel.params[match[3]] = (offset, size)
        offset += size


def _limits(kernel: Kernel, text: str, line: int) -> None:
    for name, numbers in re.findall(r"\.(\w+)\s+([\d, ]+)", text):
        if name in ("maxntid", "reqntid"):
            kernel.max_threads = int(np.prod([int(n) for n in numbers.split(",")]))
        elif name != "minnctapersm":
            raise UnknownPtxError(line, text.strip(), f"unknown directive .{name}")


def _module_variables(text: str) -> dict[str, Variable]:
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        statement = line.strip().removesuffix(";").removeprefix(".extern").strip()
        if not statement or statement.startswith(_MODULE_WORDS):
            continue
        variable = _variable(statement)
        if variable is None or variable.space != "shared":
            raise UnknownPtxError(number, line.strip(), "unknown directive")
        found[variable.name] = variable
    return found


def _variable(statement: str) -> Variable | None:
    match = _VARIABLE.fullmatch(statement)
    if not match or match[3] not in TYPES:
        return None
    item = TYPES[match[3]].itemsize
    count = 1 if match[5] is None else int(match[5] or 0)
    return Variable(match[4], match[1], int(match[2] or item), item * count)


def _body(kernel: Kernel, text: str, line: int) -> None:
    scopes: list[dict[str, str]] = [{}]
    numbers = itertools.count(1)
    for at, statement in _statements(text, line):
        if statement == "{":
            scopes.append({})
        elif statement == "}":
            scopes.pop()
        elif statement.endswith(":"):
            kernel.labels[statement[:-1]] = len(kernel.instructions)
        elif statement.startswith(".reg"):
            _registers(kernel, statement, at, scopes, numbers)
        elif statement.startswith(".pragma"):
            continue
        elif statement.startswith("."):
            variable = _variable(statement)
            if variable is None or variable.space not in ("shared", "local"):
                raise UnknownPtxError(at, statement, "unknown directive")
            kernel.variables[variable.name] = variable
        else:
            kernel.instructions.append(_instruction(statement, at, scopes))


def _statements(text: str, line: int) -> Iterator[tuple[int, str]]:
    """Statements with their lines; `{` and `}` where a scope opens or closes."""
    current, start = "", line
    for letter in text:
        if not current.strip():
            start = line
            if letter in "{}":
                yield line, letter
                current = ""
                continue
        line += letter == "\n"
        if letter == ";":
            yield start, " ".join(current.split())
            current = ""
        elif letter == ":" and re.fullmatch(r"\s*[$\w]+", current):
            yield start, current.strip() + ":"
            current = ""
        else:
            current += letter
    if current.strip():
        raise UnknownPtxError(start, current.strip(), "no `;`")


def _registers(
    kernel: Kernel, statement: str, line: int, scopes: list[dict[str, str]],
    numbers: Iterator[int],
) -> None:  # fmt: skip
    match = re.fullmatch(r"\.reg\s+\.(\w+)\s+(.*)", statement)
    if not match or match[1] not in TYPES:
        raise UnknownPtxError(line, statement, "unknown registers")
    kind = TYPES[match[1]]
    bits = kind if kind.kind == "b" else UNSIGNED[kind.itemsize]
    for name in match[2].split(","):
        name, _, count = name.strip().rstrip(">").partition("<")
        for each in [name] if not count else [f"{name}{i}" for i in range(int(count))]:
            unique = each if len(scopes) == 1 else f"{each}$${next(numbers)}"
            if len(scopes) > 1:
                scopes[-1][each] = unique
            kernel.registers[unique] = bits


def _instruction(statement: str, line: int, scopes: list[dict[str, str]]) -> Instruction:
    match = _INSTRUCTION.fullmatch(statement)
    if not match:
        raise UnknownPtxError(line, statement, "no instruction")
    renamed = {old: new for scope in scopes for old, new in scope.items()}

    def rename(text: str) -> str:
        return _WORD.sub(lambda m: renamed.get(m[0], m[0]), text) if renamed else text

    opcode, *modifiers = match[3].replace("::", "--").split(".")
    modifiers = [m.replace("--", "::") for m in modifiers]
    guard = (rename(match[2]), match[1] == "!") if match[2] else None
    operands = split(rename(match[4]))
    return Instruction(line, statement, guard, opcode, tuple(modifiers), operands)
