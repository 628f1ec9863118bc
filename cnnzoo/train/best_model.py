"""Ends a run with the weights of its best epoch instead of its last.

Best means: highest accuracy on the held-out part, of equals the lowest loss on it, of equals the
earliest. Without a held-out part: lowest training loss. Never the test set, which would then have
chosen the weights that it is to judge.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnzoo.model_file import save_model
from cnnzoo.train.callbacks import Callback

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnnzoo.train.history import Row
    from cnnzoo.train.trainer import Trainer


class BestModel(Callback):
    """Keeps a copy of the best weights, and puts them into the model when the run ends well.

    The copy is of ``trainer.evaluated``, the module whose numbers stand in the history: the
    averaged weights where the run keeps an average, else the model itself. At the end it is loaded
    into both ``trainer.model`` and ``trainer.evaluated``; **the weights the last step left are
    gone from memory then**, and live on in the run's last checkpoint only. A run that ends by
    Ctrl-C or an error keeps its last weights.

    Args:
        folder: write ``best.safetensors`` there too, at every improvement, so that the best model
            so far can be used while the run goes on; ``None``: memory only.

    Attributes:
        best_epoch: number of the best epoch, from 1; ``None`` before the first.

    Raises:
        CnnzooError: ``best.safetensors`` cannot be written.

    >>> BestModel().best_epoch is None
    True
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = Path(folder) if folder is not None else None
        self._clear()

    def _clear(self) -> None:
        self.best_epoch: int | None = None
        self._score: tuple[float, float] = (-math.inf, -math.inf)
        self._weights: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer, train: Any, test: Any) -> None:
        if not trainer.history:
            self._clear()  # of an earlier run with the same callback

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        score = _score(row)
        if score <= self._score:
            return
        self.best_epoch, self._score = row.epoch, score
        self._weights = {k: v.detach().clone() for k, v in trainer.evaluated.state_dict().items()}
        if self._folder is not None and trainer.is_main:
            self._write(self._folder, trainer.evaluated)

    def on_train_end(self, trainer: Trainer) -> None:
        if self.best_epoch is None:
            return
        if self.best_epoch != trainer.epoch:
            trainer.evaluation = None  # which is of the last epoch
        for module in (trainer.model, trainer.evaluated):  # twice the same one without averaging
            module.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return epoch, score and weights; empty before the first epoch."""
        if self.best_epoch is None:
            return {}
        return {
            "best_epoch": self.best_epoch,
            "score": list(self._score),
            "weights": dict(self._weights),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self._clear()
        if state:
            first, second = state["score"]
            self.best_epoch, self._score = int(state["best_epoch"]), (first, second)
            self._weights = dict(state["weights"])

    @staticmethod
    def _write(folder: Path, module: nn.Module) -> None:
        save_model(
            folder / "best.safetensors",
            module,
            classes=getattr(module, "classes", ()),
            preprocessing=getattr(module, "preprocessing", None),
        )


def _score(row: Row) -> tuple[float, float]:
    """Return what is greater for a better epoch; NaN counts as worst."""
    if row.val_accuracy is None or row.val_loss is None:
        score = (-row.train_loss, 0.0)
    else:
        score = (row.val_accuracy, -row.val_loss)
    return tuple(-math.inf if math.isnan(x) else x for x in score)  # type: ignore[return-value]
