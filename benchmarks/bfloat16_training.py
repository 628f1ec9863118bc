"""What bfloat16 does to training on real MNIST: to the accuracy, and to the time until 99 %.

Both train under autocast as `cnnzoo train --precision bfloat16` does. Seeds are paired: the same
weights, the same order of images. `train` is that of `bench_train`, handed in.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

import cnnzoo

MODEL, RECIPE = "mnist_cnn", "fast"
EPOCHS = (
    3  # of the one-cycle recipe: seeds lie closer together than after one, in a tenth of "best"
)
PRECISIONS = ("float32", "bfloat16")
POINTS = 0.1  # the means over seeds may be this far apart, in points of a hundred
SECONDS, ACCURACY = 2.0, 0.99  # the recipe "fast" is to get there in this time
Train = Callable[..., dict[str, float]]


def accuracies(train: Train, data: Any, seeds: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Train with several seeds in both precisions, in turns; compare the mean accuracies."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in PRECISIONS}
    for seed in range(seeds):
        for precision in PRECISIONS:
            settings = {"epochs": epochs, "precision": precision}
            runs[precision].append(train(data, MODEL, RECIPE, seed, **settings))
    found = agreement(*([run["accuracy"] for run in runs[name]] for name in PRECISIONS))
    for precision, each in runs.items():
        accuracy = [100 * run["accuracy"] for run in each]
        seconds = statistics.mean(run["seconds"] for run in each)
        print(
            f"{RECIPE}, {epochs} epochs, {MODEL}, {precision}, {seeds} seeds: {seconds:.1f} s, "
            f"accuracy {statistics.mean(accuracy):.3f} %, worst {min(accuracy):.2f} %",
            flush=True,
        )
    print(
        f"bfloat16 − float32: {found['difference']:+.3f} points of 100 (standard error "
        f"{found['standard_error']:.3f}); {_met(found['met'])}, the target is {POINTS}",
        flush=True,
    )
    settings = {"model": MODEL, "recipe": RECIPE, "data": data.train.name, "epochs": epochs}
    return {"precisions": runs, **settings, **found}


def agreement(float32: list[float], bfloat16: list[float]) -> dict[str, Any]:
    """Compare the means of paired accuracies, in points of a hundred.

    >>> found = agreement([0.990, 0.992], [0.991, 0.992])
    >>> round(found["difference"], 3), round(found["standard_error"], 3), found["met"]
    (0.05, 0.05, True)
    """
    differences = [100 * (low - wide) for wide, low in zip(float32, bfloat16, strict=True)]
    count = len(differences)
    deviation = statistics.stdev(differences) if count > 1 else 0.0
    mean = statistics.mean(differences)
    return {
        "difference": mean,
        "standard_error": deviation / count**0.5,
        "target": POINTS,
        "met": abs(mean) <= POINTS,
    }


def soonest(data: Any, seeds: int) -> dict[str, Any]:
    """Train with the recipe "fast" in bfloat16; seconds of training alone, and where it ends.

    The test set is evaluated once, after the clock has stopped: the recipe has one epoch, so
    nothing is known of the accuracy before its end, and a seed below 99 % did not get there.
    """
    _fast(data, 0)  # warms up
    runs = [_fast(data, seed) for seed in range(seeds)]
    found = {**reached(runs), "target": SECONDS}
    seconds = [run["seconds"] for run in runs]
    print(
        f"{RECIPE}, {MODEL}, bfloat16, {seeds} seeds: {statistics.mean(seconds):.2f} s of training "
        f"({min(seconds):.2f}–{max(seconds):.2f}), {found['reached']} of {seeds} seeds at "
        f"{ACCURACY:.0%} or more, worst {100 * min(run['accuracy'] for run in runs):.2f} %; "
        f"{_met(found['met'])}, the target is {SECONDS:g} s",
        flush=True,
    )
    settings = {"model": MODEL, "recipe": RECIPE, "data": data.train.name}
    return {**settings, "precision": "bfloat16", "runs": runs, **found}


def reached(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Count the seeds that got there; the target is met where all did, soon enough on average.

    >>> reached([{"seconds": 1.5, "accuracy": 0.992}, {"seconds": 1.7, "accuracy": 0.989}])
    {'reached': 1, 'met': False}
    """
    count = sum(run["accuracy"] >= ACCURACY for run in runs)
    mean = statistics.mean(run["seconds"] for run in runs)
    return {"reached": count, "met": count == len(runs) and mean <= SECONDS}


def _fast(data: Any, seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    trainer = cnnzoo.Trainer(
        cnnzoo.build(MODEL), recipe=RECIPE, seed=seed, precision="bfloat16", progress=False
    )
    start = time.perf_counter()
    trainer.fit(data.train)
    seconds = time.perf_counter() - start
    accuracy = trainer.evaluate(data.test).accuracy
    evaluated = time.perf_counter() - start
    return {
        "seed": seed,
        "seconds": seconds,
        "seconds_with_evaluation": evaluated,
        "accuracy": accuracy,
    }


def _met(met: bool) -> str:
    return "met" if met else "missed"
