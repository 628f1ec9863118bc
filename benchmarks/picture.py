"""The results as one picture: how many times longer than ours the others take.

Layers and networks are rows, on a logarithmic axis with the quartiles as whiskers; below are the
sweeps. Right of 1 ours is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks import bfloat16, blocks, contests, kernels, networks, sweeps
from benchmarks.results import Case, Results
from cnnzoo.files import atomic_write

# Colours that stay apart for the colour-blind (Okabe and Ito 2008), and a marker each.
STYLE = {
    "eager, default malloc": ("#999999", "X"),
    "eager": ("#000000", "o"),
    "channels_last": ("#0072B2", "s"),
    "compiled": ("#009E73", "^"),
    "auto": ("#D55E00", "D"),
    "onnxruntime": ("#CC79A7", "v"),
    "openvino": ("#56B4E9", "P"),
}
NAMES = {"eager": "eager NCHW", "eager, default malloc": "eager NCHW, default malloc"}
OURS = "native"


def draw(results: Results, path: Path) -> None:
    """Write the picture as PNG."""
    sections = {case.section for case in results.cases}
    if sections and sections <= {bfloat16.SECTION, kernels.BFLOAT16}:
        from benchmarks import bfloat16_picture  # which draws with what is below

        bfloat16_picture.draw(results, path)
        return
    panels = [
        (mode, [c for s in (contests.LAYERS, contests.NETWORKS)
                for c in results.section(s) if c.mode in modes])
        for mode, modes in (
            ("training: forward + backward", (blocks.TRAINING, networks.TRAINING)),
            ("inference: forward", (blocks.FORWARD, networks.INFERENCE)),
        )
    ]  # fmt: skip
    rows = max((len(cases) for _, cases in panels), default=0)
    figure = Figure(figsize=(15, 3.2 + 0.34 * rows + 4), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.6 + 0.34 * rows, 4.2])
    used: dict[str, Any] = {}
    axes = top.subplots(1, 2)
    for axis, (title, cases) in zip(axes, panels, strict=True):
        _ratios(axis, title, cases, used)
    top.legend(used.values(), [NAMES.get(n, n) for n in used], loc="outside lower center", ncols=7)
    machine = results.machine
    top.suptitle(
        f"{machine['cpu']}, threads: {machine['threads']}, {machine['isa']}, "
        f"torch {machine['versions']['torch']}, float32, {results.settings['rounds']} rounds"
    )
    first, second, third = bottom.subplots(1, 3)
    _sweep(first, "tutorial conv2 by batch", results.section(sweeps.BATCH))
    _sweep(second, "C to C channels, 14 px", results.section(sweeps.CHANNELS))
    _peak(third, results.section(kernels.SECTION))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _ratios(axis: Any, title: str, cases: Sequence[Case], used: dict[str, Any]) -> None:
    """A row for each workload, a marker for each of the others."""
    axis.set_title(title)
    if not any(OURS in case.turns for case in cases):
        _say(axis, "not measured")
        return
    names = [name for name in STYLE if any(name in case.turns for case in cases)]
    for row, case in enumerate(cases):
        for index, name in enumerate(names):
            spread = case.ratio(name, OURS)
            if spread is None:
                continue
            colour, marker = STYLE[name]
            # A little apart, so that markers of equal ratios do not hide each other.
            y = row + 0.66 * ((index + 0.5) / len(names) - 0.5)
            whiskers = [[spread.median - spread.low], [spread.high - spread.median]]
            used[name] = axis.errorbar(
                spread.median, y, xerr=whiskers, color=colour, marker=marker, ms=5, lw=1, ls=""
            )
    axis.set_yticks(range(len(cases)), [case.workload for case in cases])
    axis.set_ylim(len(cases) - 0.4, -0.6)
    for row in range(1, len(cases)):
        axis.axhline(row - 0.5, color="0.92", lw=0.8, zorder=0)
    _logarithmic(axis.xaxis, axis.set_xscale)
    axis.axvline(1, color="0.4", lw=1)
    axis.set_xlabel(f"times as long as {OURS}")


def _sweep(axis: Any, title: str, cases: Sequence[Case]) -> None:
    """Ratios along a sweep, training drawn through and inference dashed."""
    axis.set_title(title)
    styles = {blocks.TRAINING: ("-", "forward + backward"), blocks.FORWARD: ("--", "forward")}
    drawn = False
    for name in (blocks.EAGER, "channels_last"):
        for mode, (dash, words) in styles.items():
            points = [
                (int("".join(filter(str.isdigit, case.workload))), case.ratio(name, OURS))
                for case in cases
                if case.mode == mode
            ]
            points = [(x, spread) for x, spread in points if spread is not None]
            if points:
                drawn = True
                xs = [x for x, _ in points]
                colour, marker = STYLE[name]
                label = f"{NAMES.get(name, name)}, {words}"
                ys = [spread.median for _, spread in points]
                axis.plot(xs, ys, dash, color=colour, marker=marker, ms=4, label=label)
                lows, highs = [s.low for _, s in points], [s.high for _, s in points]
                axis.fill_between(xs, lows, highs, color=colour, alpha=0.15, lw=0)
    if not drawn:
        _say(axis, "not measured")
        return
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.axhline(1, color="0.4", lw=1)
    axis.set_ylim(bottom=0)
    axis.set_ylabel(f"times as long as {OURS}")
    _legend_below(axis)


def _peak(axis: Any, cases: Sequence[Case], peak: str = "FMA peak") -> None:
    """Bars: time at the peak of a dense kernel / ours."""
    axis.set_title("kernels, one thread")
    cases = [case for case in cases if case.turns]
    if not cases:
        _say(axis, "not measured")
        return
    isas = [name for name in cases[0].turns if not name.startswith("peak ")]
    height = 0.8 / len(isas)
    for index, isa in enumerate(isas):
        spreads = [case.ratio(f"peak {isa}", isa) for case in cases]
        ys = [row + (index + 0.5) * height - 0.4 for row in range(len(cases))]
        medians = [spread.median for spread in spreads]
        whiskers = [
            [spread.median - spread.low for spread in spreads],
            [spread.high - spread.median for spread in spreads],
        ]
        colour = ("#0072B2", "#E69F00", "#009E73")[index % 3]
        axis.barh(ys, medians, height, xerr=whiskers, color=colour, label=isa)
    axis.set_yticks(range(len(cases)), [f"{case.workload}, {case.mode}" for case in cases])
    axis.set_ylim(len(cases) - 0.4, -0.6)
    axis.axvline(1, color="0.4", lw=1)
    axis.set_xlabel(f"time at the {peak} / ours")
    _legend_below(axis)


def _logarithmic(axis: Any, set_scale: Any) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2, 5, 10 and so on."""
    set_scale("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _legend_below(axis: Any) -> None:
    """Where it covers no line, however they run."""
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), fontsize="small")


def _say(axis: Any, words: str) -> None:
    axis.text(0.5, 0.5, words, ha="center", va="center", transform=axis.transAxes)
    axis.set_xticks([])
    axis.set_yticks([])
