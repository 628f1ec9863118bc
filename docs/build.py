"""Build the site: every language, one after the other, warnings as errors.

    python docs/build.py             all of it: tutorials run, _build/html/en and zh_CN (make docs)
    python docs/build.py --keep      only what changed; a tutorial runs again if its script changed
    python docs/build.py --fast      English, tutorials do not run (make docs-fast)

The languages share what the tutorials made, so they cannot be built at the same time. A full build
starts from empty folders: sphinx-gallery looks at the scripts, not at the package they run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from pathlib import Path

from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).resolve().parent
BUILD = HERE / "_build"
LEARN = HERE / "learn"
LANGUAGES = ("en", "zh_CN")

# Whoever opens the folder itself is led to the language of his browser.
FRONT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>cnnzoo</title>
<meta http-equiv="refresh" content="1; url=en/index.html">
<script>
location.replace((navigator.language.startsWith("zh") ? "zh_CN" : "en") + "/index.html");
</script>
<p><a href="en/index.html" lang="en">English</a>
<a href="zh_CN/index.html" lang="zh-CN">简体中文</a></p>
</html>
"""


def main(arguments: list[str] | None = None) -> int:
    """Build, then look at what came out; the exit code is 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="English only, tutorials do not run")
    parser.add_argument("--keep", action="store_true", help="do not start from empty folders")
    parser.add_argument("--language", choices=LANGUAGES, action="append", help="only this one")
    options = parser.parse_args(arguments)
    os.environ.setdefault("MPLBACKEND", "agg")
    if not (options.fast or options.keep):
        for folder in (BUILD, LEARN):
            shutil.rmtree(folder, ignore_errors=True)
    for language in options.language or (LANGUAGES[:1] if options.fast else LANGUAGES):
        start = time.monotonic()
        if build(language, run=not options.fast) != 0:
            return 1
        print(f"{language}: {time.monotonic() - start:.0f} s", flush=True)
    (BUILD / "html/index.html").write_text(FRONT, encoding="utf-8")
    wrong = [*python_warnings(LEARN), *literal_stars(BUILD / "html/zh_CN")]
    for each in wrong:
        print(each, file=sys.stderr)
    return 1 if wrong else 0


def build(language: str, *, run: bool) -> int:
    """Run Sphinx for one language."""
    return sphinx(
        [
            *("-b", "html", "--fail-on-warning", "--nitpicky", "--quiet"),
            *("-D", f"language={language}", "-D", f"plot_gallery={int(run)}"),
            *("-d", str(BUILD / "doctrees" / language)),
            *(str(HERE), str(BUILD / "html" / language)),
        ]
    )


def python_warnings(pages: Path) -> list[str]:
    """Find warnings that a tutorial printed into its page: they fail no build by themselves."""
    return [
        f"{page.name}: a tutorial warns: {line.strip()}"
        for page in sorted(pages.glob("*.rst"))
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.search(r"^\s+\S+\.py:\d+: \w*Warning:", line)
    ]


def literal_stars(pages: Path) -> list[str]:
    """Find bold that stayed ``**``: beside Chinese letters it is not recognised, silently.

    The stars of Python's ``**keywords`` stand in signatures, and in the lists of arguments.
    """
    code = re.compile(r"<(pre|code|script)\b.*?</\1>|<dt class=\"sig\b.*?</dt>", re.S)
    found = []
    for page in sorted(pages.rglob("*.html")):
        text = code.sub("", page.read_text(encoding="utf-8"))
        if match := re.search(r".{0,20}(?<!<strong>)\*\*.{0,20}", text):
            found.append(f"{page.relative_to(pages)}: bold that is none: {match.group()}")
    return found


if __name__ == "__main__":
    sys.exit(main())
