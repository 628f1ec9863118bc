"""The training loop: one screen of code that receives objects.

An epoch: for every batch zero_grad → forward → loss → backward → step; then evaluate; then a row
of the history. Everything else (bar, run folder, pictures) hangs on callbacks.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cnnzoo.errors import CnnzooError
from cnnzoo.model_file import load_model
from cnnzoo.train.batches import Batches, as_batches, check_batch
from cnnzoo.train.callbacks import Callback
from cnnzoo.train.checkpoint import load_checkpoint, random_state, set_random_state
from cnnzoo.train.config import TrainConfig
from cnnzoo.train.device import pick_device
from cnnzoo.train.guard import Interrupted, LossGuard, StopSignal
from cnnzoo.train.history import History, Row
from cnnzoo.train.metrics import EpochMeter, Evaluation
from cnnzoo.train.progress import Progress
from cnnzoo.train.run_folder import RunFolder, claim, read_config

LossFunction = Callable[[Tensor, Tensor], Tensor]


class Trainer:
    """Trains a classifier.

    Args:
        model: any module that maps images (N, C, H, W) to logits (N, classes).
        out: folder to keep the run in; ``None``: nothing is written.
        force: overwrite a run that is already there.
        loss: (logits, labels) → scalar; by default cross-entropy.
        optimizer: an optimizer, or what makes one from the parameters, for example
            ``functools.partial(torch.optim.AdamW, lr=1e-3)``; by default SGD with momentum.
        scheduler: what makes a scheduler from the optimizer; stepped once an epoch.
        callbacks: see `cnnzoo.train.callbacks.Callback`.
        progress: print a line an epoch, with a bar on a terminal.
        record: anything JSON to keep in the run's config.json.
        **settings: ``epochs=10, batch_size=64, lr=0.01, momentum=0.9, seed=0, device="auto"`` …:
            the fields of `cnnzoo.train.config.TrainConfig`.

    Attributes:
        history: a row an epoch.
        evaluation: the last one on the test set.
        should_stop: set it in a callback to end after the current epoch.

    Raises:
        CnnzooError: a setting is unknown or out of range, or ``out`` is taken.

    >>> import cnnzoo
    >>> train, test = cnnzoo.load_data("digits")
    >>> trainer = Trainer(cnnzoo.build("single_layer_cnn"), epochs=1, progress=False)
    >>> trainer.fit(train, test)[0].test_accuracy > 0.5
    True
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        out: str | Path | None = None,
        force: bool = False,
        loss: LossFunction = F.cross_entropy,
        optimizer: Optimizer | Callable[[Iterable[nn.Parameter]], Optimizer] | None = None,
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = True,
        record: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.config = TrainConfig.from_json(settings)
        self.device = pick_device(self.config.device)
        self.model = model.to(self.device)
        self.loss = loss
        self.optimizer = self._make_optimizer(optimizer)
        self.scheduler = scheduler(self.optimizer) if scheduler else None
        self.callbacks = [
            *([Progress()] if progress else []),
            *([RunFolder(claim(out, force=force), record)] if out else []),
            *callbacks,
        ]
        self.history = History()
        self.evaluation: Evaluation | None = None
        self.should_stop = False
        self.epoch = 0  # epochs that are complete
        self.step = 0  # steps done of the next one
        self._meter = EpochMeter(self.device)
        self._seconds = 0.0  # spent on the next one before this session
        self._random: dict[str, Any] | None = None  # generators, where a checkpoint left them

    def fit(self, train: Any, test: Any = None) -> History:
        """Train on ``train`` until all epochs are done, evaluating on ``test`` after each.

        Args:
            train: an image set of `cnnzoo.load_data`, a torch ``Dataset`` of (image, label), or a
                ``DataLoader``.
            test: likewise; ``None``: no test columns in the history.

        Raises:
            CnnzooError: labels do not fit the model, the loss is NaN or infinite, or a file of the
                run cannot be written.
            Interrupted: Ctrl-C (a KeyboardInterrupt), after the step was finished and saved.
        """
        batches = self._batches(train, shuffle=True)
        test_batches = self._batches(test, shuffle=False) if test is not None else None
        self._describe(train)
        self.evaluation, self.should_stop = None, False  # of an earlier fit
        if self._random is None:
            torch.manual_seed(self.config.seed)
        else:
            set_random_state(self._random)
        self._call("on_fit_start", train, test)
        try:
            with StopSignal() as stop:
                while self.epoch < self.config.epochs and not self.should_stop:
                    start = time.perf_counter() - self._seconds
                    self._call("on_epoch_start", len(batches))
                    self._train_epoch(batches, stop, start)
                    if test_batches:
                        self.evaluation = self._evaluate(test_batches)
                    if self.scheduler:
                        self.scheduler.step()
                    self._finish_epoch(start)
                    self._call("on_epoch_end", self.history[-1])
                    self._stop_if(stop, start)
        except BaseException as error:
            self._call("on_exception", error)
            raise
        if self.evaluation is None and test_batches:  # a finished run that was resumed
            self.evaluation = self._evaluate(test_batches)
        self._call("on_fit_end")
        return self.history

    def evaluate(self, test: Any) -> Evaluation:
        """Return loss, accuracy, per-class accuracy and confusion matrix on ``test``."""
        return self._evaluate(self._batches(test, shuffle=False))

    @classmethod
    def resume(
        cls,
        run: str | Path,
        model: nn.Module | None = None,
        *,
        epochs: int | None = None,
        **kw: Any,
    ) -> Trainer:
        """Return a trainer that continues where the run in a folder stopped.

        Args:
            run: folder of the run.
            model: needed only if it was not made by `cnnzoo.build`.
            epochs: train up to this epoch instead.
            **kw: the objects the run was started with (``loss=``, ``optimizer=``, …), if any.

        Raises:
            CnnzooError: the folder holds no run, a damaged one, or one of another model.
        """
        checkpoint = load_checkpoint(Path(run) / "checkpoint.pt")
        saved = read_config(run)
        model = model or load_model(run).model
        settings = saved["config"] | ({"epochs": epochs} if epochs is not None else {})
        trainer = cls(model, **kw, **settings)
        folder = RunFolder(run, saved["record"])
        trainer.callbacks.insert(1 if kw.get("progress", True) else 0, folder)
        trainer.load_state_dict(checkpoint)
        return trainer

    @property
    def resumed(self) -> bool:
        """Whether the run was started by an earlier trainer."""
        return self._random is not None

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self._seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict() if self.scheduler else None,
            "meter": self._meter.state_dict(),
            "history": [dataclasses.asdict(row) for row in self.history],
            "random": random_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            CnnzooError: it is of another model or optimizer.
        """
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.scheduler and state["scheduler"]:
                self.scheduler.load_state_dict(state["scheduler"])
            self._meter.load_state_dict(state["meter"])
            self.history = History(Row(**row) for row in state["history"])
            self.epoch, self.step = state["epoch"], state["step"]
            self._seconds, self._random = state["seconds"], state["random"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CnnzooError(
                f"The checkpoint is of another model or optimizer: {error}"
            ) from error

    def _train_epoch(self, batches: Batches, stop: StopSignal, start: float) -> None:
        self.model.train()
        guard, lr = LossGuard(self.device), self.optimizer.param_groups[0]["lr"]
        for images, labels in batches.epoch(self.epoch, self.step):
            check_batch(images, labels)
            images = images.to(self.device, non_blocking=True)  # (N, C, H, W)
            labels = labels.to(self.device, non_blocking=True)  # (N,)
            self.optimizer.zero_grad(set_to_none=True)
            logits = self.model(images)  # (N, classes)
            loss = self._loss(logits, labels)
            guard.add(loss, self.epoch, self.step, lr)
            loss.backward()
            self.optimizer.step()
            self._meter.add(loss, logits, labels)
            self.step += 1
            self._call("on_step_end")
            self._stop_if(stop, start)
        guard.flush(self.epoch, lr)

    def _finish_epoch(self, start: float) -> None:
        found = self.evaluation
        row = Row(
            epoch=self.epoch + 1,
            train_loss=self._meter.mean_loss,
            train_accuracy=self._meter.accuracy,
            test_loss=found.loss if found else None,
            test_accuracy=found.accuracy if found else None,
            seconds=time.perf_counter() - start,
        )
        self.history.append(row)
        self.epoch, self.step, self._seconds = self.epoch + 1, 0, 0.0
        self._meter = EpochMeter(self.device)

    def _stop_if(self, stop: StopSignal, start: float) -> None:
        if stop.requested and self.epoch < self.config.epochs:
            self._seconds = time.perf_counter() - start if self.step else 0.0
            raise Interrupted(f"Stopped after step {self.step} of epoch {self.epoch + 1}.")

    @torch.inference_mode()
    def _evaluate(self, batches: Batches) -> Evaluation:
        was_training = self.model.training
        self.model.eval()
        meter = EpochMeter(self.device)
        seen: list[tuple[Tensor, Tensor]] = []
        for images, labels in batches.epoch(0):
            check_batch(images, labels)
            on_device = labels.to(self.device)
            logits = self.model(images.to(self.device))
            meter.add(self._loss(logits, on_device), logits, on_device)
            seen.append((logits.float().cpu(), labels))
        self.model.train(was_training)
        logits, labels = (torch.cat(parts) for parts in zip(*seen, strict=True))
        return Evaluation.of(logits, labels, meter.mean_loss)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        try:
            return self.loss(logits, labels)
        except IndexError:  # how cross-entropy puts it on the CPU
            raise CnnzooError(
                f"A label is {int(labels.max())}, but the model knows classes 0 to "
                f"{logits.shape[1] - 1}: build it with num_classes={int(labels.max()) + 1}, "
                "or look at the labels."
            ) from None

    def _make_optimizer(self, given: Any) -> Optimizer:
        if isinstance(given, Optimizer):
            return given
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        if given is not None:
            return given(parameters)
        config = self.config
        return torch.optim.SGD(
            parameters, config.lr, config.momentum, weight_decay=config.weight_decay
        )

    def _batches(self, data: Any, *, shuffle: bool) -> Batches:
        config = self.config
        return as_batches(data, config.batch_size, shuffle=shuffle, seed=config.seed)

    def _describe(self, train: Any) -> None:
        """Tell the model what its inputs and outputs mean, so that `predict` can use it."""
        classes = getattr(train, "classes", None)
        outputs = getattr(self.model, "num_classes", None)
        if classes is not None and outputs is not None and len(classes) != outputs:
            raise CnnzooError(
                f"The model has {outputs} outputs, the data set {len(classes)} classes: build the "
                f"model with num_classes={len(classes)}."
            )
        facts: Any = self.model  # plain attributes of a module, which its type does not know
        facts.classes = tuple(classes or ())
        facts.preprocessing = getattr(train, "preprocessing", None)

    def _call(self, moment: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, moment)(self, *args)
