"""The section of bfloat16 as a picture: how many times longer than ours the others take.

Used for runs that have nothing else. Rows are workloads, the axis is logarithmic, whiskers are
quartiles; right of 1 ours is faster. What computes in float32 is hollow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks import bfloat16, kernels, networks, picture
from benchmarks.results import Case, Results
from cnnzoo.files import atomic_write

# The colours and markers of the picture in float32, and those of what is here only.
STYLE = {
    **picture.STYLE,
    "native": ("#8C564B", "*"),
    "frozen": ("#F0A000", "h"),
    "weights native": ("#9467BD", "<"),
    "weights auto": ("#C49C94", "p"),
    "weights channels_last": ("#56B4E9", ">"),
}


def draw(results: Results, path: Path) -> None:
    """Write the picture as PNG."""
    cases = results.section(bfloat16.SECTION)
    asked = [case for case in cases if case.mode == networks.INFERENCE]
    trained = [case for case in cases if case.mode != networks.INFERENCE]
    figure = Figure(figsize=(16, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    used: dict[str, Any] = {}
    for axis, title, part in zip(axes, ("training", "inference"), (trained, asked), strict=False):
        axis.set_title(title)
        _ratios(axis, part, used)
    picture._peak(axes[2], results.section(kernels.BFLOAT16), "peak of its set")
    figure.legend(used.values(), used, loc="outside lower center", ncols=6)
    machine = results.machine
    figure.suptitle(
        f"{machine['cpu']}, threads: {machine['threads']}, {machine['isa']}, "
        f"torch {machine['versions']['torch']}, bfloat16, {results.settings['rounds']} rounds"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _ratios(axis: Any, cases: list[Case], used: dict[str, Any]) -> None:
    cases = [case for case in cases if bfloat16.OURS in case.turns]
    if not cases:
        picture._say(axis, "not measured")
        return
    names = list(dict.fromkeys(n for case in cases for n in case.turns if n != bfloat16.OURS))
    for row, case in enumerate(cases):
        for index, name in enumerate(names):
            spread = case.ratio(name, bfloat16.OURS)
            if spread is None:
                continue
            colour, marker = STYLE[name.removeprefix("bf16 ")]
            # A little apart, so that markers of equal ratios do not hide each other.
            y = row + 0.7 * ((index + 0.5) / len(names) - 0.5)
            whiskers = [[spread.median - spread.low], [spread.high - spread.median]]
            used[bfloat16.shown(name)] = axis.errorbar(
                spread.median, y, xerr=whiskers, color=colour, marker=marker, ms=7, lw=1, ls="",
                mfc=colour if name.startswith("bf16 ") else "white",
            )  # fmt: skip
    labels = [f"{case.workload},\n{case.mode}" for case in cases]
    axis.set_yticks(range(len(cases)), labels)
    axis.set_ylim(len(cases) - 0.4, -0.6)
    for row in range(1, len(cases)):
        axis.axhline(row - 0.5, color="0.92", lw=0.8, zorder=0)
    picture._logarithmic(axis.xaxis, axis.set_xscale)
    axis.axvline(1, color="0.4", lw=1)
    axis.set_xlabel(f"times as long as {bfloat16.OURS}")
