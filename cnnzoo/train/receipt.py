"""The receipt of a run: all that its bits depend on, and the bits themselves as hashes.

``receipt.json`` is written when a run ends. It holds no time and no path of the run, so the same
run gives the same receipt, however often it was interrupted::

    spec, config, objects, record     what was trained, with which settings
    data                              samples and SHA-256 of train and test
    sessions                          where, on what machine, and up to which epoch it went on;
                                      one unless something changed on the way
    callbacks, validation             what Python added that no file can bring back
    weights                           SHA-256 of the first ones, after each epoch, of the last ones
    steps                             how many; their losses stand in steps.csv
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write
from cnnzoo.train.hashes import data_change, data_facts, weights_hash
from cnnzoo.train.step_trace import StepTrace
from cnnzoo.train.surroundings import LayerWatch, surroundings

if TYPE_CHECKING:
    from cnnzoo.train.trainer import Trainer

_FORMAT = "cnnzoo receipt 1"


class Recorder:
    """Collects what the receipt will say; its state is part of every checkpoint."""

    def __init__(self) -> None:
        self.trace = StepTrace()
        self._facts: dict[str, Any] = {}
        self._watch: LayerWatch | None = None

    def begin(self, trainer: Trainer, train: Any, test: Any) -> None:
        """Note where a run starts or goes on.

        Raises:
            CnnzooError: it goes on, and the data is not what it was.
        """
        data = {"train": data_facts(train), "test": data_facts(test)}
        if trainer.resumed and "data" in self._facts:
            _refuse_other_data(self._facts["data"], data)
        elif trainer.epoch == trainer.step == 0:
            self.trace = StepTrace()
            first = weights_hash(trainer.model.state_dict())
            self._facts = {"data": data, "initial": first, "epochs": [], "sessions": []}
        else:  # taken up from a state that knows nothing of how it began
            unknown = {"initial": None, "epochs": [None] * trainer.epoch, "sessions": []}
            self._facts = {"data": data, **unknown} | self._facts
        known = self._facts.get("callbacks", [])
        self._facts["callbacks"] = sorted({*known, *_callbacks_of_others(trainer)})
        self._facts["validation"] = trainer.has_validation and not trainer.config.hold_out
        self._add_session(trainer)

    def _add_session(self, trainer: Trainer) -> None:
        here = {"epochs": trainer.config.epochs, **surroundings(trainer)}
        sessions = self._facts["sessions"]
        if sessions and {key: sessions[-1].get(key) for key in here} == here:
            return
        place = {"epoch": trainer.epoch, "step": trainer.step}
        if sessions and {key: sessions[-1][key] for key in place} == place:
            sessions.pop()  # it came to nothing
        sessions.append({**place, **here, "implementations": None})

    def before_step(self, trainer: Trainer) -> None:
        """Look who runs the layers, once a session."""
        session = self._facts["sessions"][-1]
        if session["implementations"] is None and not trainer.config.compile:
            self._watch = LayerWatch(trainer.trained)

    def after_step(self, trainer: Trainer) -> None:
        """Note the loss; at once, before anything is saved."""
        assert trainer.last_loss is not None
        self.trace.add(trainer.epoch + 1, trainer.step, trainer.last_loss)
        if self._watch:
            self._facts["sessions"][-1]["implementations"] = self._watch.found
            self.stop()

    def stop(self) -> None:
        """Leave the model as it was found, also after a step that failed."""
        if self._watch:
            self._watch.stop()
            self._watch = None

    def after_epoch(self, trainer: Trainer) -> None:
        """Note the weights; the process that writes does."""
        weights = weights_hash(trainer.model.state_dict()) if trainer.is_main else None
        self._facts["epochs"].append(weights)

    def catch_up(self, trainer: Trainer) -> None:
        """Note what another callback kept this one from hearing of, by ending the run."""
        if trainer.step and (trainer.epoch + 1, trainer.step) != self.trace.last_place:
            self.after_step(trainer)
        if trainer.epoch > len(self._facts["epochs"]):
            self.after_epoch(trainer)

    def write(self, path: Path, run: dict[str, Any], trainer: Trainer) -> None:
        """Write the receipt of a run that has ended; ``run`` is what its config.json says."""
        facts = self._facts
        receipt = {
            "format": _FORMAT,
            **{key: run[key] for key in ("spec", "config", "objects", "record")},
            **{key: facts[key] for key in ("data", "callbacks", "validation", "sessions")},
            "weights": {
                "initial": facts["initial"],
                "epochs": facts["epochs"],
                "final": weights_hash(trainer.model.state_dict()),
            },
            "steps": len(self.trace),
        }
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(receipt, indent=2) + "\n")

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return {"facts": json.dumps(self._facts), "trace": self.trace.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self._facts = json.loads(state["facts"])
        self.trace.load_state_dict(state["trace"])


def read_receipt(run: str | Path) -> dict[str, Any]:
    """Read the receipt of a run.

    Raises:
        CnnzooError: the run has not ended yet, or the file was altered.
    """
    path = Path(run) / "receipt.json"
    try:
        receipt = json.loads(path.read_text())
    except FileNotFoundError:
        raise CnnzooError(
            f"{run} has no receipt.json, which a run gets when it ends. "
            f"If it was interrupted: cnnzoo train --resume {run}"
        ) from None
    except (OSError, ValueError) as error:
        raise CnnzooError(f"{path} is not readable as a receipt ({error}).") from error
    if not isinstance(receipt, dict) or receipt.get("format") != _FORMAT:
        raise CnnzooError(f"{path} is of another version of cnnzoo: it is no {_FORMAT!r}.")
    return receipt


def _refuse_other_data(then: dict[str, Any], now: dict[str, Any]) -> None:
    for part in ("train", "test"):
        change = data_change(then[part], now[part])
        if change:
            raise CnnzooError(
                f"The {part} set is not the one this run was started with: {change}. Bring back "
                "the data as it was, or start a new run in another folder (--out)."
            )


def _callbacks_of_others(trainer: Trainer) -> list[str]:
    kinds = [type(each) for each in trainer.callbacks]
    return [
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in kinds
        if not kind.__module__.startswith("cnnzoo.")
    ]
