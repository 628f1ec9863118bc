"""A command that kills itself with SIGKILL at a chosen moment: for ``cnnzoo verify-resume``.

    python -m cnnzoo.cli._killed STEPS+OPERATIONS FOLDER train …

runs ``cnnzoo train …`` until STEPS steps of an optimizer are done and then OPERATIONS times a file
below FOLDER was about to be opened, renamed, removed or made. No code of the run is changed: torch
calls a hook after every step, Python one before every operation on a file. The last line on stderr
says where it died, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NamedTuple

_OPERATIONS = {"open", "os.rename", "os.remove", "os.chmod", "os.mkdir"}


class Moment(NamedTuple):
    """When to die.

    Attributes:
        steps: of an optimizer that are done.
        operations: on files after that; 0: right after the step.
    """

    steps: int
    operations: int

    def __str__(self) -> str:
        return f"{self.steps}+{self.operations}"

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Read what `str` gives.

        >>> Moment.parse("17+3")
        Moment(steps=17, operations=3)
        """
        steps, operations = text.split("+")
        return cls(int(steps), int(operations))


def arm(moment: Moment, folder: str | Path) -> None:
    """Let this process kill itself at ``moment``; it cannot be taken back."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    begun, steps, operations, me = False, 0, 0, os.getpid()
    below = str(Path(folder).absolute())

    def after_step(*_: Any) -> None:
        nonlocal steps
        steps += begun  # a step before the run has written anything is a trial of the optimizer
        if begun and steps == moment.steps and not moment.operations:
            _die(steps, None)

    def before_operation(event: str, details: tuple[Any, ...]) -> None:
        nonlocal begun, operations
        if event not in _OPERATIONS or os.getpid() != me:  # what a loader's worker opens
            return
        path = str(details[0])
        if not path.startswith(below):
            return
        begun = begun or event == "os.rename"
        operations += steps >= moment.steps
        if operations and operations == moment.operations:
            _die(steps, f"{event.removeprefix('os.')} of {path[len(below) + 1 :] or 'the folder'}")

    register_optimizer_step_post_hook(after_step)
    sys.addaudithook(before_operation)


def _die(steps: int, before: str | None) -> None:
    os.write(2, f"{json.dumps({'steps': steps, 'before': before})}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from cnnzoo.cli import main

    arm(Moment.parse(sys.argv[1]), sys.argv[2])
    main(sys.argv[3:], prog_name="cnnzoo")
