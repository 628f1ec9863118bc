"""How good a model is on a data set, whoever shares the work."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cnnzoo.train.batches import Batches, check_batch
from cnnzoo.train.metrics import EpochMeter, Evaluation
from cnnzoo.train.processes import Processes


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Batches,
    loss: Callable[[Tensor, Tensor], Tensor],
    device: torch.device,
    processes: Processes,
    autocast: Callable[[], contextlib.AbstractContextManager[Any]],
) -> Evaluation:
    """Return the evaluation of ``model`` on all batches, in the order of the data set.

    Each process takes its share of every batch; all get the whole answer. The model is left in the
    mode it was in.
    """
    processes.spread_buffers(model)  # those of batch norm go their own way in a process
    was_training = model.training
    model.eval()
    meter = EpochMeter(device)
    seen: list[tuple[Tensor, Tensor]] = []
    for images, labels in batches.epoch(0):
        check_batch(images, labels)
        on_device = labels.to(device)
        with autocast():
            logits = model(images.to(device))
            mean_loss = loss(logits, on_device)
        meter.add(mean_loss, logits, on_device)
        seen.append((logits.float().cpu(), labels))
    model.train(was_training)
    meter.add_up(processes)
    logits, labels = (processes.interleave(torch.cat(each)) for each in zip(*seen, strict=True))
    return Evaluation.of(logits, labels, meter.mean_loss)
