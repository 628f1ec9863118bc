"""The results as tables: who takes how many times longer than we do, with the spread.

A ratio reads "3.12 (3.05–3.20)": median, and quartiles over the rounds. Above 1 ours is faster. The
subject of a table is in its title.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import bfloat16, blocks, contests, kernels, memory, networks, peers, sweeps
from benchmarks.results import Case, Results
from benchmarks.timing import Spread
from benchmarks.verdicts import Verdict

WIDTH = 150  # where the output is no terminal
BUSY = 20  # interruptions a second


def show(results: Results, verdicts: Sequence[Verdict], console: Console | None = None) -> None:
    """Print everything."""
    console = console or Console(width=None if Console().is_terminal else WIDTH)
    machine = results.machine
    console.print(
        f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores, "
        f"{machine['isa']}, torch {machine['versions']['torch']}; "
        f"{results.settings['rounds']} rounds, median (quartiles)"
    )
    _disturbance(console, machine)
    layers, nets = results.section(contests.LAYERS), results.section(contests.NETWORKS)
    rest = [blocks.DEFAULT_MALLOC, *blocks.GROUPS["float32"][1:]]
    low = blocks.GROUPS["bfloat16"]
    _contest(console, layers, "native", rest, "Layers, float32")
    _contest(console, layers, low[0], low[1:], "Layers, bfloat16")
    engines = list(peers.PEERS)
    rest = [networks.DEFAULT_MALLOC, *rest[1:], *[e for e in engines if e not in low]]
    in_low = [*low[1:], *[e for e in engines if e.startswith("bf16")]]
    rest = [name for name in rest if name not in in_low]
    _contest(console, nets, "native", rest, "Networks, float32")
    _contest(console, nets, low[0], in_low, "Networks, bfloat16")
    _bfloat16(console, results.section(bfloat16.SECTION))
    _kernels(console, results.section(kernels.SECTION), "float32")
    _kernels(console, results.section(kernels.BFLOAT16), "bfloat16")
    _memory(console, results.section(memory.SECTION))
    _threads(console, results.section(sweeps.THREADS))
    for section in (sweeps.BATCH, sweeps.CHANNELS, sweeps.CALL):
        names = ["auto", blocks.EAGER, "channels_last"]
        _contest(console, results.section(section), "native", names, f"Sweep: {section}")
    _targets(console, verdicts)
    _missing(console, results)


def written(spread: Spread | None, digits: int = 2) -> str:
    """As "3.12 (3.05–3.20)"."""
    if spread is None:
        return "–"
    median, low, high = (f"{v:.{digits}f}" for v in (spread.median, spread.low, spread.high))
    return f"{median} ({low}–{high})"


def _disturbance(console: Console, machine: dict[str, Any]) -> None:
    """Warn where the machine was not ours: turns do not mend that a long call is cut more often."""
    load, cuts = machine.get("load_at_start") or [0.0], machine.get("interruptions_a_second", 0)
    if load[0] > 0.5 * machine["cores"] or cuts > BUSY:
        console.print(
            f"[yellow]The machine was busy[/] (load {load[0]:.1f} at the start, interrupted "
            f"{cuts:.0f} times a second): a short call fits between the others' time slices and a "
            "long one does not, so ratios flatter whoever is short. Measure again when it is quiet."
        )


def _contest(
    console: Console, cases: Iterable[Case], subject: str, others: Sequence[str], title: str
) -> None:
    cases = list(cases)
    # Until ours runs, the first that did stands in, so that the table is not empty.
    if cases and not any(subject in case.turns for case in cases):
        there = [n for n in others if any(n in case.turns for case in cases)]
        if not there:
            return
        subject = there[0]
    others = [n for n in others if n != subject and any(n in case.turns for case in cases)]
    if not cases:
        return
    table = Table(title=f"{title}: times as long as {subject}", title_justify="left")
    table.add_column("workload")
    table.add_column("mode")
    table.add_column(f"{subject}, µs an image", justify="right")
    for name in others:
        table.add_column(name, justify="right")
    for case in cases:
        ours = f"{1e6 * case.per_image(subject).median:.1f}" if subject in case.turns else "–"
        ratios = [written(case.ratio(name, subject)) for name in others]
        table.add_row(case.workload, case.mode, ours, *ratios)
    console.print(table)


def _bfloat16(console: Console, cases: Sequence[Case]) -> None:
    """A row for everyone, the fastest first: there are more of them than columns."""
    if not cases:
        return
    table = Table(title="bfloat16: everyone, and ours in float32", title_justify="left")
    table.add_column("workload, mode")
    table.add_column("who")
    table.add_column("µs an image", justify="right")
    table.add_column(f"times as long as {bfloat16.OURS}", justify="right")
    for case in cases:
        title = f"{case.workload}, {case.mode}"
        for name in sorted(case.turns, key=lambda name: case.per_image(name).median):
            figure = f"{1e6 * case.per_image(name).median:.2f}"
            table.add_row(
                title, bfloat16.shown(name), figure, written(case.ratio(name, bfloat16.OURS))
            )
            title = ""
        table.add_section()
    console.print(table)


def _kernels(console: Console, cases: Sequence[Case], dtype: str) -> None:
    cases = [case for case in cases if case.turns]
    if not cases:
        return
    isas = [name for name in cases[0].turns if not name.startswith("peak ")]
    title = f"Kernels in {dtype}, one thread: time at peak / ours"
    table = Table(title=title, title_justify="left")
    table.add_column("layer")
    table.add_column("kernel")
    for isa in isas:
        table.add_column(f"{isa}, µs an image", justify="right")
        table.add_column("of peak (dW, dX: of a dense kernel's)", justify="right")
    for case in cases:
        row = [case.workload, case.mode]
        for isa in isas:
            row += [f"{1e6 * case.per_image(isa).median:.2f}"]
            row += [written(case.ratio(f"peak {isa}", isa))]
        table.add_row(*row)
    console.print(table)
    peaks = {
        isa: case.sizes["flops"] / Spread.of(case.turns[f"peak {isa}"]).median / 1e9
        for case in cases
        for isa in isas
    }
    console.print(
        f"Peak in {dtype}: " + ", ".join(f"{i} {p:.0f} GFLOP/s a core" for i, p in peaks.items())
    )


def _memory(console: Console, cases: Sequence[Case]) -> None:
    if not cases:
        return
    table = Table(title="Kept for backward, bytes an image", title_justify="left")
    table.add_column("layer")
    for name in memory.NAMES:
        table.add_column(name, justify="right")
    table.add_column("native / eager", justify="right")
    for case in cases:
        sizes = [
            f"{case.per_image(n).median:,.0f}" if n in case.turns else "–" for n in memory.NAMES
        ]
        share = case.ratio("native", blocks.EAGER)
        table.add_row(case.workload, *sizes, f"{share.median:.3f}" if share else "–")
    console.print(table)


def _threads(console: Console, cases: Sequence[Case]) -> None:
    if not cases:
        return
    table = Table(title="Threads: times faster than on one", title_justify="left")
    for column in ("layer", "mode", "who"):
        table.add_column(column)
    counts = cases[0].sizes["threads"][1:]
    for count in counts:
        table.add_column(str(count), justify="right")
    for case in cases:
        for who in dict.fromkeys(name.rpartition(", ")[0] for name in case.turns):
            ratios = [written(case.ratio(f"{who}, 1", f"{who}, {count}")) for count in counts]
            table.add_row(case.workload, case.mode, who, *ratios)
    console.print(table)


def _targets(console: Console, verdicts: Sequence[Verdict]) -> None:
    table = Table(title="Targets", title_justify="left")
    for column in ("target", "measured", "", "note"):
        table.add_column(column)
    words = {True: "[green]met", False: "[red]missed", None: "not measured"}
    for one in verdicts:
        table.add_row(one.what, written(one.measured), words[one.met], one.note)
    console.print(table)


def _missing(console: Console, results: Results) -> None:
    """Each sentence once, with whom it concerns."""
    reasons: dict[str, list[str]] = {}
    for section, why in results.skipped.items():
        reasons.setdefault(why, []).append(section)
    for case in results.cases:
        for name, why in case.skipped.items():
            reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        console.print(f"Not measured: {', '.join(dict.fromkeys(names))}. {why}", soft_wrap=True)
    for case in results.cases:
        for why in case.refused.values():
            console.print(f"[red]Refused[/]: {case.workload}, {case.mode}: {why}", soft_wrap=True)
