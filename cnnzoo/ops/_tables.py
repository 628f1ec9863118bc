"""The tables that `_choice` looks into: bucket of shapes → implementation, as measured.

One JSON file for each instruction set and dtype, shipped or of one's own: `isa`, `dtype`, `choices`
(bucket → "native" or "reference"), and what was measured on which machine.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _native


def tables() -> list[Path]:
    """Every table that is shipped."""
    return sorted(Path(__file__).parent.glob("choices_*.json"))


def table_name(isa: str, dtype: str) -> str:
    """What the table of an instruction set's kernels for a dtype is called.

    >>> table_name("avx512", "float32"), table_name("avx512_bf16", "bfloat16")
    ('avx512', 'avx512_bf16_bfloat16')
    """
    return isa if dtype == "float32" else f"{isa}_{dtype}"


@functools.cache
def table(name: str) -> Mapping[str, str]:
    """The measured choices of a `table_name`; empty where nothing was measured."""
    path = Path(__file__).with_name(f"choices_{name}.json")
    choices: dict[str, str] = read_table(path)["choices"] if path.exists() else {}
    return choices


@functools.cache
def own_table(name: str) -> Mapping[str, str]:
    """The choices of the files that `CNNZOO_CHOICES` names, as far as they are of this name.

    Several files are separated as in PATH: one for each dtype.

    Raises:
        CnnzooError: a file is missing or no table of choices.
    """
    choices: dict[str, str] = {}
    for path in os.environ.get("CNNZOO_CHOICES", "").split(os.pathsep):
        if path.strip():
            found = read_table(path.strip())
            of = table_name(str(found.get("isa")), found.get("dtype", "float32"))
            choices |= found["choices"] if of == name else {}
    return choices


def read_table(path: str | Path) -> dict[str, Any]:
    """Read a table of choices.

    Raises:
        CnnzooError: the file cannot be read, or holds something else.
    """
    try:
        found = json.loads(Path(path).read_text())
        names = set(found["choices"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CnnzooError(
            f"{path} is no table of choices ({error}): make one with `cnnzoo tune`."
        ) from None
    if not names <= {"native", "reference"}:
        raise CnnzooError(
            f"{path}: a choice is native or reference; got {', '.join(map(str, names))}."
        )
    return dict(found)


_native.when_changed(own_table.cache_clear)
