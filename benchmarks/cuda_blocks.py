"""Who competes on a GPU: our kernels and PyTorch's ways to compute the same layer.

Everything is stored in the precision that is compared; TF32 is float32 storage with TF32 products.
Inputs lie as the layer before would leave them: images in NCHW, everything else in the candidate's
own layout. A call returns y, or y and the gradients of weight, bias and, unless the layer opens its
network, x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import answers
from benchmarks.answers import Problem
from benchmarks.blocks import FORWARD
from benchmarks.cuda_timing import Call, DeviceCandidate, graphed
from cnnzoo import ops


@dataclass(frozen=True)
class Precision:
    """What numbers are stored in, and how far answers may be off (norms: y, gradients).

    Gradients of low precision differ where another place wins; see `benchmarks.answers`.
    """

    dtype: torch.dtype
    tf32: bool = False
    limits: tuple[float, float] | None = None  # None: float32, value by value


PRECISIONS = {
    "float32": Precision(torch.float32),
    "tf32": Precision(torch.float32, True, (0.003, 0.1)),
    "bfloat16": Precision(torch.bfloat16, limits=(0.02, 0.2)),
    "float16": Precision(torch.float16, limits=(0.003, 0.1)),
}


@dataclass(frozen=True)
class Way:
    """How a candidate computes the layer.

    Attributes:
        implementation: of our operator; None: PyTorch's composition.
        channels_last: layout of weight and inner input.
        search: cuDNN tries its algorithms first (`cudnn.benchmark`).
        compiled: by torch.compile with mode "max-autotune-no-cudagraphs".
        graph: as a CUDA graph.
    """

    implementation: str | None = None
    channels_last: bool = True
    search: bool = True
    compiled: bool = False
    graph: bool = False


OURS = "native"
WAYS = {
    OURS: Way("native"),
    "native, graph": Way("native", graph=True),
    "eager": Way(channels_last=False, search=False),
    "channels_last": Way(),
    "channels_last, graph": Way(graph=True),
    "compiled": Way(compiled=True),
    "compiled, graph": Way(compiled=True, graph=True),
}


def candidate(
    name: str, precision: str, problem: Problem, mode: str, device: str = "cuda"
) -> DeviceCandidate:
    """Make a candidate, and judge it where the problem has answers.

    Raises:
        WrongAnswerError: it computes something else.
        CnnzooError: it cannot run here, a sentence says why.
    """
    way, how = WAYS[name], PRECISIONS[precision]

    def before() -> None:
        torch.backends.cudnn.benchmark = way.search
        torch.backends.cudnn.conv.fp32_precision = "tf32" if how.tf32 else "ieee"

    before()
    call = prepare(way, how, problem, mode, device)
    if way.graph:
        call = graphed(call)
    if problem.answers:
        given = [tensor.cpu() for tensor in call()]
        output, gradient = how.limits or (0.0, 0.0)
        relative = (output, *[gradient] * 3) if how.limits else ()
        answers.check(f"{name}, {precision}", given, problem.answers, relative)
    return DeviceCandidate(call, before)


def prepare(way: Way, how: Precision, problem: Problem, mode: str, device: str) -> Call:
    """Lay the tensors out on the device, and return the call that is timed."""
    layer = problem.layer
    inner = torch.channels_last if way.channels_last else torch.contiguous_format
    of_x = torch.contiguous_format if layer.opens else inner
    of_weight = torch.contiguous_format if way.implementation else inner

    def put(tensor: Tensor, layout: torch.memory_format = torch.contiguous_format) -> Tensor:
        return tensor.to(device, how.dtype).clone(memory_format=layout)

    x, weight, bias = put(problem.x, of_x), put(problem.weight, of_weight), put(problem.bias)
    grad_y = put(problem.grad_y, inner)
    inputs = [weight, bias] + ([] if layer.opens else [x])
    block = _block(way, problem)

    def forward() -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (block(x, weight, bias),)

    def training() -> tuple[Tensor, ...]:
        y = block(x, weight, bias)
        return y.detach(), *torch.autograd.grad(y, inputs, grad_y)

    if mode == FORWARD:
        return forward
    for each in inputs:
        each.requires_grad_()
    return training


def _block(way: Way, problem: Problem) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    layer, implementation = problem.layer, way.implementation
    if implementation:

        def fused(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            sizes = layer.sizes
            return ops.conv_relu_maxpool(x, weight, bias, **sizes, implementation=implementation)

        return fused
    pool = (layer.pool, layer.pool_stride, layer.pool_padding)

    def composition(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        conv = F.conv2d(x, weight, bias, layer.stride, layer.padding)
        return F.max_pool2d(F.relu(conv), *pool)

    if not way.compiled:
        return composition
    torch._dynamo.reset()
    mode = "max-autotune-no-cudagraphs"  # graphs are a candidate of their own
    return torch.compile(composition, dynamic=False, fullgraph=True, mode=mode)
