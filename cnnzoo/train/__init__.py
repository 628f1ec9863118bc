"""Training: a loop that receives objects, and what hangs on it, one idea a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnzoo.lazy import lazy_names

if TYPE_CHECKING:
    from cnnzoo.train.callbacks import Callback as Callback
    from cnnzoo.train.config import TrainConfig as TrainConfig
    from cnnzoo.train.history import History as History
    from cnnzoo.train.history import Row as Row
    from cnnzoo.train.metrics import Evaluation as Evaluation
    from cnnzoo.train.replaying import Replay as Replay
    from cnnzoo.train.replaying import replay as replay
    from cnnzoo.train.trainer import Trainer as Trainer

_HOME = {
    "Callback": "cnnzoo.train.callbacks",
    "Evaluation": "cnnzoo.train.metrics",
    "History": "cnnzoo.train.history",
    "Row": "cnnzoo.train.history",
    "TrainConfig": "cnnzoo.train.config",
    "Replay": "cnnzoo.train.replaying",
    "Trainer": "cnnzoo.train.trainer",
    "replay": "cnnzoo.train.replaying",
}
__all__ = list(_HOME)
__getattr__ = lazy_names(__name__, _HOME)
