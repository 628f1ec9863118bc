"""The GPU's results as a picture: how many times longer than ours the others take, layer by layer.

Rows are layers, the axis is logarithmic, whiskers are quartiles; right of 1 ours is faster.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks import blocks, contests, picture
from benchmarks.cuda_blocks import OURS
from benchmarks.results import Case, Results
from cnnzoo.files import atomic_write

# The colours of the CPU's picture; what runs as a CUDA graph is hollow.
COLOURS = {"native": "#D55E00", **{name: colour for name, (colour, _) in picture.STYLE.items()}}
MARKERS = {"native": "D", **{name: marker for name, (_, marker) in picture.STYLE.items()}}
TITLES = {blocks.TRAINING: "training: forward + backward", blocks.FORWARD: "inference: forward"}


def draw(results: Results, path: Path) -> None:
    """Write the picture as PNG."""
    cases = results.section(contests.LAYERS)
    rows = len({case.workload for case in cases})
    figure = Figure(figsize=(13, 2.4 + 0.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    used: dict[str, Any] = {}
    for axis, (mode, title) in zip(axes, TITLES.items(), strict=True):
        axis.set_title(title)
        _panel(axis, [case for case in cases if case.mode == mode], used)
    figure.legend(used.values(), used, loc="outside lower center", ncols=6)
    machine, how = results.machine, results.settings
    figure.suptitle(
        f"{machine['cpu']}, {machine['isa']}, torch {machine['versions']['torch']}, "
        f"{how['dtype']}, {how['rounds']} rounds"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _panel(axis: Any, cases: list[Case], used: dict[str, Any]) -> None:
    names = list(dict.fromkeys(n for case in cases for n in case.turns if n != OURS))
    for row, case in enumerate(cases):
        for index, name in enumerate(names):
            spread = case.ratio(name, OURS)
            if spread is None:
                continue
            plain, _, graph = name.partition(", ")
            # A little apart, so that markers of equal ratios do not hide each other.
            y = row + 0.66 * ((index + 0.5) / len(names) - 0.5)
            whiskers = [[spread.median - spread.low], [spread.high - spread.median]]
            used[name] = axis.errorbar(
                spread.median, y, xerr=whiskers, color=COLOURS[plain], marker=MARKERS[plain],
                ms=5, lw=1, ls="", mfc="white" if graph else COLOURS[plain],
            )  # fmt: skip
    axis.set_yticks(range(len(cases)), [case.workload for case in cases])
    axis.set_ylim(len(cases) - 0.4, -0.6)
    for row in range(1, len(cases)):
        axis.axhline(row - 0.5, color="0.92", lw=0.8, zorder=0)
    picture._logarithmic(axis.xaxis, axis.set_xscale)
    axis.axvline(1, color="0.4", lw=1)
    axis.set_xlabel(f"times as long as {OURS}")
