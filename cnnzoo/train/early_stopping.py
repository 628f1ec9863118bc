"""Ends a run that no longer gets better.

It looks at the loss on the held-out part (``hold_out``) if there is one, else at the training loss,
and never at the test set: a run that stops when the test set says so has chosen its weights by it,
and its test accuracy no longer says how good it is on new images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cnnzoo.errors import CnnzooError
from cnnzoo.train.callbacks import Callback

if TYPE_CHECKING:
    from cnnzoo.train.history import Row
    from cnnzoo.train.trainer import Trainer


class EarlyStopping(Callback):
    """Sets ``trainer.should_stop`` after ``patience`` epochs in a row without a new lowest loss.

    It has no state: what it needs stands in the history. So a resumed run continues the count, a
    run that was killed between its last epoch and its end does not train another one, and all
    processes of a run decide alike.

    Args:
        patience: epochs to wait for an improvement, at least 1.

    Raises:
        CnnzooError: ``patience`` is less than 1.

    >>> EarlyStopping(patience=3).patience
    3
    """

    def __init__(self, patience: int) -> None:
        if patience < 1:
            raise CnnzooError(
                f"patience is a number of epochs, at least 1; got {patience}. "
                "To train all epochs, leave EarlyStopping out."
            )
        self.patience = patience

    def on_fit_start(self, trainer: Trainer, train: Any, test: Any) -> None:
        self._look(trainer)  # at the history of the run that is continued

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        self._look(trainer)

    def _look(self, trainer: Trainer) -> None:
        if epochs_without_improvement(trainer.history) >= self.patience:
            trainer.should_stop = True


def epochs_without_improvement(history: Sequence[Row]) -> int:
    """Return how many epochs ago the loss was lowest; ties count for the earlier epoch.

    The loss is ``val_loss`` if the last row has one, else ``train_loss``. One that is NaN is no
    improvement.
    """
    if not history:
        return 0
    name = "train_loss" if history[-1].val_loss is None else "val_loss"
    lowest, best = float("inf"), -1
    for index, row in enumerate(history):
        loss = getattr(row, name)
        if loss < lowest:
            lowest, best = loss, index
    return len(history) - 1 - best
