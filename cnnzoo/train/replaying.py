"""Training a run again, to see whether the same bits come out.

Nothing is written. The run's `steps.csv` says what each loss has to be, `receipt.json` what the
weights have to be after each epoch; the first step that differs ends it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cnnzoo.errors import CnnzooError
from cnnzoo.model_file import build_spec
from cnnzoo.train.callbacks import Callback
from cnnzoo.train.checkpoint import seed_generators
from cnnzoo.train.hashes import data_change, data_facts, weights_hash
from cnnzoo.train.receipt import read_receipt
from cnnzoo.train.step_trace import Step, StepTrace
from cnnzoo.train.surroundings import LayerWatch, differences, surroundings

if TYPE_CHECKING:
    from cnnzoo.train.history import Row
    from cnnzoo.train.trainer import Trainer

Place = tuple[int, int]  # epochs that are complete, steps done of the next one


@dataclass(frozen=True)
class Replay:
    """What came of training a run again.

    Attributes:
        identical: every loss, the weights after every epoch and the final ones are the same bits.
        sentence: the same in words, or where the first difference is.
        steps: how many steps were found equal.
        epoch: of the first step that differs, from 1; ``None`` if no loss does.
        step: its number in that epoch, from 1.
        loss: what it is now.
        loss_then: what it was.
    """

    identical: bool
    sentence: str
    steps: int
    epoch: int | None = None
    step: int | None = None
    loss: float | None = None
    loss_then: float | None = None


def replay(
    run: str | Path,
    train: Any,
    test: Any = None,
    *,
    model: nn.Module | None = None,
    **objects: Any,
) -> Replay:
    """Train the run in a folder again and compare it step by step.

    torch's threads are set to the number the run had, and back again afterwards. What else differs
    from then (versions, processor, implementations of layers) is warned of: the bits may differ for
    that reason alone.

    Args:
        run: folder of a run that has ended.
        train: the data it was trained on.
        test: the data it was tested on.
        model: with its first weights; by default what ``cnnzoo.build`` makes of the run's spec
            right after its seed was set, as ``cnnzoo train`` does it.
        **objects: what the run was started with from Python (``loss=``, ``optimizer=``, …).

    Raises:
        CnnzooError: the run has not ended, or cannot be repeated with what is here.
    """
    receipt = read_receipt(run)
    _refuse_what_is_missing(receipt, objects)
    for part, data in (("train", train), ("test", test)):
        change = data_change(receipt["data"][part], data_facts(data))
        if change:
            sentence = f"The {part} set is not the one of the run: {change}."
            return Replay(False, sentence, steps=0)
    model = model or _first_model(receipt, run)
    if weights_hash(model.state_dict()) != receipt["weights"]["initial"]:
        raise CnnzooError(
            f"The run did not begin with the weights that {_name(receipt)} has after seed "
            f"{receipt['config']['seed']}: its model was made in another way, or by another "
            "version. From Python, cnnzoo.train.replay(run, train, test, model=…) takes it."
        )
    check = _Check(receipt, StepTrace.read_csv(Path(run) / "steps.csv"))
    threads = torch.get_num_threads()
    try:
        _train_again(
            receipt, check, model, train, test if receipt["data"]["test"] else None, objects
        )
    except _Differs as difference:
        return difference.replay
    finally:
        torch.set_num_threads(threads)
    return check.conclude(model)


def _train_again(
    receipt: dict[str, Any],
    check: _Check,
    model: nn.Module,
    train: Any,
    test: Any,
    objects: dict[str, Any],
) -> None:
    """Train session by session, as the run did."""
    from cnnzoo.train.trainer import Trainer

    state: dict[str, Any] | None = None
    sessions = receipt["sessions"]
    ends: list[Place | None] = [(each["epoch"], each["step"]) for each in sessions[1:]]
    for session, end in zip(sessions, [*ends, None], strict=True):
        torch.set_num_threads(session["threads"])
        settings = receipt["config"] | {"epochs": session["epochs"]} | objects
        trainer = Trainer(model, progress=False, callbacks=[check], **settings)
        if state is not None:
            trainer.load_state_dict(state)
        _warn_of(differences(session, surroundings(trainer)))
        check.session, check.end = session, end
        try:
            trainer.fit(train, test)
        except _Reached:
            state = trainer.state_dict()


class _Reached(Exception):  # noqa: N818
    """The run went on from here in another session."""


class _Differs(Exception):  # noqa: N818
    def __init__(self, replay: Replay) -> None:
        self.replay = replay


class _Check(Callback):
    """Compares while it trains."""

    def __init__(self, receipt: dict[str, Any], trace: list[Step]) -> None:
        self._weights, self._trace = receipt["weights"], trace
        self._steps = 0
        self._watch: LayerWatch | None = None
        self.session: dict[str, Any] = {}
        self.end: Place | None = None

    def on_step_start(self, trainer: Trainer) -> None:
        if self.session["implementations"] is not None and not self._watch:
            self._watch = LayerWatch(trainer.trained)

    def on_step_end(self, trainer: Trainer) -> None:
        if self._watch and self.session["implementations"] is not None:
            self._watch.stop()
            _warn_of(differences(self.session["implementations"], self._watch.found))
            self.session["implementations"], self._watch = None, None
        if self._steps == len(self._trace):
            raise _Differs(Replay(False, f"It goes on after {self._steps} steps.", self._steps))
        assert trainer.last_loss is not None
        then, loss = self._trace[self._steps], float(trainer.last_loss)
        place = (trainer.epoch + 1, trainer.step)
        if place != then[:2] or loss != then.loss:
            raise _Differs(_difference(then, *place, loss, self._steps))
        self._steps += 1
        self._stop_at_end(trainer)

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        if weights_hash(trainer.model.state_dict()) != self._weights["epochs"][row.epoch - 1]:
            sentence = f"Every loss is equal, but not the weights after epoch {row.epoch}."
            raise _Differs(Replay(False, sentence, self._steps))
        self._stop_at_end(trainer)

    def _stop_at_end(self, trainer: Trainer) -> None:
        if (trainer.epoch, trainer.step) == self.end:
            raise _Reached

    def conclude(self, model: nn.Module) -> Replay:
        """Say what came of it, after the last step."""
        steps, wanted = self._steps, len(self._trace)
        if steps < wanted:
            return Replay(False, f"It ends after {steps} of {wanted} steps.", steps)
        final = weights_hash(model.state_dict())
        if final != self._weights["final"]:
            return Replay(False, "All is equal but the weights it ends with.", steps)
        sentence = (
            f"identical: {steps} losses, the weights after {len(self._weights['epochs'])} epoch(s) "
            f"and the final ones (SHA-256 {final[:12]}…)"
        )
        return Replay(True, sentence, steps)


def _difference(then: Step, epoch: int, step: int, loss: float, equal: int) -> Replay:
    sentence = (
        f"The first difference is at step {step} of epoch {epoch}: "
        f"the loss is {loss!r} and was {then.loss!r}, {loss - then.loss:+.3g}."
    )
    if (epoch, step) != then[:2]:
        sentence = (
            f"After {equal} equal steps comes step {step} of epoch {epoch}; "
            f"it was step {then.step} of epoch {then.epoch}."
        )
    return Replay(False, sentence, equal, epoch, step, loss, then.loss)


def _refuse_what_is_missing(receipt: dict[str, Any], objects: dict[str, Any]) -> None:
    missing = receipt["objects"].keys() - objects.keys()
    if missing:
        key = min(missing)
        raise CnnzooError(
            f"The run was started from Python with a {key} of its own ({receipt['objects'][key]}): "
            f"no file can bring it back; cnnzoo.train.replay(run, train, test, {key}=…) takes it."
        )
    if receipt["validation"]:
        raise CnnzooError(
            "The run was given a validation set from Python, which its folder does not know: only "
            "runs with hold_out, or without validation, can be repeated."
        )
    processes = max(each["processes"] for each in receipt["sessions"])
    if processes > 1:
        raise CnnzooError(
            f"The run was shared by {processes} processes; only runs of one can be repeated here."
        )
    if receipt["callbacks"]:
        _warn_of([f"callbacks of its own are missing here: {', '.join(receipt['callbacks'])}"])


def _first_model(receipt: dict[str, Any], run: str | Path) -> nn.Module:
    seed_generators(receipt["config"]["seed"])
    return build_spec(receipt["spec"], run)


def _name(receipt: dict[str, Any]) -> str:
    return str((receipt["spec"] or {}).get("model", "the model"))


def _warn_of(changes: list[str]) -> None:
    for change in changes:
        warnings.warn(f"Not as it was in the run: {change}; the bits may differ.", stacklevel=3)
