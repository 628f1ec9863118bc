"""What is translated, and what is missing: a command, not an extension.

    python docs/_ext/zoodocs/catalogues.py update     new and changed sentences into locale/
    python docs/_ext/zoodocs/catalogues.py check      a table; exit code 1 where more is missing
    python docs/_ext/zoodocs/catalogues.py allow      what is missing now becomes the allowance

The pages to translate are those of `PAGES`. A sentence is missing if its catalogue lacks it, leaves
it empty, or marks it fuzzy: the English has changed since. ``locale/allowance.json`` says how much
may be missing on a page. `check` compares with the sources, not with the catalogues alone, so that
a new sentence counts from the day it is written.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

DOCS = Path(__file__).resolve().parents[2]
LOCALE = DOCS / "locale"
ALLOWANCE = LOCALE / "allowance.json"
LANGUAGE = "zh_CN"
PAGES = ("index", "learn/*")  # the others are shown in English
# The name of a figure, as sphinx-gallery writes it: a message of pages that were executed only.
FIGURE = re.compile(r"\d\d [a-z ]+, \d+$")


@dataclass(frozen=True)
class Count:
    """What a page lacks.

    Attributes:
        sentences: on the page, as it is now.
        missing: not translated.
        fuzzy: translated from other words than those that stand there now.
    """

    sentences: int
    missing: int
    fuzzy: int

    @property
    def lacking(self) -> int:
        return self.missing + self.fuzzy


def extract(folder: Path) -> None:
    """Write a template for every page into ``folder``; tutorials do not run."""
    with tempfile.TemporaryDirectory() as doctrees:
        subprocess.run(
            [
                *(sys.executable, "-m", "sphinx", "-b", "gettext", "--quiet"),
                *("-D", "plot_gallery=0", "-d", doctrees, str(DOCS), str(folder)),
            ],
            check=True,
        )


def pages(templates: Path) -> list[str]:
    """Return the names of the pages to translate, in order."""
    names = [
        file.relative_to(templates).with_suffix("").as_posix() for file in templates.rglob("*.pot")
    ]
    return sorted(name for name in names if any(fnmatch(name, pattern) for pattern in PAGES))


def read(file: Path) -> Catalog:
    if not file.exists():
        return Catalog(locale=LANGUAGE)
    with file.open("rb") as stream:
        return read_po(stream, locale=LANGUAGE)


def sentences(catalogue: Catalog) -> list[tuple[str, str, bool]]:
    """What a catalogue says, without its header."""
    return [(str(m.id), str(m.string), m.fuzzy) for m in catalogue if m.id]


def count(template: Catalog, translated: Catalog) -> Count:
    """Compare the sentences of a page with their translations."""
    found = [translated.get(m.id) for m in template if m.id and not is_figure(m)]
    missing = sum(message is None or not message.string for message in found)
    fuzzy = sum(message is not None and bool(message.string) and message.fuzzy for message in found)
    return Count(len(found), missing, fuzzy)


def is_figure(message: Message) -> bool:
    """Whether a message is there only while its page has been executed."""
    return isinstance(message.id, str) and bool(FIGURE.match(message.id))


def catalogue_of(page: str) -> Path:
    return LOCALE / LANGUAGE / "LC_MESSAGES" / f"{page}.po"


def count_all(templates: Path) -> dict[str, Count]:
    return {
        page: count(read(templates / f"{page}.pot"), read(catalogue_of(page)))
        for page in pages(templates)
    }


def update(templates: Path) -> None:
    """Bring the sentences of each page into its catalogue; what was translated stays."""
    for page in pages(templates):
        template, file = read(templates / f"{page}.pot"), catalogue_of(page)
        translated = read(file)
        before = sentences(translated)
        translated.update(template, update_header_comment=False)
        for message in filter(is_figure, translated.obsolete.values()):
            translated[message.id] = message
        translated.obsolete.clear()
        if sentences(translated) == before:
            continue  # nothing new: no new date in the header either
        translated.project, translated.version, translated.fuzzy = "cnnzoo", "", False
        translated.header_comment = f"# {page}. Made by catalogues.py; write into msgstr only."
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as stream:
            write_po(stream, translated, width=100, ignore_obsolete=True)
    for file in (LOCALE / LANGUAGE).rglob("*.po"):
        page = file.relative_to(LOCALE / LANGUAGE / "LC_MESSAGES").with_suffix("").as_posix()
        if page != "sphinx" and page not in pages(templates):
            file.unlink()  # the page is gone


def table(counts: dict[str, Count], allowed: dict[str, int]) -> str:
    lines = [f"{'page':36} {'sentences':>9} {'missing':>8} {'fuzzy':>6} {'allowed':>8}"]
    for page, each in counts.items():
        more = "  <- more than allowed" if each.lacking > allowed.get(page, 0) else ""
        lines.append(
            f"{page:36} {each.sentences:9} {each.missing:8} {each.fuzzy:6} "
            f"{allowed.get(page, 0):8}{more}"
        )
    total = [
        sum(getattr(c, key) for c in counts.values()) for key in ("sentences", "missing", "fuzzy")
    ]
    lines.append(f"{'all':36} {total[0]:9} {total[1]:8} {total[2]:6} {sum(allowed.values()):8}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("update", "check", "allow"))
    action = parser.parse_args(arguments).action
    templates = Path(tempfile.mkdtemp())
    try:
        extract(templates)
        if action == "update":
            update(templates)
        counts = count_all(templates)
    finally:
        shutil.rmtree(templates)
    if action == "allow":
        left = {page: each.lacking for page, each in counts.items() if each.lacking}
        ALLOWANCE.write_text(json.dumps(left, indent=1) + "\n")
    allowed = json.loads(ALLOWANCE.read_text()) if ALLOWANCE.exists() else {}
    print(table(counts, allowed))
    too_many = any(each.lacking > allowed.get(page, 0) for page, each in counts.items())
    return 1 if too_many and action == "check" else 0


if __name__ == "__main__":
    sys.exit(main())
