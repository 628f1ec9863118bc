"""Muon for convolutional networks: every step a matrix whose singular values are all about 1.

The gradient's momentum, as a matrix (filters, inputs of a filter), is replaced by the orthogonal
matrix nearest to it, so that every direction learns at one speed; weights are kept at a fixed norm,
so that the step's size relative to them is the learning rate alone. Few passes over the data then
go a long way. (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; with
kept norms in "94% on CIFAR-10 in 3.29 seconds on a single GPU", Jordan 2024, arXiv 2404.00498.)

torch's own Muon takes two-dimensional parameters only, which leaves out the kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

# The quintic a·x + b·x³ + c·x⁵ that drives singular values towards 1 fastest, though not exactly.
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Muon(Optimizer):
    """Momentum, orthogonalised, for weights; Nesterov's SGD for biases and normalisation.

    Args:
        params: matrices and kernels (K, …) are weights; what has one dimension, or none, is not.
        lr: of the weights, each of which has norm √K; 0.05 to 0.3 are usual.
        momentum: of Nesterov's kind, for both.
        bias_lr: learning rate of the others, as a fraction of ``lr``.
        iterations: of the orthogonalisation; three do, more come closer.

    >>> weight = nn.Parameter(torch.randn(4, 9))
    >>> optimizer = Muon([weight], lr=0.1)
    >>> weight.square().sum().backward()
    >>> optimizer.step()
    >>> round(weight.norm().item(), 1)
    1.8
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.6,
        bias_lr: float = 0.1,
        iterations: int = 3,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "bias_lr": bias_lr, "iterations": iterations}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._change(parameter, group)
        return loss

    def _change(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
        ahead = parameter.grad.add(momentum, alpha=group["momentum"])  # type: ignore[union-attr]
        if parameter.dim() < 2:
            parameter.add_(ahead, alpha=-group["lr"] * group["bias_lr"])
            return
        change = _of_whole(ahead, group["iterations"])
        norm = parameter.norm().clamp_min(1e-7)
        parameter.mul_(len(parameter) ** 0.5 / norm).add_(change, alpha=-group["lr"])


def _of_whole(kernel: Tensor, iterations: int) -> Tensor:
    """Orthogonalise a kernel; of one that is spread over processes (FSDP2), the whole."""
    if isinstance(kernel, DTensor):
        change = _of_whole(kernel.full_tensor(), iterations)
        return distribute_tensor(change, kernel.device_mesh, kernel.placements, src_data_rank=None)
    return orthogonal(kernel.flatten(1), iterations).view_as(kernel)


def orthogonal(matrix: Tensor, iterations: int) -> Tensor:
    """Return about the orthogonal matrix nearest to ``matrix``: U·Vᵀ of its U·S·Vᵀ.

    Newton and Schulz's iteration, x ← (A·1 + B·xxᵀ + C·(xxᵀ)²)·x. Its factors commute, so they are
    multiplied up first, on the short side, and the long one is touched twice only. Singular values
    end between about 0.7 and 1.2 unless they are tiny against the largest.

    Args:
        matrix: (rows, columns).
        iterations: at least 1; five are usual, three do for training.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp_min(1e-7)
    square = x @ x.T
    factors = factor = _factor(square)
    for _ in range(iterations - 1):
        square = factor @ square @ factor
        factor = _factor(square)
        factors = factor @ factors
    x = factors @ x
    return x.T if tall else x


def _factor(square: Tensor) -> Tensor:
    """Return A·1 + B·s + C·s²."""
    factor = torch.addmm(square, square, square, beta=_B, alpha=_C)
    factor.diagonal().add_(_A)
    return factor
