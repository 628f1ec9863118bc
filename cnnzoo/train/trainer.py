"""The training loop: one screen of code that receives objects.

An epoch: for every batch zero_grad → forward → loss → backward → step; then evaluate; then a row
of the history. Everything else (bar, run folder, pictures) hangs on callbacks.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cnnzoo.errors import CnnzooError
from cnnzoo.model_file import build_spec
from cnnzoo.train import run_state
from cnnzoo.train.augment import draw, make_augmentation
from cnnzoo.train.averaging import Average
from cnnzoo.train.batches import Batches, Part, as_batches, check_batch, hold_out, parts
from cnnzoo.train.best_model import BestModel
from cnnzoo.train.callbacks import Callback
from cnnzoo.train.checkpoint import load_checkpoint, seed_generators, set_random_state
from cnnzoo.train.config import TrainConfig
from cnnzoo.train.describing import describe
from cnnzoo.train.device import pick_device
from cnnzoo.train.early_stopping import EarlyStopping
from cnnzoo.train.evaluating import evaluate
from cnnzoo.train.guard import Interrupted, LossGuard, StopSignal, out_of_memory
from cnnzoo.train.history import History, Row
from cnnzoo.train.learning_rate import LearningRate
from cnnzoo.train.losses import make_loss
from cnnzoo.train.making_optimizer import optimizer_of_run
from cnnzoo.train.metrics import EpochMeter, Evaluation
from cnnzoo.train.processes import Processes
from cnnzoo.train.profile import NoClock, StepClock
from cnnzoo.train.progress import Progress
from cnnzoo.train.recipes import load_recipe
from cnnzoo.train.restart import claim_or_go_on
from cnnzoo.train.run_folder import RunFolder, read_config

LossFunction = Callable[[Tensor, Tensor], Tensor]


class Trainer:
    """Trains a classifier.

    Args:
        model: any module that maps images (N, C, H, W) to logits (N, classes).
        recipe: settings to start from, by name or path (`cnnzoo.train.recipes`).
        out: folder to keep the run in; ``None``: nothing is written.
        force: overwrite a run that is already there.
        loss: a name, or (logits, labels) → scalar, the mean over the samples; by default
            cross-entropy.
        optimizer: a name, an optimizer, or what makes one from the parameters, for example
            ``functools.partial(torch.optim.AdamW, lr=1e-3)``; by default SGD with momentum.
        scheduler: a name, or what makes one of torch's schedulers from the optimizer.
        scheduler_every: when torch's is stepped: after each ``"epoch"`` or each ``"step"``.
        callbacks: see `cnnzoo.train.callbacks.Callback`.
        progress: print a line an epoch, with a bar on a terminal.
        record: anything JSON to keep in the run's config.json.
        **settings: ``epochs=10, batch_size=64, lr=0.01, momentum=0.9, seed=0, device="auto"`` …:
            the fields of `cnnzoo.train.config.TrainConfig`.

    Attributes:
        history: a row an epoch.
        evaluation: the last one on the test set.
        has_validation: whether there is a part to choose by.
        should_stop: set it in a callback to end after the current epoch.
        last_loss: of the last batch, before its step.
        profile: where the time went, after ``fit(profile=True)``: ``profile.table()``.

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
        recipe: str | Path | None = None,
        out: str | Path | None = None,
        force: bool = False,
        loss: str | LossFunction | None = None,
        optimizer: str | Optimizer | Callable[[Iterable[nn.Parameter]], Optimizer] | None = None,
        scheduler: str | Callable[[Optimizer], LRScheduler] | None = None,
        scheduler_every: str = "epoch",
        callbacks: Sequence[Callback] = (),
        progress: bool = True,
        record: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        objects: dict[str, Any] = {"loss": loss, "optimizer": optimizer, "scheduler": scheduler}
        names = {key: value for key, value in objects.items() if isinstance(value, str)}
        self.given = {k: v for k, v in objects.items() if v is not None and k not in names}
        chosen = load_recipe(recipe) if recipe else {}
        self.config = config = TrainConfig.from_json(chosen | settings | names)
        self.device = pick_device(config.device)
        self.processes = Processes.join()
        self.is_main = self.processes.is_main
        self.device = self.processes.place(self.device)
        found = claim_or_go_on(self.processes, out, config, force=force) if out else None
        sharded = config.parallel == "fsdp" and self.processes.world > 1
        self.model = model.to("cpu" if sharded else self.device)
        self.processes.spread(self.model)  # before anything copies the weights
        if config.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.trained = copy.deepcopy(self.model) if sharded else self.model
        self.average = Average(self.trained, config.ema) if config.ema else None
        self.loss: LossFunction = self.given.get("loss") or make_loss(
            config.loss, label_smoothing=config.label_smoothing
        )
        self.pieces: Pieces | None = None
        if sharded:
            from cnnzoo.train.sharding import Pieces  # FSDP2 takes long to import

            self.pieces = Pieces(self.model, self.trained, self.average, self.device)
        self._forward = self.trained if sharded else self.processes.share(self.model)
        self.optimizer = optimizer_of_run(
            self.trained, config, self.given.get("optimizer"), in_pieces=sharded
        )
        self.rate = LearningRate(
            self.optimizer, config, self.given.get("scheduler"), scheduler_every
        )
        self.augmentation = make_augmentation(config.augment)
        if config.compile:
            self._forward.compile()  # in place: a torch.compile of it would be another module
        self.callbacks: list[Callback] = [
            *([Progress()] if progress and self.is_main else []),
            *([EarlyStopping(config.patience)] if config.patience else []),
            *([BestModel()] if config.keep_best else []),
            *callbacks,
            *([RunFolder(out, record)] if out else []),  # saves what they know
        ]
        self.history = History()
        self.evaluation: Evaluation | None = None
        self.profile: StepClock | None = None
        self.last_loss: Tensor | None = None
        self.has_validation = False
        self.should_stop = False
        self.resumed = False  # whether the run was started by an earlier trainer
        self.epoch = 0  # epochs that are complete
        self.step = 0  # steps done of the next one
        self.meter = EpochMeter(self.device)
        self.seconds = 0.0  # spent on the next one before this session
        self.random: dict[str, Any] | None = None  # generators, where a checkpoint left them
        self._clock: StepClock | NoClock = NoClock()
        if found:  # torchrun has started this process again
            self.load_state_dict(found)

    def fit(
        self, train: Any, test: Any = None, *, validation: Any = None, profile: bool = False
    ) -> History:
        """Train on ``train`` until all epochs are done, evaluating after each.

        Args:
            train: an image set of `cnnzoo.load_data`, a torch ``Dataset`` of (image, label), or a
                ``DataLoader``.
            test: likewise; ``None``: no test columns in the history. Nothing is chosen by it.
            validation: likewise, to choose by; ``None``: the part of ``train`` that the setting
                ``hold_out`` asks for, if any.
            profile: measure where the time goes, into `profile`.

        Raises:
            CnnzooError: labels do not fit the model, the loss is NaN or infinite, the memory does
                not suffice, or a file of the run cannot be written.
            Interrupted: Ctrl-C (a KeyboardInterrupt) or SIGTERM, after the step was finished and
                saved.
        """
        describe(self.model, train)
        rest = train
        if self.config.hold_out and validation is None:
            rest, validation = hold_out(train, self.config.hold_out, self.config.seed)
        batches = self._batches(rest, shuffle=True)
        to_evaluate = {
            part: self._batches(data, shuffle=False)
            for part, data in (("validation", validation), ("test", test))
            if data is not None
        }
        self.has_validation = validation is not None
        if self.config.keep_best and not self.has_validation:
            raise CnnzooError(
                "keep_best chooses an epoch by images that were not trained on: give hold_out=0.1, "
                "or fit(…, validation=…)."
            )
        self.rate.plan(-(-len(batches) // self.config.accumulate))
        self.evaluation = None  # of an earlier fit
        self.should_stop = self.should_stop and self.resumed
        self.profile = StepClock(self.device) if profile else None
        self._clock = clock = self.profile or NoClock()
        if self.random is None:
            seed_generators(self.config.seed + self.processes.rank)
        else:
            set_random_state(self.random)
        self._call("on_fit_start", train, test)
        try:
            with StopSignal(self.processes) as stop:
                clock.start()
                while self.epoch < self.config.epochs and not self.should_stop:
                    start = time.perf_counter() - self.seconds
                    self._call("on_epoch_start", -(-len(batches) // self.config.accumulate))
                    self._train_epoch(batches, stop, start)
                    found = self._evaluate_all(to_evaluate)
                    clock("evaluation")
                    self._finish_epoch(found, start)
                    self.gather()
                    self._call("on_epoch_end", self.history[-1])
                    self.should_stop = self.processes.any(self.should_stop)
                    clock("logging")
                    self._stop_if(stop, start)
            if self.average:
                self.average.copy_to_model()
            self.gather()
            self._call("on_train_end")
            if self.pieces:
                self.pieces.scatter()  # the best ones, perhaps
            if self.evaluation is None:  # other weights, or a finished run that was resumed
                self._evaluate_all(to_evaluate)
            self._call("on_fit_end")
        except BaseException as error:
            self._call("on_exception", error)
            known = out_of_memory(error, self.config) or error
            raise self.processes.last_words(known) from None
        return self.history

    def evaluate(self, test: Any) -> Evaluation:
        """Return loss, accuracy, per-class accuracy and confusion matrix on ``test``."""
        with self.processes.explained():
            return self._evaluate(self._batches(test, shuffle=False))

    @property
    def evaluated(self) -> nn.Module:
        """The module that is evaluated and kept: with averaged weights, if there are any."""
        if self.pieces:
            return self.pieces.whole_average or self.model
        return self.average.model if self.average else self.model

    def gather(self) -> None:
        """Bring `model` and `evaluated` up to date, where each process trains a piece of them."""
        if self.pieces:
            self.pieces.gather()

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
        checkpoint, saved = Processes.join().from_main(  # the others may not have the folder
            lambda: (load_checkpoint(Path(run) / "checkpoint.pt"), read_config(run))
        )
        model = model or build_spec(saved["spec"], run)
        missing = saved["objects"].keys() - kw.keys()
        if missing:
            key = min(missing)
            raise CnnzooError(
                f"The run was started with a {key} of its own ({saved['objects'][key]}): hand it "
                f"to Trainer.resume again, {key}=…"
            )
        settings = saved["config"] | ({"epochs": epochs} if epochs is not None else {})
        trainer = cls(model, **settings | kw)
        trainer.callbacks.append(RunFolder(run, saved["record"]))
        trainer.load_state_dict(checkpoint)
        if epochs is not None:
            trainer.should_stop = False
        return trainer

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on; every process has to call it."""
        return run_state.collect(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            CnnzooError: it is of another model or optimizer.
        """
        run_state.restore(self, state)

    def _train_epoch(self, batches: Batches, stop: StopSignal, start: float) -> None:
        self.trained.train()
        guard, clock = LossGuard(self.device), self._clock
        for part in parts(
            batches, self.epoch, self.step, self.config.accumulate, self.processes.world
        ):
            clock("data")
            if part.first:
                self._call("on_step_start")
                self.rate.before_step(self.epoch, self.step)
                self.optimizer.zero_grad(set_to_none=True)
            images, labels = self._prepare(part)  # (N, C, H, W), (N,)
            with self.processes.averaging(self._forward, part.last):
                with self._autocast():
                    logits = self._forward(images)  # (N, classes)
                    loss = self._loss(logits, labels)
                guard.add(loss, self.epoch, self.step, self.rate.now)
                clock("forward")
                (loss if part.weight == 1 else loss * part.weight).backward()
            clock("backward")
            self.meter.add(loss, logits, labels)
            clock.images += len(labels)
            clock("metrics")
            if part.last:
                self._update()
                clock("step")
                self.last_loss = loss.detach()
                self.step += 1
                self._call("on_step_end")
                self._stop_if(stop, start)
                clock("logging")
        guard.flush(self.epoch, self.rate.now)

    def _prepare(self, part: Part) -> tuple[Tensor, Tensor]:
        """Bring a batch to the device, in the memory order and with the changes asked for."""
        check_batch(part.images, part.labels)
        images = part.images.to(self.device, non_blocking=True)
        labels = part.labels.to(self.device, non_blocking=True)
        if self.augmentation:
            # Drawn for the batch of all processes: what happens to an image does not depend on
            # how many share the work.
            key = (self.config.seed, self.epoch, part.position)
            numbers = draw(self.augmentation, part.total, *key)
            mine = numbers[self.processes.rank :: self.processes.world]
            images = self.augmentation(images, mine.to(self.device))
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images, labels

    def _update(self) -> None:
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.trained.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.rate.after_step()
        if self.average:
            self.average.update()

    def _finish_epoch(self, found: Mapping[str, Evaluation], start: float) -> None:
        self.meter.add_up(self.processes)
        validation, test = found.get("validation"), found.get("test")
        row = Row(
            epoch=self.epoch + 1,
            lr=self.rate.now,
            train_loss=self.meter.mean_loss,
            train_accuracy=self.meter.accuracy,
            val_loss=validation.loss if validation else None,
            val_accuracy=validation.accuracy if validation else None,
            test_loss=test.loss if test else None,
            test_accuracy=test.accuracy if test else None,
            seconds=time.perf_counter() - start,
        )
        self.rate.after_epoch(row)
        self.history.append(row)
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.meter = EpochMeter(self.device)

    def _stop_if(self, stop: StopSignal, start: float) -> None:
        if self.epoch >= self.config.epochs:
            return
        if stop.agreed():
            self.seconds = time.perf_counter() - start if self.step else 0.0
            raise Interrupted(f"Stopped after step {self.step} of epoch {self.epoch + 1}.")

    def _evaluate_all(self, to_evaluate: Mapping[str, Batches]) -> dict[str, Evaluation]:
        found = {}
        for part, batches in to_evaluate.items():
            found[part] = self._evaluate(batches)
            if part == "test":
                self.evaluation = found[part]
            self._call("on_evaluation_end", part, found[part])
        return found

    def _evaluate(self, batches: Batches) -> Evaluation:
        model = self.average.model if self.average else self.trained
        return evaluate(model, batches, self._loss, self.device, self.processes, self._autocast)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.config.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if not len(labels):  # this process has no sample of a small last batch, and waits for none
            return logits.sum() * 0
        try:
            return self.loss(logits, labels)
        except IndexError:  # how cross-entropy puts it on the CPU
            raise CnnzooError(
                f"A label is {int(labels.max())}, but the model knows classes 0 to "
                f"{logits.shape[1] - 1}: build it with num_classes={int(labels.max()) + 1}, "
                "or look at the labels."
            ) from None

    def _batches(self, data: Any, *, shuffle: bool) -> Batches:
        config, processes = self.config, self.processes
        return as_batches(
            data,
            config.batch_size,
            shuffle=shuffle,
            seed=config.seed,
            rank=processes.rank,
            world=processes.world,
        )

    def _call(self, moment: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, moment)(self, *args)
