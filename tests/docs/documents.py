"""The pages people read, and what is written in them: code blocks and commands."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
RST_BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n\n((?:^(?:[ \t]+[^\n]*)?\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code in a page."""

    page: str
    line: int
    language: str
    text: str

    @property
    def name(self):
        return f"{self.page}:{self.line}"


def pages():
    """README, the guides, the reference and the design, and the tutorials' own texts."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md"]
    found += sorted(path for path in (ROOT / "docs").glob("*.md"))
    for folder in ("reference", "design"):
        found += sorted((ROOT / "docs" / folder).glob("*.*"))
    return found + sorted((ROOT / "docs/tutorials").glob("*.py"))


def blocks(path):
    """Every block of code in a page, with the line it begins at."""
    text = path.read_text(encoding="utf-8")
    pattern = FENCE if path.suffix == ".md" else RST_BLOCK
    if path.suffix == ".py":  # comments of a tutorial are its text
        text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
    name = str(path.relative_to(ROOT))
    return [
        Block(name, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in pattern.finditer(text)
    ]


def command_lines(path):
    """Every command of ours in a page: (line, words after ``cnnzoo`` or ``make``).

    Found in blocks of a shell and between backticks.
    """
    found = []
    for block in blocks(path):
        if block.language in ("", "bash", "sh", "console", "text"):
            joined = re.sub(r"\\\n\s*", " ", block.text)
            for line in joined.splitlines():
                found += _commands(line, block.line)
    text = path.read_text(encoding="utf-8")
    without_blocks = FENCE.sub("", text) if path.suffix == ".md" else text
    ticks = re.findall(r"``([^`\n]+)``", without_blocks) if path.suffix != ".md" else []
    ticks += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", without_blocks) if path.suffix == ".md" else []
    for words in ticks:
        found += _commands(words, 0)
    return found


def _commands(line, number):
    line = re.sub(r"(^|\s)#.*", "", line).strip().removeprefix("$ ")
    match = re.search(r"(?:^|\s|/)(?:-m )?(cnnzoo|make) (\S.*)$", line)
    starts = re.match(r"(\S+=\S+ )*(cnnzoo|make|torchrun|python3?|\.venv/bin/cnnzoo|nice)\b", line)
    return [(number, match[1], match[2])] if match and starts else []
