"""Check of a model's backward: its gradient against finite differences, in float64.

In evaluation mode: with the statistics of a few images, batch norm bends a deep network too much
for any finite step. Not parameter by parameter, which would take two forwards each: along a random
direction in the space of all of them. Only where that shows an error is it searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cnnzoo.conformance._check import expect
from cnnzoo.conformance._model_case import ModelCase, model_check

# Of a parameter's size. Where a ReLU turns the other way within a step, a smaller one is right.
_STEPS = (1e-6, 1e-7, 1e-8)
_TOLERANCE = 1e-3


@model_check
def gradients_agree_with_finite_differences(case: ModelCase) -> None:
    """The gradient of every parameter, and of the images, agrees with finite differences."""
    built = case.build(image_size=case.small)
    model = built.model.eval().double()
    x = built.images(2).double().requires_grad_()
    leaves = {"images": x, **dict(model.named_parameters())}
    with torch.no_grad():
        for parameter in model.parameters():
            # biases that start at 0 put dead channels on the very edge of a ReLU
            parameter.add_(0.1 * _direction(parameter))
        weights = torch.randn_like(model(x))

    def loss() -> Tensor:
        value: Tensor = (model(x) * weights).sum()
        return value

    found = torch.autograd.grad(loss(), list(leaves.values()), allow_unused=True)
    gradients = {
        key: torch.zeros_like(leaf) if gradient is None else gradient
        for (key, leaf), gradient in zip(leaves.items(), found, strict=True)
    }
    directions = {key: _direction(leaf) for key, leaf in leaves.items()}
    parts = torch.stack([(gradients[key] * v).sum() for key, v in directions.items()])
    total, limit = float(parts.sum()), _TOLERANCE * float(parts.norm())
    if not any(abs(total - _along(loss, leaves, directions, step)) <= limit for step in _STEPS):
        _name_the_wrong_one(loss, leaves, gradients, directions)


def _direction(leaf: Tensor) -> Tensor:
    """Draw a direction as long as the parameter is, so that each has its say."""
    size = float(leaf.detach().square().mean().sqrt())
    return torch.randn_like(leaf) * max(size, 0.01)


def _along(
    loss: Callable[[], Tensor],
    leaves: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    step: float,
) -> float:
    """Return the derivative of the loss along a direction, by central differences."""
    values = []
    with torch.no_grad():
        before = {key: leaves[key].clone() for key in directions}
        for sign in (1, -1):
            for key, v in directions.items():
                leaves[key].copy_(before[key] + sign * step * v)
            values.append(float(loss()))
        for key, value in before.items():
            leaves[key].copy_(value)
    return (values[0] - values[1]) / (2 * step)


def _name_the_wrong_one(
    loss: Callable[[], Tensor],
    leaves: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
) -> None:
    """Halve the parameters again and again, going where the difference is greater."""

    def both(keys: list[str]) -> tuple[float, float]:
        gradient = sum(float((gradients[key] * directions[key]).sum()) for key in keys)
        return gradient, _along(loss, leaves, {key: directions[key] for key in keys}, _STEPS[-1])

    keys = list(leaves)
    while len(keys) > 1:
        halves = keys[: len(keys) // 2], keys[len(keys) // 2 :]
        gaps = [abs(gradient - numeric) for gradient, numeric in map(both, halves)]
        keys = halves[gaps[1] > gaps[0]]
    gradient, numeric = both(keys)
    expect(
        False,
        f"Expected the gradient of {keys[0]} to be {numeric:.6g} along a random direction, by "
        f"finite differences; backward gives {gradient:.6g}.",
    )
