"""Counting what was right, without waiting for the device at every step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cnnzoo.train.processes import Processes


class EpochMeter:
    """Sums loss and hits on the device; `mean_loss` and `accuracy` are where one waits for it."""

    def __init__(self, device: torch.device) -> None:
        # double on the CPU and CUDA: 60,000 float32 summands would lose the last digits
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self.loss_sum = torch.zeros((), dtype=dtype, device=device)
        self.hits = torch.zeros((), dtype=torch.int64, device=device)
        self.samples = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: its mean loss, logits (N, classes) and labels (N,)."""
        if not len(labels):
            return
        self.loss_sum.add_(loss.detach(), alpha=len(labels))
        self.hits += (logits.detach().argmax(1) == labels).sum()
        self.samples += len(labels)

    def add_up(self, processes: Processes) -> None:
        """Sum over all processes; once, at the end."""
        samples = torch.tensor(self.samples, device=self.hits.device)
        processes.add_up(self.loss_sum, self.hits, samples)
        self.samples = int(samples)

    @property
    def mean_loss(self) -> float:
        """Mean over the samples."""
        return self.loss_sum.item() / self.samples

    @property
    def accuracy(self) -> float:
        """Fraction that was right."""
        return self.hits.item() / self.samples

    def state_dict(self) -> dict[str, Tensor | int]:
        """Return the sums, for a checkpoint in the middle of an epoch."""
        return {"loss_sum": self.loss_sum, "hits": self.hits, "samples": self.samples}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """Continue from what `state_dict` returned."""
        self.loss_sum.copy_(torch.as_tensor(state["loss_sum"]))
        self.hits.copy_(torch.as_tensor(state["hits"]))
        self.samples = int(state["samples"])


@dataclass(frozen=True)
class Evaluation:
    """How good a model is on a data set of M samples and K classes.

    Attributes:
        loss: mean over the samples.
        accuracy: fraction that is right.
        per_class_accuracy: (K,) of each true class; NaN where a class has no sample.
        confusion: (K, K) counts; rows are true classes, columns are predicted ones.
        labels: (M,) true classes.
        predictions: (M,) predicted classes.
        confidences: (M,) probability of the predicted class.
    """

    loss: float
    accuracy: float
    per_class_accuracy: Tensor
    confusion: Tensor
    labels: Tensor
    predictions: Tensor
    confidences: Tensor

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor, loss: float) -> Evaluation:
        """Evaluate logits (M, K) against labels (M,), both on the CPU."""
        classes = logits.shape[1]
        confidences, predictions = logits.softmax(1).max(1)
        cells = torch.bincount(labels * classes + predictions, minlength=classes * classes)
        confusion = cells.view(classes, classes)
        hits = confusion.diagonal()
        return cls(
            loss=loss,
            accuracy=hits.sum().item() / len(labels),
            per_class_accuracy=hits / confusion.sum(1),
            confusion=confusion,
            labels=labels,
            predictions=predictions,
            confidences=confidences,
        )
