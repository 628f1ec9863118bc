"""Going on after ``torchrun --max-restarts`` has started the processes again.

The command is the same as before, so it asks for a new run where by now there is one: its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnzoo.errors import CnnzooError
from cnnzoo.train.checkpoint import load_checkpoint
from cnnzoo.train.run_folder import claim, read_config

if TYPE_CHECKING:
    from cnnzoo.train.config import TrainConfig
    from cnnzoo.train.processes import Processes


def is_restarted() -> bool:
    """Whether ``torchrun`` has started this process in place of one that died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def is_same_run(path: str | Path, config: TrainConfig) -> bool:
    """Whether a folder holds a run with these settings."""
    try:
        return bool(read_config(path)["config"] == config.to_json())
    except CnnzooError:
        return False


def claim_or_go_on(
    processes: Processes, path: str | Path, config: TrainConfig, *, force: bool
) -> dict[str, Any] | None:
    """Claim the folder for a new run; return the checkpoint to go on from after a restart.

    The main process does it for all: others may be on a machine that has no such folder.

    Raises:
        CnnzooError: the folder is taken (`cnnzoo.train.run_folder.claim`).
    """
    file = Path(path) / "checkpoint.pt"

    def in_main() -> dict[str, Any] | None:
        if is_restarted() and is_same_run(path, config):
            return load_checkpoint(file) if file.is_file() else None
        claim(path, force=force)
        if "TORCHELASTIC_RUN_ID" in os.environ:
            file.unlink(missing_ok=True)  # an overwritten run's: a restart shall not find it
        return None

    return processes.from_main(in_main)
