"""The folder of a run.

::

    checkpoint.pt       everything needed to continue; before the first step, after every epoch,
                        every ``checkpoint_steps`` steps, and on Ctrl-C
    config.json         settings, spec of the model, versions
    model.safetensors   weights, spec, classes and preprocessing; after every epoch
    history.csv         a row an epoch
    steps.csv           the loss of every step; at the end
    receipt.json        what the bits depend on, and their hashes; at the end
    plots/              samples, curves, confusion matrix, worst mistakes; at the end

checkpoint.pt is the truth, all else is derived from it. A kill between any two operations leaves
the run as the last checkpoint knows it, and what is missing or old is written when the run goes on.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write, is_leftover, remove_leftovers
from cnnzoo.model_file import save_model
from cnnzoo.train.callbacks import Callback
from cnnzoo.train.checkpoint import load_checkpoint, save_checkpoint
from cnnzoo.train.guard import Interrupted
from cnnzoo.train.receipt import Recorder

if TYPE_CHECKING:
    from cnnzoo.train.history import Row
    from cnnzoo.train.trainer import Trainer


# Derived from a checkpoint, apart from config.json.
_RESULTS = ("model.safetensors", "history.csv", "steps.csv", "receipt.json")


class RunFolder(Callback):
    """Keeps a run on disk; the last of the callbacks, so that a checkpoint has the others' state.

    Args:
        path: the folder; made when the run starts.
        record: anything JSON that config.json shall keep, such as where the data came from.
    """

    def __init__(self, path: str | Path, record: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        self._record = dict(record or {})
        self._data: tuple[Any, Any] = (None, None)
        self._recorder = Recorder()
        self._config: dict[str, Any] = {}

    def on_fit_start(self, trainer: Trainer, train: Any, test: Any) -> None:
        self._data = (train, test)
        self._recorder.begin(trainer, train, test)
        self._config = {
            "config": trainer.config.to_json(),
            "objects": {key: _name_of(value) for key, value in trainer.given.items()},
            "spec": getattr(trainer.model, "spec", None),
            "record": self._record,
            "versions": {"python": platform.python_version(), "torch": str(torch.__version__)},
        }
        state = trainer.state_dict()  # every process gives its part
        if not trainer.is_main:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CnnzooError(
                f"Cannot make the run folder {self.path}: {error.strerror}."
            ) from error
        remove_leftovers(self.path)
        if not trainer.resumed:
            # Of a run that is overwritten, what is derived goes first: killed here, it can still
            # go on. The checkpoint then becomes the new run's in one step.
            for name in ("config.json", *_RESULTS):
                (self.path / name).unlink(missing_ok=True)
        self._write_state(state)
        with atomic_write(self.path / "config.json") as temporary:
            temporary.write_text(json.dumps(self._config, indent=2) + "\n")
        if trainer.resumed and trainer.epoch < trainer.config.epochs:
            (self.path / "receipt.json").unlink(missing_ok=True)  # it will end anew
            self._save_results(trainer, trainer.evaluated)  # may be older than the checkpoint

    def on_step_start(self, trainer: Trainer) -> None:
        self._recorder.before_step(trainer)

    def on_step_end(self, trainer: Trainer) -> None:
        self._recorder.after_step(trainer)
        every = trainer.config.checkpoint_steps
        if every and trainer.step % every == 0:
            self._save_state(trainer)

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        self._recorder.after_epoch(trainer)
        self._save(trainer)

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        self._recorder.stop()
        # Whatever else happened, the checkpoint of the last good epoch is the one to keep.
        if isinstance(error, Interrupted):
            self._recorder.catch_up(trainer)
            self._save(trainer)
            error.args = (f"{error} Saved; continue with: cnnzoo train --resume {self.path}",)

    def on_fit_end(self, trainer: Trainer) -> None:
        if trainer.is_main:
            self._save_results(trainer, trainer.model)  # by now with the averaged or best weights
            self._recorder.trace.to_csv(self.path / "steps.csv")
            self._recorder.write(self.path / "receipt.json", self._config, trainer)
            draw_plots(self.path / "plots", trainer, *self._data)

    def state_dict(self) -> dict[str, Any]:
        """Return config.json and what the receipt will need."""
        return {"config": json.dumps(self._config), "recorder": self._recorder.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        if state:
            self._recorder.load_state_dict(state["recorder"])

    def _save(self, trainer: Trainer) -> None:
        self._save_state(trainer)
        if trainer.is_main:
            self._save_results(trainer, trainer.evaluated)

    def _save_state(self, trainer: Trainer) -> None:
        state = trainer.state_dict()  # every process gives its part
        if trainer.is_main:
            self._write_state(state)

    def _write_state(self, state: dict[str, Any]) -> None:
        file = self.path / "checkpoint.pt"
        try:
            save_checkpoint(file, state)
        except CnnzooError as error:
            if not file.is_file():
                raise
            raise CnnzooError(
                f"{error} When there is room again: cnnzoo train --resume {self.path}"
            ) from error

    def _save_results(self, trainer: Trainer, model: nn.Module) -> None:
        facts: Any = trainer.model  # what a data set told it
        save_model(
            self.path / "model.safetensors",
            model,
            classes=getattr(facts, "classes", ()),
            preprocessing=getattr(facts, "preprocessing", None),
        )
        trainer.history.to_csv(self.path / "history.csv")


def _name_of(thing: Any) -> str:
    """Say what an object is that was handed in, for whoever has to hand it in again."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def claim(path: str | Path, *, force: bool) -> Path:
    """Return ``path`` if a new run may be written there.

    Raises:
        CnnzooError: it is a file, or a folder that has something in it; with ``force`` a folder
            that holds a run is accepted, and its files are replaced one by one.
    """
    path = Path(path)
    if path.is_file():
        raise CnnzooError(f"{path} is a file; a run needs a folder of its own.")
    # Killed before its first checkpoint, a run leaves no more than a temporary file.
    if path.is_dir() and not all(is_leftover(each) for each in path.iterdir()):
        if not any((path / name).is_file() for name in ("checkpoint.pt", "config.json")):
            raise CnnzooError(f"{path} holds files that are no run: choose another folder.")
        if not force:
            raise CnnzooError(
                f"{path} holds a run already. Continue it (--resume), choose another folder "
                "(--out), or overwrite it (--force)."
            )
    return path


def read_config(path: str | Path) -> dict[str, Any]:
    """Read what config.json of a run says; where it is missing, its checkpoint knows it too.

    Raises:
        CnnzooError: the folder holds no run, or the file was altered.
    """
    file = Path(path) / "config.json"
    try:
        if not file.is_file() and (file.parent / "checkpoint.pt").is_file():
            values = json.loads(_of_checkpoint(file.parent / "checkpoint.pt"))
        else:
            values = json.loads(file.read_text())
        return {key: values[key] for key in ("config", "objects", "spec", "record")}
    except FileNotFoundError:
        raise CnnzooError(f"{path} is no folder of a run: it has no config.json.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, CnnzooError):
            raise
        raise CnnzooError(f"{file} is not readable as the settings of a run ({error}).") from error


def _of_checkpoint(path: Path) -> str:
    text: str = load_checkpoint(path)["callbacks"]["RunFolder"]["config"]
    return text


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
