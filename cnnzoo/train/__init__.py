"""Training: a loop that receives objects, and what hangs on it, one idea a file."""

from cnnzoo.train.callbacks import Callback
from cnnzoo.train.config import TrainConfig
from cnnzoo.train.history import History, Row
from cnnzoo.train.metrics import Evaluation
from cnnzoo.train.trainer import Trainer

__all__ = ["Callback", "Evaluation", "History", "Row", "TrainConfig", "Trainer"]
