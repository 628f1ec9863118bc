"""The folder of a run.

::

    config.json         settings, spec of the model, versions; written before the first step
    checkpoint.pt       everything needed to continue; after every epoch, and on Ctrl-C
    model.safetensors   weights, spec, classes and preprocessing; after every epoch
    history.csv         a row an epoch
    plots/              samples, curves, confusion matrix, worst mistakes; at the end
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write
from cnnzoo.model_file import save_model
from cnnzoo.train.callbacks import Callback
from cnnzoo.train.checkpoint import save_checkpoint
from cnnzoo.train.guard import Interrupted

if TYPE_CHECKING:
    from cnnzoo.train.history import Row
    from cnnzoo.train.trainer import Trainer


class RunFolder(Callback):
    """Keeps a run on disk.

    Args:
        path: the folder; made when the run starts.
        record: anything JSON that config.json shall keep, such as where the data came from.
    """

    def __init__(self, path: str | Path, record: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        self._record = dict(record or {})
        self._data: tuple[Any, Any] = (None, None)

    def on_fit_start(self, trainer: Trainer, train: Any, test: Any) -> None:
        self._data = (train, test)
        config = {
            "config": trainer.config.to_json(),
            "spec": getattr(trainer.model, "spec", None),
            "record": self._record,
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        }
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CnnzooError(
                f"Cannot make the run folder {self.path}: {error.strerror}."
            ) from error
        if not trainer.resumed:
            for name in ("checkpoint.pt", "model.safetensors", "history.csv"):
                (self.path / name).unlink(missing_ok=True)  # an overwritten run's would mislead
        with atomic_write(self.path / "config.json") as temporary:
            temporary.write_text(json.dumps(config, indent=2) + "\n")

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        self._save(trainer)

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        # Whatever else happened, the checkpoint of the last good epoch is the one to keep.
        if isinstance(error, Interrupted):
            self._save(trainer)
            error.args = (f"{error} Saved; continue with: cnnzoo train --resume {self.path}",)

    def on_fit_end(self, trainer: Trainer) -> None:
        if not (self.path / "model.safetensors").exists():
            self._save(trainer)
        draw_plots(self.path / "plots", trainer, *self._data)

    def _save(self, trainer: Trainer) -> None:
        save_checkpoint(self.path / "checkpoint.pt", trainer.state_dict())
        save_model(
            self.path / "model.safetensors",
            trainer.model,
            classes=getattr(trainer.model, "classes", ()),
            preprocessing=getattr(trainer.model, "preprocessing", None),
        )
        trainer.history.to_csv(self.path / "history.csv")


def claim(path: str | Path, *, force: bool) -> Path:
    """Return ``path`` if a new run may be written there.

    Raises:
        CnnzooError: it is a file, or a folder that has something in it; with ``force`` a folder
            that holds a run is accepted, and its files are replaced one by one.
    """
    path = Path(path)
    if path.is_file():
        raise CnnzooError(f"{path} is a file; a run needs a folder of its own.")
    if path.is_dir() and any(path.iterdir()):
        if not (path / "config.json").is_file():
            raise CnnzooError(f"{path} holds files that are no run: choose another folder.")
        if not force:
            raise CnnzooError(
                f"{path} holds a run already. Continue it (--resume), choose another folder "
                "(--out), or overwrite it (--force)."
            )
    return path


def read_config(path: str | Path) -> dict[str, Any]:
    """Read config.json of a run.

    Raises:
        CnnzooError: the folder holds no run, or the file was altered.
    """
    file = Path(path) / "config.json"
    try:
        values = json.loads(file.read_text())
        return {key: values[key] for key in ("config", "spec", "record")}
    except FileNotFoundError:
        raise CnnzooError(f"{path} is no folder of a run: it has no config.json.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CnnzooError(f"{file} is not readable as the settings of a run ({error}).") from error


def draw_plots(folder: Path, trainer: Trainer, train: Any, test: Any) -> None:
    """Draw what can be drawn: pictures of samples need the images in memory."""
    from cnnzoo import plots

    folder.mkdir(exist_ok=True)
    classes = getattr(trainer.model, "classes", ())
    if trainer.history:
        plots.save(plots.curves(trainer.history), folder / "curves.png")
    if hasattr(train, "images"):
        plots.save(plots.samples(train.images, train.labels, classes), folder / "samples.png")
    found = trainer.evaluation
    if found is None:
        return
    names = classes or [str(number) for number in range(len(found.confusion))]
    plots.save(plots.confusion(found.confusion, names), folder / "confusion.png")
    if hasattr(test, "images"):
        figure = plots.mistakes(
            test.images, found.labels, found.predictions, found.confidences, names
        )
        plots.save(figure, folder / "mistakes.png")
