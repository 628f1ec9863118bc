"""A bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from cnnzoo.train.callbacks import Callback
from cnnzoo.train.history import table_header, table_row

if TYPE_CHECKING:
    from cnnzoo.train.history import Row
    from cnnzoo.train.trainer import Trainer


class Progress(Callback):
    """Prints a line an epoch, and shows a bar of its steps where a person is watching.

    Args:
        bar: show the bar; ``None``: only if stderr is a terminal.
    """

    def __init__(self, bar: bool | None = None) -> None:
        self._show = sys.stderr.isatty() if bar is None else bar
        self._bar: tqdm[Any] | None = None
        self._validation = False

    def on_fit_start(self, trainer: Trainer, train: Any, test: Any) -> None:
        self._validation = trainer.has_validation
        print(table_header(validation=self._validation), flush=True)
        for row in trainer.history:  # of the run that is continued
            print(table_row(row, validation=self._validation), flush=True)

    def on_epoch_start(self, trainer: Trainer, steps: int) -> None:
        if self._show:
            title = f"epoch {trainer.epoch + 1}/{trainer.config.epochs}"
            self._bar = tqdm(
                total=steps, initial=trainer.step, desc=title, unit="step", leave=False
            )

    def on_step_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.update()

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        self._close()
        print(table_row(row, validation=self._validation), flush=True)

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
