"""Links in Markdown to files of the repository, which are not part of the site.

On a page of the repository ``[the map](../csrc/README.md)`` leads to the file. In the site it leads
to the page that shows the file, if there is one in `PAGES`; otherwise the file's name is written
out. A link to a file that does not exist stays as it is, and Sphinx complains.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

from zoodocs.tables import ROOT

# File of the repository → page of the site.
PAGES = {
    "CHANGELOG.md": "/reference/changelog.md",
    "README.md": "/index.md",
    "benchmarks/README.md": "/reference/benchmarks.md",
    "csrc/README.md": "/design/kernels.md",
    "docs/example_plugin/README.md": "/reference/example_plugin.md",
}
LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\((?!https?:|#|/)([^)\s#]+)(#[^)\s]*)?\)")


def rewrite(text: str, folder: Path) -> str:
    """Return Markdown of a file in ``folder`` with links that work in the site."""

    def one(match: re.Match[str]) -> str:
        words, target = match[1], (folder / match[2]).resolve()
        name = str(target.relative_to(ROOT)) if target.is_relative_to(ROOT) else ""
        if name in PAGES:
            return f"[{words}]({PAGES[name]})"
        if not name or not target.exists() or name.startswith("docs/"):
            return match[0]
        return words if "`" in words else f"{words} (`{name}`)"

    return LINK.sub(one, text)


def read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".md":
        source[0] = rewrite(source[0], path.parent)


def read_included(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    if path.suffix == ".md":
        content[0] = rewrite(content[0], Path(app.srcdir, path).parent)


def setup(app: Sphinx) -> None:
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
