"""The loss of every step, to the last bit: where two runs part, this says at which step.

As a file it is CSV with the columns epoch, step (both from 1) and loss, the mean loss of the step's
last batch in the first process. A float is written so that reading it gives the same float.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write


class Step(NamedTuple):
    """A line of the trace; both numbers count from 1."""

    epoch: int
    step: int
    loss: float


class StepTrace:
    """Collects losses without waiting for the device; they are fetched when somebody asks.

    >>> trace = StepTrace()
    >>> trace.add(1, 1, torch.tensor(2.25))
    >>> list(trace)
    [Step(epoch=1, step=1, loss=2.25)]
    """

    def __init__(self) -> None:
        self._places: list[tuple[int, int]] = []
        self._losses: list[float] = []
        self._on_device: list[Tensor] = []

    def add(self, epoch: int, step: int, loss: Tensor) -> None:
        """Add a step, both numbers from 1, with its loss ()."""
        self._places.append((epoch, step))
        self._on_device.append(loss)

    @property
    def last_place(self) -> tuple[int, int] | None:
        """Epoch and step of the last entry."""
        return self._places[-1] if self._places else None

    def _fetch(self) -> list[float]:
        if self._on_device:
            self._losses += torch.stack(self._on_device).cpu().double().tolist()
            self._on_device = []
        return self._losses

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Step]:
        for place, loss in zip(self._places, self._fetch(), strict=True):
            yield Step(*place, loss)

    def state_dict(self) -> dict[str, Tensor]:
        """Return places (S, 2) and losses (S,) of the S steps so far."""
        return {
            "places": torch.tensor(self._places, dtype=torch.int32).reshape(-1, 2),
            "losses": torch.tensor(self._fetch(), dtype=torch.float64),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self._places = [(epoch, step) for epoch, step in state["places"].tolist()]
        self._losses, self._on_device = state["losses"].tolist(), []

    def to_csv(self, path: str | Path) -> None:
        """Write the file, atomically."""
        with atomic_write(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(Step._fields)
            writer.writerows(self)

    @staticmethod
    def read_csv(path: str | Path) -> list[Step]:
        """Read what `to_csv` wrote.

        Raises:
            CnnzooError: the file is missing or holds something else.
        """
        try:
            with Path(path).open(newline="") as file:
                return [
                    Step(int(row["epoch"]), int(row["step"]), float(row["loss"]))
                    for row in csv.DictReader(file)
                ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CnnzooError(f"{path} is no readable trace of a run ({error}).") from error
