"""The optimizer of a run: the one handed in, what makes one, or the one its settings name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import nn
from torch.optim import Optimizer

from cnnzoo.errors import CnnzooError
from cnnzoo.train.config import TrainConfig
from cnnzoo.train.optimizers import make_optimizer


def optimizer_of_run(
    model: nn.Module,
    config: TrainConfig,
    given: Optimizer | Callable[[Iterable[nn.Parameter]], Optimizer] | None,
    *,
    in_pieces: bool,
) -> Optimizer:
    """Return the optimizer that trains ``model``'s parameters, frozen ones excepted.

    Args:
        model: the module that is trained.
        config: names an optimizer and its settings; what is ``given`` goes first.
        given: an optimizer, or what makes one from parameters.
        in_pieces: whether each process holds a piece of every parameter (FSDP).

    Raises:
        CnnzooError: an optimizer of a whole model was given for pieces, or the settings are wrong.
    """
    if isinstance(given, Optimizer):
        if in_pieces:
            raise CnnzooError(
                "An optimizer of a whole model cannot train its pieces: with parallel="
                '"fsdp" hand in what makes one, such as functools.partial(torch.optim.AdamW, '
                "lr=1e-3)."
            )
        return given
    parameters = [each for each in model.parameters() if each.requires_grad]
    if given is not None:
        return given(parameters)
    return make_optimizer(
        config.optimizer,
        parameters,
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
    )
