"""Training from end to end on real MNIST and Fashion-MNIST: seconds and accuracy over seeds.

    python -m benchmarks.bench_train --root DATA [--only fast best tutorial fashion processes]
    python -m benchmarks.bench_train --root DATA --only bf16 fast-bf16 labels

The second line is what bfloat16 does to accuracy and time, and whether frozen and exported models
give the same labels. Everything runs with the malloc everyone has. Seconds are wall time of
`Trainer.fit` with its evaluation after every epoch (`fast-bf16`: of training alone); reading the
files is outside. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

import cnnzoo
from benchmarks import bfloat16_training, same_labels
from benchmarks.environment import describe

HERE = Path(__file__).parent


def summary(values: list[float]) -> str:
    """Mean ± standard deviation over the seeds."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4g} ± {deviation:.2g}"


def train(data: Any, model: str, recipe: str, seed: int, **settings: Any) -> dict[str, float]:
    """Train once with a recipe."""
    torch.manual_seed(seed)
    network = cnnzoo.build(model)
    trainer = cnnzoo.Trainer(network, recipe=recipe, seed=seed, progress=False, **settings)
    start = time.perf_counter()
    trainer.fit(data.train, data.test)
    seconds = time.perf_counter() - start
    # What is left at the end, with averaged or chosen weights, is what counts.
    return {"seed": seed, "seconds": seconds, "accuracy": trainer.evaluate(data.test).accuracy}


def seeds_of(data: Any, model: str, recipe: str, seeds: int, **settings: Any) -> dict[str, Any]:
    """Train with several seeds, after an epoch that warms up."""
    train(data, model, recipe, 0, epochs=1, keep_best=False, patience=0)
    runs = [train(data, model, recipe, seed, **settings) for seed in range(seeds)]
    seconds, accuracy = ([run[key] for run in runs] for key in ("seconds", "accuracy"))
    print(
        f"{recipe}, {model}, {data.train.name}, {seeds} seeds: {summary(seconds)} s, accuracy "
        f"{100 * statistics.mean(accuracy):.2f} ± "
        f"{100 * (statistics.stdev(accuracy) if seeds > 1 else 0):.2f} %, worst "
        f"{100 * min(accuracy):.2f} %",
        flush=True,
    )
    return {"model": model, "recipe": recipe, "data": data.train.name, "runs": runs}


class AsInTheTutorial(nn.Module):
    """The tutorial's network in plain PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 32, 3)
        self.pool = nn.MaxPool2d(2)
        self.fc1, self.fc2 = nn.Linear(800, 100), nn.Linear(100, 10)
        nn.init.kaiming_uniform_(self.conv1.weight, nonlinearity="relu")
        nn.init.kaiming_uniform_(self.conv2.weight, nonlinearity="relu")
        nn.init.kaiming_uniform_(self.fc1.weight, nonlinearity="relu")
        nn.init.xavier_uniform_(self.fc2.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def tutorials_own_loop(root: str, seed: int, epochs: int) -> dict[str, float]:
    """Train as the tutorial does: PIL, ToTensor, DataLoader, eager PyTorch."""
    torch.manual_seed(seed)
    training, testing = (
        datasets.MNIST(root, train=part, transform=transforms.ToTensor()) for part in (True, False)
    )
    model, right = AsInTheTutorial(), 0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    start = time.perf_counter()
    for _ in range(epochs):
        model.train()
        for images, labels in DataLoader(training, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = sum(
                (model(images).argmax(1) == labels).sum().item()
                for images, labels in DataLoader(testing, batch_size=64)
            )
    seconds = time.perf_counter() - start
    return {"seed": seed, "seconds": seconds, "accuracy": right / len(testing)}


def tutorial(data: Any, root: str, rounds: int) -> dict[str, Any]:
    """Compare the tutorial's recipe with the tutorial's own loop: its time, and where it ends.

    The time is that of single epochs, evaluation included, in turns; the accuracy that of ten.
    """
    seconds: dict[str, list[float]] = {"cnnzoo": [], "tutorial": []}
    for turn in range(rounds + 1):
        ours = train(data, "mnist_cnn", "tutorial", turn, epochs=1)["seconds"]
        theirs = tutorials_own_loop(root, turn, 1)["seconds"]
        if turn:  # the first one warms up
            seconds["cnnzoo"].append(ours)
            seconds["tutorial"].append(theirs)
    ratios = [theirs / ours for ours, theirs in zip(*seconds.values(), strict=True)]
    print(
        f"tutorial: an epoch takes {summary(seconds['cnnzoo'])} s, with its own loop "
        f"{summary(seconds['tutorial'])} s; median ratio {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f}–{max(ratios):.2f})",
        flush=True,
    )
    ended = {
        "cnnzoo": train(data, "mnist_cnn", "tutorial", 0)["accuracy"],
        "tutorial": tutorials_own_loop(root, 0, 10)["accuracy"],
    }
    for name, accuracy in ended.items():
        print(f"after 10 epochs: {name} {100 * accuracy:.2f} %")
    return {"seconds an epoch": seconds, "ratios": ratios, "accuracy": ended}


def processes(root: str, rounds: int) -> dict[str, Any]:
    """Compare two processes of a thread and batch 64 with one of two threads and batch 128."""
    common = ["-m", "cnnzoo", "train", "mnist_cnn", "--data", "mnist", "--root", root, "--json"]
    common += ["--epochs", "3"]
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    candidates = {
        "1 process, 2 threads": ([*common, "--batch-size", "128"], "2"),
        "2 processes, 1 thread each": ([*torchrun, *common, "--batch-size", "64"], "1"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, (arguments, threads) in candidates.items():
            with tempfile.TemporaryDirectory() as folder:
                run = subprocess.run(
                    [sys.executable, *arguments, "--out", f"{folder}/run"],
                    env={**os.environ, "OMP_NUM_THREADS": threads},
                    capture_output=True,
                    text=True,
                    check=True,
                )
            history = json.loads(run.stdout)["history"]
            seconds[name] += [row["seconds"] for row in history[1:]]  # the first one warms up
    one, two = (statistics.median(each) for each in seconds.values())
    for name, each in seconds.items():
        print(f"{name}: {statistics.median(each):.2f} s an epoch ({min(each):.2f}–{max(each):.2f})")
    print(f"two processes take {two / one:.2f} of the time of one with two threads")
    return {"seconds an epoch": seconds, "ratio": two / one}


def labels(data: Any) -> dict[str, Any]:
    """Hold frozen and exported models against plain ones on the test images."""
    images, right = (torch.cat(each) for each in zip(*data.test.batches(1000), strict=True))
    found = same_labels.measure(images, right)
    same_labels.show(found)
    return found


def main() -> None:
    """Run what was asked for, print it, and keep it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(HERE.parents[1] / "shared" / "data"))
    names = ["fast", "best", "tutorial", "fashion", "processes", "bf16", "fast-bf16", "labels"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument(
        "--seeds", type=int, help="in place of 5, or 3 for best, fashion and processes"
    )
    parser.add_argument("--out", type=Path, default=HERE / "results" / "training.json")
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    mnist = cnnzoo.load_data("mnist", root=options.root)
    found = {"machine": describe(torch.get_num_threads())}
    print(
        f"{found['machine']['cpu']}, {found['machine']['isa']}, {torch.get_num_threads()} threads"
    )

    def count(usual: int) -> int:
        return options.seeds or usual

    sections: dict[str, Callable[[], Any]] = {
        "fast": lambda: seeds_of(mnist, "mnist_cnn", "fast", count(5)),
        "best": lambda: seeds_of(mnist, "mnist_cnn", "best", count(3)),
        "tutorial": lambda: tutorial(mnist, options.root, count(5)),
        "fashion": lambda: seeds_of(
            cnnzoo.load_data("fashion_mnist", root=options.root), "fashion_cnn", "fashion", count(3)
        ),
        "processes": lambda: processes(options.root, count(3)),
        "bf16": lambda: bfloat16_training.accuracies(train, mnist, count(5)),
        "fast-bf16": lambda: bfloat16_training.soonest(mnist, count(5)),
        "labels": lambda: labels(mnist),
    }
    if options.out.exists():
        found = json.loads(options.out.read_text()) | found
    for name in options.only:
        found[name] = sections[name]()
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
