"""Tables and code as reStructuredText, for directives that write what they found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, widths: Sequence[int] | None = None
) -> str:
    """Return a list-table; cells are reST of one line.

    >>> print(table(["name", "what"], [["``x``", "a letter"]]))
    .. list-table::
       :header-rows: 1
       :class: zoo-table
    <BLANKLINE>
       * - name
         - what
       * - ``x``
         - a letter
    <BLANKLINE>
    """
    lines = [".. list-table::", "   :header-rows: 1", "   :class: zoo-table"]
    if widths:
        lines.append(f"   :widths: {' '.join(map(str, widths))}")
    lines.append("")
    for row in (head, *rows):
        for index, cell in enumerate(row):
            lines.append(f"   {'* -' if index == 0 else '  -'} {cell}".rstrip())
    return "\n".join([*lines, ""])


def code(text: str) -> str:
    """Return words as code; an empty text stays empty.

    >>> code("a`b")
    '``a`b``'
    """
    return f"``{text}``" if text.strip() else ""


def codes(texts: Iterable[str]) -> str:
    """Return several, with commas between them."""
    return ", ".join(code(text) for text in texts)


def plain(text: str) -> str:
    r"""Return words in which nothing is markup.

    >>> plain("*args and `x`")
    '\\*args and \\`x\\`'
    """
    return "".join("\\" + letter if letter in "\\*`|_" else letter for letter in text)


def words(text: str) -> str:
    """Return what a command says of itself: options and what stands in backticks become code.

    >>> words("Trains on `folder`, or what --data names.")
    'Trains on ``folder``, or what ``--data`` names.'
    """
    parts = re.split(r"`([^`]+)`|(?<![\w-])(--[a-z][a-z-]*)", text)
    plains, ticks, options = parts[::3], parts[1::3], parts[2::3]
    said = plain(plains[0])
    for tick, option, after in zip(ticks, options, plains[1:], strict=True):
        said += code(tick or option)
        said += ("\\ " if after[:1].isalnum() else "") + plain(after)
    return said


def block(text: str, language: str) -> str:
    """Return a code block."""
    body = "\n".join(f"   {line}".rstrip() for line in text.strip("\n").split("\n"))
    return f".. code-block:: {language}\n\n{body}\n"


def heading(text: str, underline: str) -> str:
    """Return a heading; its line is as long as wide letters need."""
    return f"{text}\n{underline * (2 * len(text))}\n"
