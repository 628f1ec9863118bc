"""Tables of what is registered, or lies in a folder: written when the site is built.

``.. zoo-models::``, ``zoo-layers``, ``zoo-data``, ``zoo-recipes``, ``zoo-augmentations``,
``zoo-isas``, ``zoo-arrows`` take no arguments.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from zoodocs import rst

ROOT = Path(__file__).resolve().parents[3]
DTYPES = ("", "_bfloat16")  # endings of the files that hold choices


def models() -> str:
    """Name, aliases, arguments with their defaults, what it is."""
    from cnnzoo.registry import models

    return _registered(models)


def layers() -> str:
    from cnnzoo.registry import layers

    return _registered(layers, arguments=False)


def data() -> str:
    from cnnzoo.registry import datasets

    return _registered(datasets)


def _registered(shelf: Any, *, arguments: bool = True) -> str:
    """One row an entry; what plugins and tutorials add is left out."""
    entries = [shelf.info(name) for name in shelf.names()]
    head = ["name", "what it is", *(["arguments"] if arguments else [])]
    rows = []
    for entry in entries:
        if not entry.origin.startswith("cnnzoo."):
            continue
        names = rst.code(entry.name)
        if entry.aliases:
            names += f" ({rst.codes(entry.aliases)})"
        row = [names, rst.words(entry.summary)]
        if arguments:
            given = [
                key if default is inspect.Parameter.empty else f"{key}={default!r}"
                for key, default in entry.arguments.items()
            ]
            row.append(rst.codes(given) or "none")
        rows.append(row)
    return rst.table(head, rows)


def recipes() -> str:
    """Every setting that a recipe changes."""
    from cnnzoo.train.recipes import list_recipes, recipe_info

    infos = [recipe_info(name) for name in list_recipes()]
    rows = [
        [
            rst.code(info.name),
            rst.plain(info.description),
            rst.codes(f"{key}={value}" for key, value in info.settings.items()),
        ]
        for info in infos
    ]
    return rst.table(["recipe", "what it is for", "settings"], rows)


def augmentations() -> str:
    from cnnzoo.train.augment import augmentation_info, augmentation_names

    rows = []
    for name in augmentation_names():
        info = augmentation_info(name)
        amount = info.parameter
        range_ = f"{amount.least:g} to {amount.most:g}"
        rows.append(
            [rst.code(name), rst.plain(info.summary()), rst.code(f"{amount.default:g}"), range_]
        )
    return rst.table(["name", "what it does", "amount if none is given", "amounts"], rows)


def isas() -> str:
    """Read from the kernels' files: a new instruction set is a new file and a new row."""
    rows = []
    for file in sorted((ROOT / "csrc/cpu").glob("isa_*.cpp"), key=_rank, reverse=True):
        own = _constants(file)
        tables = [ROOT / f"cnnzoo/ops/choices_{own['NAME']}{dtype}.json" for dtype in DTYPES]
        buckets = sum(len(_buckets(json.loads(t.read_text()))) for t in tables if t.exists())
        rows.append(
            [
                rst.code(own["NAME"]),
                own.get("LANES", "–"),
                own.get("ACCUMULATORS", "–"),
                f"{buckets} measured shapes" if buckets else "none: the reference, unless tuned",
                rst.code(str(file.relative_to(ROOT))),
            ]
        )
    head = ["instruction set", "floats at once", "sums in registers", "table of choices", "file"]
    return rst.table(head, rows)


def _constants(file: Path) -> dict[str, str]:
    """What the file says of itself, and what it shares: `isa_NAME.cpp` may include `NAME.inl`."""
    text = file.read_text()
    shared = [file.parent / name for name in re.findall(r'#include "(\w+\.inl)"', text)]
    text = "".join(each.read_text() for each in shared if each.stem in file.stem) + text
    return dict(re.findall(r"constexpr [\w *]+?(\w+) = \"?(\w+)\"?;", text))


def _rank(file: Path) -> int:
    return int(_constants(file)["RANK"])


def _buckets(table: dict[str, Any]) -> dict[str, Any]:
    """The largest dictionary in the file is the table itself."""
    inner = [value for value in table.values() if isinstance(value, dict)]
    return max([table, *inner], key=len)


def arrows() -> str:
    """Who may import whom, as the test holds it."""
    found = _assigned(ROOT / "tests/test_architecture.py", "ARROWS", "EVERYTHING")
    rows = [
        [rst.code(area), rst.codes(sorted(to)) or "nothing of cnnzoo"]
        for area, to in found["ARROWS"].items()
    ]
    rows.append([rst.codes(sorted(found["EVERYTHING"])), "everything"])
    return rst.table(["area", "may import from"], rows)


def _assigned(file: Path, *names: str) -> dict[str, Any]:
    """Return what a file assigns to names, without importing it: a test needs pytest."""
    found = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in names:
            value = compile(ast.Expression(node.value), str(file), "eval")
            found[ast.unparse(node.targets[0])] = eval(value, {"set": set})
    return found


class Generated(SphinxDirective):
    """A directive that writes reST."""

    write: Callable[[], str]
    has_content = False

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(type(self).write(), allow_section_headings=True)


WRITERS = {
    "zoo-models": models,
    "zoo-layers": layers,
    "zoo-data": data,
    "zoo-recipes": recipes,
    "zoo-augmentations": augmentations,
    "zoo-isas": isas,
    "zoo-arrows": arrows,
}


def setup(app: Sphinx) -> None:
    for name, write in WRITERS.items():
        app.add_directive(name, type(write.__name__, (Generated,), {"write": staticmethod(write)}))
