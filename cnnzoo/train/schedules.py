"""Learning-rate schedules as pure functions of the step, so that a resumed run needs no state.

With T steps in the run, a warm-up of W = warmup × T steps, and f = final_lr, the factor on the base
learning rate at step t = 0 … T − 1 is

=========  =====================================  ===================================
name       t < W                                  then
=========  =====================================  ===================================
constant   (t + 1) / (W + 1)                      1
linear     (t + 1) / (W + 1)                      on a line from 1 to f
cosine     (t + 1) / (W + 1)                      on half a cosine from 1 to f
one_cycle  on half a cosine from 1/25 to 1        on half a cosine from 1 to f
step       (t + 1) / (W + 1), times what follows  gamma ^ (epoch // step_epochs)
=========  =====================================  ===================================

The curves that fall reach f at t = T, one step after the last, and those that rise begin above 0:
so neither the first step nor the last is wasted on a rate of 0. The triangle of Smith and Topin
(2018, "Super-Convergence") is ``linear`` with a warm-up; ``one_cycle`` is its smooth form, as in
fastai and torch. Cosine: Loshchilov and Hutter (2017, "SGDR", without restarts).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cnnzoo.errors import CnnzooError, did_you_mean

_NAMES = ("constant", "one_cycle", "cosine", "linear", "step")
_FIRST = 1 / 25  # where one_cycle begins; torch's div_factor
_RISING = 0.3  # fraction of one_cycle that rises unless warmup says otherwise; torch's pct_start


def schedules() -> tuple[str, ...]:
    """Return the names that `make_schedule` knows.

    >>> schedules()
    ('constant', 'one_cycle', 'cosine', 'linear', 'step')
    """
    return _NAMES


def make_schedule(
    name: str,
    *,
    steps_per_epoch: int,
    epochs: int,
    warmup: float = 0.0,
    final_lr: float = 0.0,
    step_epochs: int = 1,
    gamma: float = 0.1,
) -> Callable[[int], float]:
    """Return the function from a step of the run to the factor on the base learning rate.

    The step counts changes of the weights from 0, over all epochs: with gradients accumulated over
    two batches, two batches are one step. After the end the factor stays where the curve ends.
    It depends on the arguments alone; a run that is resumed with more epochs is stretched, and
    goes on from another point of the longer curve.

    Args:
        name: one of `schedules`.
        steps_per_epoch: changes of the weights in an epoch.
        epochs: of the whole run.
        warmup: fraction of the run, in [0, 1), in which the rate rises; 0 means 0.3 for
            ``"one_cycle"`` and none for the others.
        final_lr: factor at the end, in [0, 1]; of linear, cosine and one_cycle.
        step_epochs: epochs between two drops; of step.
        gamma: factor of a drop, in (0, 1]; of step.

    Raises:
        CnnzooError: the name is unknown, or no run can follow such a schedule.

    >>> factor = make_schedule("cosine", steps_per_epoch=100, epochs=2)
    >>> [round(factor(step), 3) for step in (0, 50, 100, 150, 199)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    check_schedule(
        name,
        epochs=epochs,
        warmup=warmup,
        final_lr=final_lr,
        step_epochs=step_epochs,
        gamma=gamma,
    )
    if steps_per_epoch < 1:
        raise CnnzooError(
            f"A schedule needs at least one step an epoch; got {steps_per_epoch}: "
            "is there less data than a batch, or accumulate greater than the number of batches?"
        )
    total = steps_per_epoch * epochs
    if name == "one_cycle":
        return _one_cycle(total, (warmup or _RISING) * total, final_lr)
    rising = warmup * total
    if name == "constant":
        return _warmed(rising, lambda step: 1.0)
    if name == "step":
        return _warmed(rising, lambda step: gamma ** (step // (step_epochs * steps_per_epoch)))
    shape = _cosine if name == "cosine" else _line
    return _warmed(rising, lambda step: shape(1.0, final_lr, step, rising, total))


def check_schedule(
    name: str, *, epochs: int, warmup: float, final_lr: float, step_epochs: int, gamma: float
) -> None:
    """Raise a `CnnzooError` unless `make_schedule` takes these; needs no data."""
    if name not in _NAMES:
        raise CnnzooError(
            f'Unknown schedule "{name}".{did_you_mean(name, _NAMES)} Known: {", ".join(_NAMES)}.'
        )
    if epochs < 1:
        raise CnnzooError(f"A schedule needs at least one epoch; got {epochs}.")
    if not 0 <= warmup < 1:
        raise CnnzooError(
            f"warmup is a fraction of the run, from 0 to below 1; got {warmup}. "
            f"One epoch of {epochs} is {1 / epochs:.3g}."
        )
    if not 0 <= final_lr <= 1:
        raise CnnzooError(
            f"final_lr is a fraction of lr, from 0 to 1; got {final_lr}. "
            "A hundredth of lr at the end is 0.01."
        )
    if name == "step":
        _check_drops(epochs, step_epochs, gamma)


def _check_drops(epochs: int, step_epochs: int, gamma: float) -> None:
    if not 0 < gamma <= 1:
        raise CnnzooError(
            f"gamma is the factor of a drop, more than 0 and at most 1; got {gamma}. Try 0.1."
        )
    if not 1 <= step_epochs <= epochs:
        raise CnnzooError(
            f"step_epochs is how many of the {epochs} epochs lie between two drops; "
            f"got {step_epochs}. Try {max(1, epochs // 3)}."
        )


def _warmed(rising: float, factor: Callable[[int], float]) -> Callable[[int], float]:
    """Multiply ``factor`` by a line that would be 0 before the first step (Goyal et al. 2017)."""
    return lambda step: min(1.0, (step + 1) / (rising + 1)) * factor(step)


def _one_cycle(total: int, peak: float, final: float) -> Callable[[int], float]:
    def factor(step: int) -> float:
        if step < peak:
            return _cosine(_FIRST, 1.0, step, 0, peak)
        return _cosine(1.0, final, step, peak, total)

    return factor


def _line(first: float, last: float, step: float, begin: float, end: float) -> float:
    """Go from ``first`` at ``begin`` to ``last`` at ``end``, level on both sides."""
    done = min(1.0, max(0.0, (step - begin) / (end - begin)))
    return first + (last - first) * done


def _cosine(first: float, last: float, step: float, begin: float, end: float) -> float:
    """Do likewise on half a period of a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * _line(0, 1, step, begin, end))) / 2
