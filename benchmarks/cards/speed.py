"""µs an image: a training step and inference of every bundled model, on this machine.

As a person starts it: the malloc everyone has, torch's number of threads. A training step is
forward, cross entropy, backward and SGD with momentum. The models take turns, so that a slow minute
of a shared machine is everybody's.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

import cnnzoo
from benchmarks import timing
from benchmarks.environment import describe
from cnnzoo.weights import Card

BATCH = 128
ROUNDS, TURN = 7, 0.25  # seconds a turn


def measure(cards: Sequence[Card]) -> dict[str, dict[str, Any]]:
    """Return what goes into the ``speed`` of each card, by its name."""
    candidates = {}
    for card in cards:
        model = cnnzoo.build(card.model, weights=card.data["name"])
        candidates[card.name, "inference_us"] = timing.Candidate(_inference(model))
        model = cnnzoo.build(card.model, weights=card.data["name"])
        candidates[card.name, "training_us"] = timing.Candidate(_training(model))
    by_text = {" ".join(key): each for key, each in candidates.items()}
    turns = timing.alternate(by_text, ROUNDS, TURN)
    machine = describe(torch.get_num_threads())
    where = {key: machine[key] for key in ("cpu", "isa", "threads")}
    versions = {"cnnzoo": cnnzoo.__version__, "torch": str(torch.__version__)}
    found: dict[str, dict[str, Any]] = {}
    for name, what in candidates:
        figure = round(1e6 * statistics.median(turns[f"{name} {what}"]) / BATCH, 2)
        found.setdefault(name, {"batch": BATCH, **where, **versions})[what] = figure
    return found


def _batch(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(BATCH, model.in_channels, *model.image_size)  # (N, C, H, W)
    return images, torch.randint(model.num_classes, (BATCH,))


def _inference(model: Any) -> Any:
    images, _ = _batch(model)

    def run() -> None:
        with torch.inference_mode():
            model(images)

    return run


def _training(model: Any) -> Any:
    images, labels = _batch(model)
    model.train()
    # So slow that the thousandth step on one batch is like the first.
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9, fused=True)

    def run() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return run
