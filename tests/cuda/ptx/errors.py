"""The two ways in which a run ends early."""

from __future__ import annotations


class UnknownPtxError(Exception):
    """The interpreter does not know this opcode, modifier or directive: never guess."""

    def __init__(self, line: int, text: str, why: str) -> None:
        super().__init__(f"line {line}: {why} in `{text}`")


class Fault(Exception):  # noqa: N818 (what the field calls it)
    """The kernel did what it must not do."""
