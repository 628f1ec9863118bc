"""`cnnzoo.fuse` on other people's networks: the same answers, and the time before and after.

    python -m benchmarks.bench_fuse [--only tv:vgg16 …] [--batch-size 8] [--rounds 7]

The weights are random, batch norms have seen two batches, and the images are normal noise: what a
site does depends on shapes only. Inference in eval mode; before and after take turns (timing.py),
in a process with a tuned malloc. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import cnnzoo
from benchmarks.environment import describe, start_again, wanted
from benchmarks.timing import Candidate, alternate, ratio

RESULTS = Path(__file__).parent / "results" / "fuse.json"
MODELS = (
    *("tv:alexnet", "tv:vgg11", "tv:vgg16", "tv:vgg16_bn", "tv:resnet18", "tv:resnet50"),
    *("tv:squeezenet1_1", "tv:googlenet", "timm:vgg11_bn", "timm:resnet18"),
    "lenet as people write it",
)
TOLERANCE = 1e-4  # of the largest output


class LeNet(nn.Module):
    """As it stands in a hundred notebooks: modules for convolutions, functions for the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(50 * 4 * 4, 500), nn.Linear(500, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv1(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc2(nn.functional.relu(self.fc1(x.flatten(1))))


def make(name: str, batch_size: int) -> tuple[nn.Module, Tensor]:
    """Build a model that has seen some images, and a batch for it."""
    torch.manual_seed(0)
    if name == "lenet as people write it":
        return LeNet().eval(), torch.randn(batch_size, 1, 28, 28)
    model = cnnzoo.build(name, in_channels=3, image_size=224)
    with torch.no_grad():
        for _ in range(2):  # running means that are not 0 and 1
            model.train()(torch.randn(2, 3, 224, 224))
    return model.eval(), torch.randn(batch_size, 3, 224, 224)


def measure(name: str, batch_size: int, rounds: int, turn: float) -> dict[str, Any]:
    """Fuse one model, check its answers, and time both."""
    model, images = make(name, batch_size)
    fused = cnnzoo.fuse(copy.deepcopy(model), images)
    with torch.no_grad():
        expected, got = model(images), fused(images)
    difference, largest = float((got - expected).abs().max()), float(expected.abs().max())
    assert difference <= TOLERANCE * largest, f"{name}: {difference} of {largest}"
    report = fused.fuse_report

    def inference(which: nn.Module) -> Candidate:
        def run() -> None:
            with torch.no_grad():
                which(images)

        return Candidate(run)

    turns = alternate({"before": inference(model), "after": inference(fused)}, rounds, turn)
    found = ratio(turns["before"], turns["after"])
    print(
        f"{name:26} {len(report.fused)} of {len(report.sites)} pools, difference "
        f"{difference:.1e} of {largest:.1e}, {1000 * min(turns['before']):.1f} ms before, "
        f"{found.median:.2f} times as fast ({found.low:.2f}–{found.high:.2f})",
        flush=True,
    )
    return {
        "sites": [dataclasses.asdict(site) for site in report.sites],
        "difference": difference,
        "largest output": largest,
        "seconds": turns,
        "times as fast": dataclasses.asdict(found),
    }


def main() -> None:
    """Measure what was asked for; print it, and keep it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turn", type=float, default=0.3, help="seconds a candidate's turn takes")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
    start_again(wanted(threads=threads))
    torch.set_num_threads(threads)
    machine = describe(threads)
    print(f"{machine['cpu']}, {machine['isa']}, {threads} threads, batch {options.batch_size}")
    models = {
        name: measure(name, options.batch_size, options.rounds, options.turn)
        for name in options.only
    }
    options.out.write_text(
        json.dumps({"machine": machine, "batch": options.batch_size, "models": models}, indent=1)
        + "\n"
    )


if __name__ == "__main__":
    main()
