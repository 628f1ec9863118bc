"""The budget: what a kernel may take, from `budget.toml`, and what it takes too much of."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from gates.resources import Resources, readable

FILE = Path(__file__).with_name("budget.toml")
GRANULE = 8  # registers are given out to threads in eights: the rest of one costs nothing


def load(path: Path = FILE) -> dict[str, dict[str, int]]:
    """Kernel → architecture, as "sm_80", → registers of a thread, at most."""
    return tomllib.loads(path.read_text())["registers"]


def exceeded(found: Iterable[Resources], budget: dict[str, dict[str, int]]) -> list[str]:
    """A sentence for each kernel that takes more, spills, or has no budget."""
    wrong, seen = [], set()
    for each in found:
        name, architecture = readable(each.kernel), f"sm_{each.architecture}"
        seen.add((name, architecture))
        most = budget.get(name, {}).get(architecture)
        where = f"{name} on {architecture}"
        if each.stack or each.spills:
            wrong.append(f"{where}: a stack of {each.stack} bytes, {each.spills} bytes of spills.")
        if most is None:
            wrong.append(f"{where}: not in {FILE.name}; it takes {each.registers} registers.")
        elif each.registers > most:
            wrong.append(f"{where}: {each.registers} registers, its budget is {most}.")
    for name, limits in budget.items():
        for architecture in limits:
            if (name, architecture) not in seen:
                wrong.append(f"{name} on {architecture}: in {FILE.name}, but never compiled.")
    return wrong


def written(found: Iterable[Resources]) -> str:
    """The budget that these kernels just keep, as TOML."""
    rows: dict[str, list[str]] = {}
    for each in found:
        most = -(-each.registers // GRANULE) * GRANULE
        rows.setdefault(readable(each.kernel), []).append(f"sm_{each.architecture} = {most}")
    width = max(len(name) for name in rows) + 2
    lines = []
    for name, limits in rows.items():
        quoted = f'"{name}"'.ljust(width)
        lines.append(f"{quoted} = {{ {', '.join(limits)} }}\n")
    return "".join(lines)
