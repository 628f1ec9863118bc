"""What this site needs beyond Sphinx and its extensions, one idea a file.

    references.py   names in docstrings lead to the page on which they are documented
    links.py        Markdown links to files of the repository
    tables.py       models, layers, data sets, recipes, instruction sets, arrows
    commands.py     the command line, from click
    results.py      what was measured, from benchmarks/results/*.json
    results_*.py    of one kind: bfloat16, latency
    fresh.py        each tutorial starts as if it ran alone
    light_dark.py   each figure of a tutorial twice
    languages.py    the switch, Chinese markup and search
    catalogues.py   what is translated, and what is missing (a command, not an extension)

`conf.py` names `fresh` and `light_dark`; `setup` joins the others on.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from zoodocs import commands, languages, links, references, results, tables


def setup(app: Sphinx) -> dict[str, Any]:
    for part in (references, links, tables, commands, results, languages):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
