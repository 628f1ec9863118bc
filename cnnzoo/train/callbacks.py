"""Moments of a run at which something else may happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnzoo.train.history import Row
    from cnnzoo.train.trainer import Trainer


class Callback:
    """Override what you need; the trainer calls its callbacks in order.

    >>> class StopAtNinety(Callback):
    ...     def on_epoch_end(self, trainer, row):
    ...         trainer.should_stop = row.train_accuracy >= 0.9
    """

    def on_fit_start(self, trainer: Trainer, train: Any, test: Any) -> None:
        """Before the first step; ``train`` and ``test`` are what `Trainer.fit` was given."""

    def on_epoch_start(self, trainer: Trainer, steps: int) -> None:
        """Before an epoch of ``steps`` steps; ``trainer.step`` of them may be done already."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After the weights were changed."""

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """After the epoch was evaluated; ``row`` is its line of the history."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch."""

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        """When the run ends early; ``error`` is raised again afterwards."""
