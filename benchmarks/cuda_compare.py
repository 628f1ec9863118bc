"""Compare the CUDA kernels with PyTorch on this machine's GPU: JSON, tables of ratios, pictures.

    python -m benchmarks.cuda_compare [--precision float32 tf32] [--quick] [--scale 8]

Every candidate is judged on the layer as `workloads` has it, and timed on ``scale`` times as many
images. Writes results/NAME-PRECISION.json and .png. Exit code 1: somebody gave a wrong answer;
2: there is no GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks import answers, contests, cuda_blocks, cuda_picture, environment, report, timing
from benchmarks.blocks import MODES
from benchmarks.results import Case, Results
from benchmarks.workloads import LAYERS, QUICK_LAYERS, Layer

FOLDER = Path(__file__).with_name("results")
NO_GPU = (
    "No GPU: torch.cuda.is_available() is False here, and these kernels run nowhere else. "
    "`make bench` compares the CPU kernels."
)


def main(arguments: list[str] | None = None) -> int:
    """Measure every precision that was asked for; write and print."""
    options = parse(arguments)
    if not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 2
    refused = False
    for precision in options.precision:
        results = Results(machine(), settings(options, precision))
        start = time.monotonic()
        for case in measure(precision, options):
            results.cases.append(case)
            print(f"{precision}: {case.workload}, {case.mode}", file=sys.stderr, flush=True)
            refused |= bool(case.refused)
        results.settings["seconds"] = round(time.monotonic() - start)
        write(results, options.out / f"{options.name or _name(results)}.json")
    return int(refused)


def measure(precision: str, options: argparse.Namespace) -> Iterable[Case]:
    """Everyone on every layer."""
    layers = [each for each in LAYERS if not options.quick or each.name in QUICK_LAYERS]
    for layer in layers:
        for mode in MODES:
            yield one(layer, mode, precision, options.rounds, options.turn, options.scale)


def one(
    layer: Layer, mode: str, precision: str, rounds: int, turn: float, scale: int,
    device: str = "cuda",
) -> Case:  # fmt: skip
    """Everyone on a layer: judged first, then timed on ``scale`` times the images."""
    larger = dataclasses.replace(layer, batch=layer.batch * scale)
    case = Case(contests.LAYERS, layer.name, mode, larger.batch,
                sizes={"x": larger.x_shape, **layer.sizes})  # fmt: skip
    problem, timed = answers.judged(layer), answers.unjudged(larger)

    def maker(name: str) -> Callable[[], timing.Contender]:
        def make() -> timing.Contender:
            cuda_blocks.candidate(name, precision, problem, mode, device)
            return cuda_blocks.candidate(name, precision, timed, mode, device)

        return make

    return contests.contest(case, {name: maker(name) for name in cuda_blocks.WAYS}, rounds, turn)


def write(results: Results, path: Path) -> None:
    """JSON, picture, tables."""
    results.save(path, [])
    cuda_picture.draw(results, path.with_suffix(".png"))
    console = Console(width=None if Console().is_terminal else report.WIDTH)
    found, how = results.machine, results.settings
    console.print(
        f"{found['cpu']}, {found['isa']}, torch {found['versions']['torch']}, CUDA "
        f"{found['cuda']}, cuDNN {found['cudnn']}; {how['rounds']} rounds, median (quartiles)"
    )
    others = [name for name in cuda_blocks.WAYS if name != cuda_blocks.OURS]
    title = f"Layers, {how['dtype']}"
    report._contest(console, results.section(contests.LAYERS), cuda_blocks.OURS, others, title)
    report._missing(console, results)
    print(f"{path} and {path.with_suffix('.png').name}, {how['seconds']} s")


def machine() -> dict[str, Any]:
    """As `environment.describe`, of the GPU."""
    described = environment.describe(torch.get_num_threads())
    device = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        **described,
        "host": described["cpu"],
        "cpu": device.name,
        "cores": device.multi_processor_count,
        "isa": f"sm_{device.major}{device.minor}",
        "memory": device.total_memory,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def settings(options: argparse.Namespace, precision: str) -> dict[str, Any]:
    return {
        "dtype": precision,
        "quick": options.quick,
        "rounds": options.rounds,
        "turn_seconds": options.turn,
        "scale": options.scale,
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = list(cuda_blocks.PRECISIONS)
    parser.add_argument("--precision", nargs="+", choices=known, default=known)
    parser.add_argument("--quick", action="store_true", help="fewer layers")
    parser.add_argument("--scale", type=int, default=8, help="times the images of the workloads")
    parser.add_argument("--rounds", type=int, default=9, help="turns of everyone")
    parser.add_argument("--turn", type=float, default=0.03, help="seconds of a turn")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the files written")
    parser.add_argument("--name", help="of the files, for one precision")
    options = parser.parse_args(arguments)
    if options.scale < 1:
        parser.error("--scale: expected at least 1")
    if options.name and len(options.precision) > 1:
        parser.error("--name: expected one --precision with it, or the files would be one")
    return options


def _name(results: Results) -> str:
    """As "nvidia-h100-sm-90-tf32"."""
    parts = (results.machine["cpu"], results.machine["isa"], results.settings["dtype"])
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


if __name__ == "__main__":
    sys.exit(main())
