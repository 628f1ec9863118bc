"""What moves the learning rate: a schedule by name, or a scheduler of torch's.

A named schedule is a function of the step alone, so a run that goes on needs no state of it. One of
torch's schedulers has a state, which the checkpoint keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from cnnzoo.errors import CnnzooError
from cnnzoo.train.config import TrainConfig
from cnnzoo.train.history import Row
from cnnzoo.train.schedules import check_schedule, make_schedule


class LearningRate:
    """Sets the learning rate of an optimizer.

    Args:
        optimizer: whose rates, as they are now, are the highest ones.
        config: names the schedule.
        scheduler: what makes one of torch's from the optimizer, in place of the named one.
        every: when torch's is stepped: after an ``"epoch"`` or a ``"step"``.

    Attributes:
        scheduler: torch's, or ``None``.

    Raises:
        CnnzooError: ``every`` is neither, or there is no such schedule.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        config: TrainConfig,
        scheduler: Callable[[Optimizer], LRScheduler] | None,
        every: str,
    ) -> None:
        if every not in ("epoch", "step"):
            raise CnnzooError(f'scheduler_every is "epoch" or "step"; got {every!r}.')
        self._shape = {
            name: getattr(config, name)
            for name in ("epochs", "warmup", "final_lr", "step_epochs", "gamma")
        }
        if not scheduler:
            check_schedule(config.scheduler, **self._shape)
        self._optimizer, self._config, self._every = optimizer, config, every
        self._highest = [group["lr"] for group in optimizer.param_groups]
        self._steps = 0
        self._factor: Callable[[int], float] | None = None
        self.scheduler = scheduler(optimizer) if scheduler else None

    @property
    def now(self) -> float:
        """The rate of the first group of parameters."""
        return float(self._optimizer.param_groups[0]["lr"])

    def plan(self, steps: int) -> None:
        """Lay out the named schedule over epochs of ``steps`` steps.

        Raises:
            CnnzooError: there is no step to lay it over.
        """
        self._steps = steps
        if self.scheduler is None:
            named = make_schedule(self._config.scheduler, steps_per_epoch=steps, **self._shape)
            plain = self._config.scheduler == "constant" and not self._config.warmup
            self._factor = None if plain else named  # an optimizer's own groups stay as they are

    def before_step(self, epoch: int, step: int) -> None:
        """Set the rate of a step."""
        if self._factor:
            factor = self._factor(epoch * self._steps + step)
            for group, highest in zip(self._optimizer.param_groups, self._highest, strict=True):
                group["lr"] = highest * factor

    def after_step(self) -> None:
        """Step torch's scheduler, if it goes by steps."""
        if self.scheduler and self._every == "step":
            self.scheduler.step()

    def after_epoch(self, row: Row) -> None:
        """Step torch's scheduler, if it goes by epochs."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(row.train_loss if row.val_loss is None else row.val_loss)
        elif self.scheduler and self._every == "epoch":
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any] | None:
        """Return the state of torch's scheduler, if there is one."""
        return self.scheduler.state_dict() if self.scheduler else None

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Take over what `state_dict` returned."""
        if self.scheduler and state:
            self.scheduler.load_state_dict(state)
