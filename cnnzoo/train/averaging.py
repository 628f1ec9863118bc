"""Averaged weights: an exponential moving average over the steps (Polyak and Juditsky 1992).

The average is what is evaluated and kept; training goes on with the weights themselves.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Average:
    """average ← decay · average + (1 − decay) · weights, after every step; buffers likewise.

    Args:
        model: whose weights are averaged.
        decay: between 0 and 1; 0.99 remembers about a hundred steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model = model
        self._averaged = AveragedModel(
            model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True
        )

    @property
    def model(self) -> nn.Module:
        """A model with the averaged weights."""
        return self._averaged.module

    def update(self) -> None:
        """Take in the weights as they are after a step."""
        self._averaged.update_parameters(self._model)

    def copy_to_model(self) -> None:
        """Give the averaged weights to the model itself."""
        self._model.load_state_dict(self.model.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights and how many steps they average."""
        return self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self._averaged.load_state_dict(state)
