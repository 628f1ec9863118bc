"""A trained model as a file that others run: torch.export, AOTInductor, ONNX.

_export.py      the one function, from the checks of its arguments to the report
_program.py     a model → torch's ExportedProgram; the operators of cnnzoo → ATen
_facts.py       classes, preprocessing and spec, as text that travels in the file
_inputs.py      what the program is traced with, and what it is checked with
_comparing.py   the file, loaded again, beside the model
_formats.py     which format a path means
format_*.py     one format a file: `write` and `load`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnzoo.exporting._report import ExportReport
from cnnzoo.lazy import lazy_names

if TYPE_CHECKING:
    from cnnzoo.exporting._export import export as export

__all__ = ["ExportReport", "export"]

_find = lazy_names(__name__, {"export": "cnnzoo.exporting._export"})  # loads torch


def __getattr__(name: str) -> Any:
    return _find(name)
