"""README.zh-CN.md says what README.md says: the same commands, numbers, links, headings and rows.

A translation cannot be compared word by word. What must not differ can: whoever changes a figure, a
command or a section in one file is told to change the other.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
BLOCK = re.compile(r"^```.*?^```$", re.M | re.S)
SAID = re.compile(r"""\s*#.*|^\s*\"\"\".*\"\"\"$""", re.M)  # comments and docstrings


def prose(text: str) -> str:
    return BLOCK.sub("", text)


def blocks(text: str) -> list[str]:
    """Code without what is said about it."""
    return [SAID.sub("", block) for block in BLOCK.findall(text)]


def outline(text: str) -> list[str]:
    """Headings by their depth, table rows by their number of cells, in order."""
    found = re.findall(r"^(#+) |^(\|.*)$", prose(text), re.M)
    return [depth or f"{row.count('|')} bars" for depth, row in found]


def codes(text: str) -> list[str]:
    return sorted(re.findall(r"`[^`\n]+`", prose(text)))


def links(text: str) -> list[str]:
    targets = re.findall(r"\]\(([^)]+)\)", prose(text))
    return sorted(each for each in targets if not each.startswith("README"))


def numbers(text: str) -> Counter[str]:
    """Numbers outside code; those that one language writes as a word are too short to matter."""
    found = re.findall(r"\d[\d.,]*\d", re.sub(r"`[^`]*`", "", prose(text)))
    return Counter(found)


@pytest.mark.parametrize("what", [blocks, outline, codes, links, numbers])
def test_both_readmes_hold_the_same(what) -> None:
    english, chinese = (what(file.read_text(encoding="utf-8")) for file in (ENGLISH, CHINESE))
    assert english, "nothing was found to compare"
    assert chinese == english
