"""Who competes on a layer: our operator and PyTorch's ways to compute the same.

Each candidate has the input as the layer before it would leave it: images of a loader in NCHW;
inside a network channels_last for those that produce channels_last, and bfloat16 under autocast.
Weights are float32, and in the candidate's own layout. A call returns y, or y and the gradients of
weight, bias and, unless the layer opens its network, x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import answers
from benchmarks.answers import Problem
from benchmarks.timing import Candidate
from cnnzoo import ops

Call = Callable[[], tuple[Tensor, ...]]
FORWARD, TRAINING = "forward", "forward + backward"
MODES = (FORWARD, TRAINING)


@dataclass(frozen=True)
class Way:
    """How a candidate computes the layer.

    Attributes:
        implementation: of our operator; None: PyTorch's composition.
        channels_last: layout of the weight, and of x inside a network.
        compiled: by torch.compile.
        bfloat16: under autocast, a group of its own.
    """

    implementation: str | None = None
    channels_last: bool = False
    compiled: bool = False
    bfloat16: bool = False


EAGER, DEFAULT_MALLOC = "eager", "eager, default malloc"
WAYS = {
    "native": Way("native", channels_last=True),
    "auto": Way("auto", channels_last=True),
    EAGER: Way(),
    "channels_last": Way(channels_last=True),
    "compiled": Way(channels_last=True, compiled=True),
    "bf16 auto": Way("auto", channels_last=True, bfloat16=True),
    "bf16 channels_last": Way(channels_last=True, bfloat16=True),
}
# Who competes in `benchmarks.bfloat16` besides.
BFLOAT16_WAYS = {
    "bf16 native": Way("native", channels_last=True, bfloat16=True),
    "bf16 eager": Way(bfloat16=True),
    "bf16 compiled": Way(channels_last=True, compiled=True, bfloat16=True),
}
EVERY_WAY = WAYS | BFLOAT16_WAYS
GROUPS = {"float32": [n for n in WAYS if not WAYS[n].bfloat16],
          "bfloat16": [n for n in WAYS if WAYS[n].bfloat16]}  # fmt: skip


def candidate(name: str, problem: Problem, mode: str) -> Candidate:
    """Make a candidate, and judge it where the problem has answers.

    Raises:
        WrongAnswerError: it computes something else.
        CnnzooError: it cannot run here, a sentence says why.
    """
    way = EVERY_WAY[name]
    call, _ = prepare(way, problem, mode)
    if problem.answers:
        given = call()
        limits = (answers.BFLOAT16_OUTPUT, *[answers.BFLOAT16_GRADIENT] * 3)
        answers.check(name, given, problem.answers, limits if way.bfloat16 else ())
    return Candidate(call)


def prepare(way: Way, problem: Problem, mode: str) -> tuple[Call, tuple[Tensor, ...]]:
    """Lay the tensors out; return the call that is timed, and (x, weight, bias) as it has them."""
    layer = problem.layer
    dtype = torch.bfloat16 if way.bfloat16 else torch.float32
    inner = torch.channels_last if way.channels_last else torch.contiguous_format
    x = problem.x.clone()
    if not layer.opens:
        x = x.to(dtype, memory_format=inner)
    # Our weights stay as a checkpoint has them: the kernels repack them themselves.
    of_weight = torch.contiguous_format if way.implementation else inner
    weight = problem.weight.clone(memory_format=of_weight)
    bias = problem.bias.clone()
    grad_y = problem.grad_y.to(dtype, memory_format=inner)
    inputs = [weight, bias] + ([] if layer.opens else [x])
    block = _block(way, problem)

    def forward() -> tuple[Tensor, ...]:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=way.bfloat16):
            return (block(x, weight, bias),)

    def training() -> tuple[Tensor, ...]:
        with torch.autocast("cpu", torch.bfloat16, enabled=way.bfloat16):
            y = block(x, weight, bias)
        return y.detach(), *torch.autograd.grad(y, inputs, grad_y)

    if mode == FORWARD:
        return forward, (x, weight, bias)
    for each in inputs:
        each.requires_grad_()
    return training, (x, weight, bias)


def _block(way: Way, problem: Problem) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    layer = problem.layer
    if way.implementation:
        sizes, implementation = layer.sizes, way.implementation

        def fused(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return ops.conv_relu_maxpool(x, weight, bias, **sizes, implementation=implementation)

        return fused
    stride, padding = layer.stride, layer.padding
    pool = (layer.pool, layer.pool_stride, layer.pool_padding)

    def composition(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(F.conv2d(x, weight, bias, stride, padding)), *pool)

    if not way.compiled:
        return composition
    torch._dynamo.reset()  # programs of earlier layers would count towards its limit
    return torch.compile(composition, dynamic=False, fullgraph=True)
