"""Compare the fused operator with everyone: JSON, tables of ratios, a picture.

    python -m benchmarks.compare [--quick] [--threads 2] [--isa avx2] [--only layers networks bf16]

Writes results/NAME.json and NAME.png. How it is timed is in `timing`, who competes in `blocks` and
`networks`, what is timed in `workloads`. The exit code is 1 where somebody gave a wrong answer.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import environment

if TYPE_CHECKING:
    from benchmarks.results import Case, Results

SECTIONS = (
    *("layers", "networks", "bf16", "kernels", "memory"),
    *("threads", "batch", "channels", "call"),
)
FOLDER = Path(__file__).with_name("results")


def main(arguments: list[str] | None = None) -> int:
    """Parse, start again with the malloc settings, measure, write."""
    options = parse(arguments)
    if options.show:
        return _show(options.show)
    environment.start_again(environment.wanted(options.isa, options.threads))
    return run(options)


def run(options: argparse.Namespace) -> int:
    """Measure in this process, whatever its malloc; write and print."""
    import torch

    from benchmarks import picture, report, targets
    from benchmarks.results import Results

    torch.set_num_threads(options.threads)
    machine = environment.describe(options.threads)
    settings = {"quick": options.quick, "rounds": options.rounds, "turn_seconds": options.turn}
    results = Results(machine, settings)
    before, start = environment.interruptions(), time.monotonic()
    _measure(results, options)
    seconds = time.monotonic() - start
    settings["seconds"] = round(seconds)
    machine["interruptions_a_second"] = round((environment.interruptions() - before) / seconds, 1)
    machine["load_at_end"] = environment.load()

    verdicts = targets.verdicts(results)
    path = options.out / f"{options.name or _name(machine, options)}.json"
    results.save(path, [verdict.as_dict() for verdict in verdicts])
    picture.draw(results, path.with_suffix(".png"))
    report.show(results, verdicts)
    print(f"{path} and {path.with_suffix('.png').name}, {settings['seconds']} s")
    return 1 if any(case.refused for case in results.cases) else 0


def _measure(results: Results, options: argparse.Namespace) -> None:
    """Run the sections; one that cannot run is noted with its sentence."""
    from benchmarks import kernels, memory, sweeps, targets
    from benchmarks.default_malloc import DefaultMalloc
    from benchmarks.workloads import LAYERS, QUICK_LAYERS, TUTORIAL_1, TUTORIAL_2
    from cnnzoo import ops
    from cnnzoo.errors import CnnzooError

    quick, rounds, turn = options.quick, options.rounds, options.turn
    layers = [each for each in LAYERS if not quick or each.name in QUICK_LAYERS]
    inner = [TUTORIAL_1, TUTORIAL_2] + ([] if quick else [LAYERS[3], LAYERS[4], LAYERS[10]])
    isas = [isa for isa in ops.status().isas if isa in ("avx512", "avx2")]
    isas = [_of_float32(options.isa)] if options.isa else isas
    results.settings["peak_isas"] = isas
    batches = (1, 32, 1024) if quick else sweeps.BATCHES
    widths = (1, 3, 32, 128) if quick else sweeps.WIDTHS
    few, short = max(3, rounds // 2), turn / 2  # sweeps show a shape, not a verdict

    child = DefaultMalloc(options.threads)
    run: dict[str, Callable[[], Iterable[Case]]] = {
        "layers": lambda: _layers(layers, options, child),
        "networks": lambda: _networks(options, child),
        "bf16": lambda: _bfloat16(results, options),
        "kernels": lambda: kernels.measure(inner, isas, rounds, turn),
        "memory": lambda: memory.measure(LAYERS[:5] if quick else LAYERS),
        "threads": lambda: sweeps.threads(options.threads, rounds, short),
        "batch": lambda: sweeps.batch(batches, few, short),
        "channels": lambda: sweeps.channels(widths, few, short),
        "call": lambda: sweeps.call(rounds, short),
    }
    try:
        for section in SECTIONS:
            if section not in options.only:
                results.skipped[section] = targets.LEFT_OUT
                continue
            start = time.monotonic()
            try:
                for case in run[section]():
                    results.cases.append(case)
                    print(f"{section}: {case.workload}, {case.mode}", file=sys.stderr, flush=True)
            except CnnzooError as error:
                results.skipped[section] = str(error)
            print(
                f"{section}: {time.monotonic() - start:.0f} s in all", file=sys.stderr, flush=True
            )
    finally:
        child.close()


def _layers(layers: Iterable, options: argparse.Namespace, child) -> Iterable[Case]:
    from benchmarks import blocks, contests

    for layer in layers:
        for mode in blocks.MODES:
            yield contests.layer(layer, mode, options.rounds, options.turn, child, options.quick)


def _networks(options: argparse.Namespace, child) -> Iterable[Case]:
    from benchmarks import contests, networks
    from benchmarks.workloads import NETWORKS

    settings = (options.rounds, options.turn, child, options.threads, options.quick)
    for network in NETWORKS[:1] if options.quick else NETWORKS:
        for mode in networks.MODES:
            yield contests.network(network, mode, *settings)


def _bfloat16(results: Results, options: argparse.Namespace) -> Iterable[Case]:
    from benchmarks import bfloat16, kernels
    from cnnzoo import ops
    from cnnzoo.errors import CnnzooError

    rounds, turn = options.rounds, options.turn
    yield from bfloat16.measure(rounds, turn, options.threads, options.quick)
    isas = [options.isa] if options.isa else ops.status().isas
    try:
        yield from bfloat16.measure_kernels(rounds, turn, isas)
    except CnnzooError as error:
        results.skipped[kernels.BFLOAT16] = str(error)


def _of_float32(isa: str) -> str:
    """The instruction set whose float32 kernels run where one brings kernels for bfloat16 only."""
    return "avx512" if isa in ("amx", "avx512_bf16") else isa


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a look in under two minutes")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--isa", help="as avx512_bf16 or avx2, for torch's kernels as well")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--rounds", type=int, help="turns of everyone (9; 5 with --quick)")
    parser.add_argument("--turn", type=float, help="seconds of a turn (0.06; 0.02 with --quick)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the files written")
    parser.add_argument("--name", help="of the files; by default machine, ISA and threads")
    parser.add_argument("--show", type=Path, help="print an earlier JSON file again, and stop")
    options = parser.parse_args(arguments)
    if options.threads < 1:
        parser.error("--threads: expected at least 1")
    options.rounds = options.rounds or (5 if options.quick else 9)
    options.turn = options.turn or (0.02 if options.quick else 0.06)
    return options


def _show(path: Path) -> int:
    from benchmarks import picture, report, targets
    from benchmarks.results import Results
    from cnnzoo.errors import CnnzooError

    try:
        results = Results.load(path)
    except CnnzooError as error:
        print(error, file=sys.stderr)
        return 2
    picture.draw(results, path.with_suffix(".png"))
    report.show(results, targets.verdicts(results))
    return 0


def _name(machine: dict, options: argparse.Namespace) -> str:
    """As "amd-epyc-avx512-2-threads", then "-quick", and the sections where not all were asked."""
    isa = str(machine["isa"]).partition(":")[0]
    sections = [] if set(options.only) == set(SECTIONS) else options.only
    quick = ["quick"] if options.quick else []
    parts = [machine["cpu"], isa, f"{options.threads} threads", *quick, *sections]
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


if __name__ == "__main__":
    sys.exit(main())
