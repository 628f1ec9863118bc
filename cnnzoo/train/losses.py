"""Losses by name: torch's own, each (logits (N, K), labels (N,)) → scalar, the mean over N samples.

The mean is what the trainer relies on: it weighs the batches of an epoch, the last and smaller one
too, and the shares of several processes, by their number of samples. A loss of your own must be a
mean as well.

============== ======================================== ================= =====================
name           expects of the model                     label smoothing   source
============== ======================================== ================= =====================
cross_entropy  logits                                   yes               –
nll            log-probabilities (a last log_softmax)   no                –
multi_margin   scores, compared with a margin of 1      no                Crammer, Singer 2001
============== ======================================== ================= =====================
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from cnnzoo.errors import CnnzooError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

# Name → function in torch.nn.functional, as a string: listing the names must not import torch.
_FUNCTIONS = {
    "cross_entropy": "cross_entropy",
    "nll": "nll_loss",
    "multi_margin": "multi_margin_loss",
}


def losses() -> tuple[str, ...]:
    """Return the names that `make_loss` knows.

    >>> losses()
    ('cross_entropy', 'nll', 'multi_margin')
    """
    return tuple(_FUNCTIONS)


def make_loss(name: str, *, label_smoothing: float = 0.0) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss: (logits (N, K), labels (N,) int64) → scalar, the mean over N.

    Args:
        name: one of `losses`.
        label_smoothing: in [0, 1): share of the target that is spread evenly over all K classes
            (Szegedy et al. 2016, section 7); of ``"cross_entropy"`` only.

    Raises:
        CnnzooError: the name is unknown, or the loss cannot smooth labels so.

    >>> import torch
    >>> loss = make_loss("cross_entropy", label_smoothing=0.1)
    >>> round(loss(torch.zeros(2, 10), torch.tensor([3, 7])).item(), 4)  # ln 10
    2.3026
    """
    import torch.nn.functional as F

    check_loss(name, label_smoothing=label_smoothing)
    function = getattr(F, _FUNCTIONS[name])
    if label_smoothing:
        return functools.partial(function, label_smoothing=label_smoothing)
    return function


def check_loss(name: str, *, label_smoothing: float) -> None:
    """Raise a `CnnzooError` unless `make_loss` takes these; imports no torch."""
    if name not in _FUNCTIONS:
        raise CnnzooError(
            f'Unknown loss "{name}".{did_you_mean(name, _FUNCTIONS)}'
            f" Known: {', '.join(_FUNCTIONS)}."
        )
    if not 0 <= label_smoothing < 1:
        raise CnnzooError(
            f"label_smoothing is a probability, from 0 to below 1; got {label_smoothing}. Try 0.1."
        )
    if label_smoothing and name != "cross_entropy":
        raise CnnzooError(
            f"label_smoothing is a setting of cross_entropy; {name} has none. "
            "Leave it at 0, or train with cross_entropy."
        )
