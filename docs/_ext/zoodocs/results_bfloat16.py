"""What was measured of bfloat16: everyone's times, what it does to training, the same labels."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from zoodocs import rst


def compared(cases: Sequence[Any], written: Any) -> Iterator[str]:
    """Yield a table of the section "bf16", a row for everyone, the fastest of a workload first.

    Args:
        cases: of `benchmarks.results.Results`.
        written: what makes a cell of a `Spread`.
    """
    from benchmarks import bfloat16

    rows = []
    for case in cases:
        title = f"{rst.code(case.workload)}, {case.mode}"
        for name in sorted(case.turns, key=lambda name: case.per_image(name).median):
            figure = f"{1e6 * case.per_image(name).median:.2f}"
            ratio = written(case.ratio(name, bfloat16.OURS))
            rows.append([title, rst.plain(bfloat16.shown(name)), figure, ratio])
            title = ""
    if rows:
        yield rst.table(["bfloat16", "who", "µs an image", f"times {bfloat16.OURS}"], rows)


def kernels(cases: Sequence[Any], written: Any) -> Iterator[str]:
    """Yield a table of the section "bf16 kernels": one thread beside the peak."""
    rows = [
        [rst.code(case.workload), case.mode, isa, f"{1e6 * case.per_image(isa).median:.2f}",
         written(case.ratio(f"peak {isa}", isa))]
        for case in cases
        for isa in case.turns
        if not isa.startswith("peak ")
    ]  # fmt: skip
    if rows:
        head = ["bfloat16, one thread", "kernel", "set", "µs an image", "time at peak / ours"]
        yield rst.table(head, rows)


def trained(content: dict[str, Any]) -> Iterator[str]:
    """Yield what `benchmarks.bench_train --only bf16 fast-bf16 labels` found."""
    part = content.get("bf16")
    if isinstance(part, dict) and "precisions" in part:
        rows = []
        for precision, runs in part["precisions"].items():
            accuracy = [100 * run["accuracy"] for run in runs]
            seconds = statistics.mean(run["seconds"] for run in runs)
            rows.append([
                precision, f"{rst.code(part['recipe'])}, {part['epochs']} epochs", str(len(runs)),
                f"{seconds:.1f}", f"{statistics.mean(accuracy):.3f} %", f"{min(accuracy):.2f} %",
            ])  # fmt: skip
        head = ["precision", "recipe", "seeds", "seconds", "test accuracy", "worst seed"]
        yield rst.table(head, rows)
        yield (
            f"The same seeds end {part['difference']:+.3f} points of 100 apart on average "
            f"(standard error {part['standard_error']:.3f}; target: {part['target']:g}).\n"
        )
    part = content.get("fast-bf16")
    if isinstance(part, dict) and "reached" in part:
        seconds = statistics.mean(run["seconds"] for run in part["runs"])
        yield (
            f"With the recipe {rst.code(part['recipe'])} in bfloat16, {part['reached']} of "
            f"{len(part['runs'])} seeds reach 99 % on the test images, after {seconds:.2f} s of "
            f"training on average (target: {part['target']:g} s).\n"
        )
    part = content.get("labels")
    if isinstance(part, dict) and "rows" in part:
        yield from _labels(part)


def _labels(part: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{rst.code(part['model'])} with its bundled weights on {part['images']:,} test images, "
        "beside plain PyTorch layers in the same dtype, and in float32:\n"
    )
    rows = []
    for row in part["rows"]:
        who = [row["dtype"], rst.code(row["what"])]
        if "missing" in row:
            rows.append([*who, rst.plain(row["missing"]), "", "", "", ""])
            continue
        rows.append([
            *who, f"{100 * row['accuracy']:.2f} %", str(row["other_labels"]),
            f"{row['largest_difference']:.1e}", str(row["other_labels_than_float32"]),
            f"{row['largest_difference_to_float32']:.1e}",
        ])  # fmt: skip
    head = ["dtype", "form", "accuracy", "other labels", "logits differ by at most",
            "other labels than float32", "logits by"]  # fmt: skip
    yield rst.table(head, rows)
