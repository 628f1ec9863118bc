"""All that the rest of a run depends on, out of a trainer and back into one.

Weights, optimizer, scheduler, averaged weights, position within the epoch, history, callbacks; and
for each process its random generators and what it counted in this epoch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnnzoo.errors import CnnzooError
from cnnzoo.train.checkpoint import random_state
from cnnzoo.train.history import History, Row

if TYPE_CHECKING:
    from cnnzoo.train.trainer import Trainer


def collect(trainer: Trainer) -> dict[str, Any]:
    """Return the state; every process has to call it."""
    trainer.gather()
    average = trainer.average.state_dict() if trainer.average else None
    optimizer = trainer.optimizer.state_dict()
    if trainer.pieces:
        average, optimizer = trainer.pieces.whole(average), trainer.pieces.whole(optimizer)
    here = {"random": random_state(), "meter": trainer.meter.state_dict()}
    return {
        "epoch": trainer.epoch,
        "step": trainer.step,
        "seconds": trainer.seconds,
        "should_stop": trainer.should_stop,
        "model": trainer.model.state_dict(),
        "average": average,
        "optimizer": optimizer,
        "scheduler": trainer.rate.state_dict(),
        "history": [dataclasses.asdict(row) for row in trainer.history],
        "callbacks": {
            type(each).__name__: state for each in trainer.callbacks if (state := each.state_dict())
        },
        "processes": trainer.processes.collect(here),
    }


def restore(trainer: Trainer, state: Mapping[str, Any]) -> None:
    """Put the state into a trainer.

    Raises:
        CnnzooError: it is of another model or optimizer, or of another number of processes in the
            middle of an epoch.
    """
    world = trainer.processes.world
    try:
        if state["step"] and len(state["processes"]) != world:
            raise CnnzooError(
                f"The run stopped in the middle of an epoch with {len(state['processes'])} "
                f"process(es), and there are {world} now: start as many again, so that no sample "
                "is taken twice or left out."
            )
        if trainer.pieces:
            trainer.pieces.load(state, trainer.optimizer)
        else:
            trainer.model.load_state_dict(state["model"])
            if trainer.average and state["average"]:
                trainer.average.load_state_dict(state["average"])
            trainer.optimizer.load_state_dict(state["optimizer"])
        trainer.rate.load_state_dict(state["scheduler"])
        trainer.history = History(Row(**row) for row in state["history"])
        trainer.epoch, trainer.step = state["epoch"], state["step"]
        trainer.seconds, trainer.should_stop = state["seconds"], state["should_stop"]
        for each in trainer.callbacks:
            each.load_state_dict(state["callbacks"].get(type(each).__name__, {}))
        here = state["processes"][trainer.processes.rank % len(state["processes"])]
        trainer.meter.load_state_dict(here["meter"])
        trainer.random, trainer.resumed = here["random"], True
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise CnnzooError(f"The checkpoint is of another model or optimizer: {error}") from error
