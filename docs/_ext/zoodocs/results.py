"""``.. zoo-results::`` writes what was measured: every file of benchmarks/results.

Nothing is typed by hand, so a page cannot keep a figure that a new measurement has replaced. A file
of `benchmarks.compare` becomes tables, verdicts and its picture; one of `benchmarks.bench_train` a
table of seeds and times; one of `benchmarks.bench_latency` a table a case. Each begins with the
machine. A file of another kind shows its machine and can be downloaded.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from zoodocs import results_bfloat16, results_latency, rst
from zoodocs.tables import ROOT, Generated

FOLDER = ROOT / "benchmarks/results"
PICTURES = ROOT / "docs/_build/pictures"


def results() -> str:
    files = sorted(FOLDER.glob("*.json"), key=lambda file: file.stem == "training")
    return "\n".join(part for file in files for part in page_of(file))


def page_of(file: Path) -> Iterator[str]:
    """Yield the section of one file."""
    content = json.loads(file.read_text())
    yield f".. _results-{file.stem}:\n"
    yield rst.heading(file.stem, "-")
    yield _machine(content.get("machine", {}))
    if "cases" in content:
        yield from _compared(file, content)
    elif "latency" in content:
        yield from results_latency.tables(content)
        yield from _targets(content)
    else:
        yield from _trained(content)
    yield f"All figures: :download:`{file.name} <../../benchmarks/results/{file.name}>`.\n"


def _machine(machine: dict[str, Any]) -> str:
    versions = machine.get("versions", {})
    facts = [
        f"{machine.get('cpu', 'A machine')}",
        f"{machine.get('threads', '?')} of {machine.get('cores', '?')} cores",
        str(machine.get("isa", "")),
        *(f"{name} {number}" for name, number in versions.items() if number),
        f"commit {machine['commit']}" if machine.get("commit") else "",
        str(machine.get("date", ""))[:10],
    ]
    text = rst.plain(", ".join(fact for fact in facts if fact)) + ".\n"
    if machine.get("interruptions_a_second", 0) > 20:
        text += "\nThe machine was busy: ratios flatter whoever is short. Look for a quiet run.\n"
    return text


def _compared(file: Path, content: dict[str, Any]) -> Iterator[str]:
    """Layers, networks, bfloat16, memory, targets, and the picture."""
    from benchmarks import bfloat16, blocks, contests, kernels, memory, picture
    from benchmarks.report import written
    from benchmarks.results import Results

    found = Results.load(file)
    PICTURES.mkdir(parents=True, exist_ok=True)
    drawn = PICTURES / f"{file.stem}.png"
    picture.draw(found, drawn)
    rounds = found.settings.get("rounds", "?")
    yield (
        f"Times as long as cnnzoo's operator; {rounds} rounds, median (quartiles). "
        "Above 1 it is faster.\n"
    )
    yield (
        f".. image:: /_build/pictures/{drawn.name}\n"
        f"   :class: zoo-paper\n   :width: 100%\n   :alt: ratios of {file.stem}\n"
    )
    for section in (contests.NETWORKS, contests.LAYERS):
        for subject, others in _groups(found.section(section)):
            rows = [
                [
                    rst.code(case.workload),
                    case.mode,
                    f"{1e6 * case.per_image(subject).median:.1f}",
                    *(whole(written(case.ratio(name, subject))) for name in others),
                ]
                for case in found.section(section)
                if subject in case.turns
            ]
            low = ", bfloat16" if subject.startswith("bf16") else ""
            head = [f"{section}{low}", "mode", "cnnzoo, µs an image", *map(rst.plain, others)]
            yield rst.table(head, rows)
    low, ratio = found.section(bfloat16.SECTION), lambda spread: whole(written(spread))
    yield from results_bfloat16.compared(low, ratio)
    yield from results_bfloat16.kernels(found.section(kernels.BFLOAT16), ratio)
    rows = [
        [rst.code(case.workload), *_bytes(case, (blocks.EAGER, "native"))]
        for case in found.section(memory.SECTION)
    ]
    if rows:
        yield rst.table(["kept for backward, bytes an image", "PyTorch", "cnnzoo"], rows)
    yield from _targets(content)


def _targets(content: dict[str, Any]) -> Iterator[str]:
    words = {True: "met", False: "missed", None: "not measured"}
    rows = [
        [rst.plain(each["what"]), _spread(each["measured"]), words[each["met"]]]
        for each in content.get("targets", [])
    ]
    if rows:
        yield rst.table(["target", "measured", ""], rows)


def _groups(cases: Sequence[Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield ours and the others in float32, then in bfloat16; what ``auto`` takes is ours."""
    names = list(dict.fromkeys(name for case in cases for name in case.turns))
    for subject in ("native", "bf16 auto"):
        low = subject.startswith("bf16")
        others = [n for n in names if n.startswith("bf16") == low and n not in (subject, "auto")]
        if subject in names and others:
            yield subject, others


def whole(text: str) -> str:
    """Return "6.28 (6.03–6.41)" so that a narrow cell breaks it at the space alone."""
    return text.replace("–", "\u2060–\u2060")


def _bytes(case: Any, names: Sequence[str]) -> list[str]:
    return [f"{case.per_image(name).median:,.0f}" if name in case.turns else "–" for name in names]


def _spread(measured: dict[str, float] | None) -> str:
    if measured is None:
        return "–"
    return whole("{median:.2f} ({low:.2f}–{high:.2f})".format(**measured))


def _trained(content: dict[str, Any]) -> Iterator[str]:
    """Seconds and accuracy over the seeds; the tutorial's own loop beside ours."""
    rows = []
    for part in content.values():
        runs = part.get("runs") if isinstance(part, dict) else None
        if runs:
            seconds = [run.get("seconds_with_evaluation", run["seconds"]) for run in runs]
            accuracy = [100 * run["accuracy"] for run in runs]
            rows.append(
                [
                    ", ".join([rst.code(part["recipe"]), *_precision(part)]),
                    f"{rst.code(part['model'])}, {rst.code(part['data'])}",
                    str(len(runs)),
                    _mean(seconds, 1),
                    f"{_mean(accuracy, 2)} %",
                    f"{min(accuracy):.2f} %",
                ]
            )
    if rows:
        head = ["recipe", "model, data", "seeds", "seconds", "test accuracy", "worst seed"]
        yield rst.table(head, rows)
    tutorial = content.get("tutorial")
    if isinstance(tutorial, dict) and "ratios" in tutorial:
        ratios = tutorial["ratios"]
        yield (
            f"The tutorial's own loop takes {statistics.median(ratios):.1f} times "
            f"({min(ratios):.1f}–{max(ratios):.1f}) as long as cnnzoo for the same ten epochs.\n"
        )
    yield from results_bfloat16.trained(content)


def _precision(part: dict[str, Any]) -> list[str]:
    """What is said of a run beside its recipe: how it was computed, if not in float32."""
    return [part["precision"]] if "precision" in part else []


def _mean(values: Sequence[float], digits: int) -> str:
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def setup(app: Sphinx) -> None:
    write = staticmethod(results)
    app.add_directive("zoo-results", type("MeasuredResults", (Generated,), {"write": write}))
