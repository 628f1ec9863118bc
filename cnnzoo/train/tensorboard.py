"""The history of a run for TensorBoard: ``tensorboard --logdir FOLDER``.

Needs the extra ``tensorboard``. ``history.csv`` holds the same numbers, always and exactly.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnzoo.errors import CnnzooError
from cnnzoo.train.callbacks import Callback

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from cnnzoo.train.history import Row
    from cnnzoo.train.trainer import Trainer


class TensorBoard(Callback):
    """Writes every column of the history as a scalar over the epochs, and the settings as text.

    ``train_loss``, ``val_loss`` and ``test_loss`` become ``loss/train``, ``loss/val`` and
    ``loss/test``, which TensorBoard draws side by side; likewise ``accuracy/…``; ``lr`` and
    ``seconds`` keep their names. Of several processes the main one writes.

    A resumed run continues its curves: what the killed one wrote after its last checkpoint is
    marked as void. A new run in the same folder voids everything that is there.

    Args:
        folder: where the event files go; made if needed.

    Raises:
        CnnzooError: the package tensorboard is missing, or the folder cannot be made.
    """

    def __init__(self, folder: str | Path) -> None:
        _writer_class()  # so that a missing package is noticed before the run, not in it
        self.folder = Path(folder)
        self._writer: SummaryWriter | None = None

    def on_fit_start(self, trainer: Trainer, train: Any, test: Any) -> None:
        if not trainer.is_main:
            return
        done = trainer.epoch
        try:
            # void from the last finished epoch on, and write that one again: a run killed between
            # its checkpoint and this callback never wrote it
            self._writer = _writer_class()(str(self.folder), purge_step=done)
        except OSError as error:
            raise CnnzooError(
                f"Cannot write TensorBoard's files in {self.folder}: {error.strerror}."
            ) from error
        settings = json.dumps(trainer.config.to_json(), indent=2)
        indented = "".join(f"    {line}\n" for line in settings.splitlines())  # code in Markdown
        self._writer.add_text("settings", indented, done)
        for row in trainer.history[-1:]:
            self._add(row)
        self._writer.flush()

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        if self._writer is not None:
            self._add(row)
            self._writer.flush()  # a person is watching; a killed run shall lose nothing

    def on_fit_end(self, trainer: Trainer) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        self._close()

    def _add(self, row: Row) -> None:
        assert self._writer is not None
        for each in dataclasses.fields(row):
            value = getattr(row, each.name)
            if each.name != "epoch" and value is not None:
                self._writer.add_scalar(_tag(each.name), value, row.epoch)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _tag(column: str) -> str:
    part, _, what = column.partition("_")
    return f"{what}/{part}" if what else column


def _writer_class() -> type[SummaryWriter]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:  # torch also raises it for a version that is too old
        raise CnnzooError(
            f"TensorBoard needs the package tensorboard ({error}): "
            'pip install "cnnzoo[tensorboard]".'
        ) from None
    return SummaryWriter
