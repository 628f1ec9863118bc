"""Moments of a run at which something else may happen.

Where several processes share a run, callbacks are called in each of them; ``trainer.is_main`` says
whether this is the one that writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnzoo.train.history import Row
    from cnnzoo.train.metrics import Evaluation
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

    def on_step_start(self, trainer: Trainer) -> None:
        """Before the forward pass of a step."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After the weights were changed; ``trainer.last_loss`` is the loss before that."""

    def on_evaluation_end(self, trainer: Trainer, part: str, found: Evaluation) -> None:
        """After an epoch was evaluated on ``part``: ``"validation"`` or ``"test"``."""

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """After the epoch was evaluated; ``row`` is its line of the history."""

    def on_train_end(self, trainer: Trainer) -> None:
        """After the last epoch; who changes the weights sets ``trainer.evaluation = None``."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """When the weights are final and evaluated."""

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        """When the run ends early; ``error`` is raised again afterwards."""

    def state_dict(self) -> dict[str, Any]:
        """Return what the rest of the run depends on: tensors, numbers and strings."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, when a run is resumed."""
