"""How near our kernels come to what a core can do: one thread, the peak in the same rounds.

    forward      time at peak of the convolution where it is pooled / ours
    dW, dX       time of a dense kernel running at peak / ours: 2 is half the time of any kernel
                 that does not know which places the maxima came from

In bfloat16 the peak is that of bfloat16, where the machine has such arithmetic. dX is a gradient of
the tutorial's second layer and of wider ones; a first layer has none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch

from benchmarks import peak, timing
from benchmarks.answers import (
    BFLOAT16_GRADIENT,
    BFLOAT16_OUTPUT,
    Problem,
    WrongAnswerError,
    check,
    judged,
)
from benchmarks.results import Case
from benchmarks.timing import Candidate
from benchmarks.workloads import Layer
from cnnzoo import ops
from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _native
from cnnzoo.ops._geometry import window

SECTION, BFLOAT16 = "kernels", "bf16 kernels"
FORWARD, WEIGHT, INPUT = "forward", "dW", "dX"


def measure(
    layers: Sequence[Layer],
    isas: Sequence[str],
    rounds: int,
    turn: float,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Case]:
    """Compare kernels and peak for each instruction set, which is set back afterwards.

    Args:
        layers: what is computed.
        isas: whose kernels, each with its own peak.
        rounds: turns of each.
        turn: seconds of a turn.
        dtype: float32, or bfloat16, which makes cases of the section `BFLOAT16`.

    Raises:
        CnnzooError: no native library or none in this dtype, or the peak cannot be measured.
    """
    status = ops.status()
    if not status.available:
        raise CnnzooError(f"No kernels to measure: {status.reason}")
    if _native.kernels_for(str(dtype).removeprefix("torch.")) is None:
        raise CnnzooError(f"No kernels to measure: this library has none in {dtype}.")
    for isa in isas:
        peak.require(isa)
    section = BFLOAT16 if dtype == torch.bfloat16 else SECTION
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for layer in layers:
            refused: dict[str, str] = {}
            for isa in isas:  # everyone who is timed is judged
                ops.set_isa(isa)
                try:
                    calls = _calls(judged(layer), dtype)
                except WrongAnswerError as error:
                    refused[isa] = f"{isa}: {error}"
            if refused:
                yield Case(section, layer.name, "all", layer.batch, refused=refused)
                continue
            for what, call in calls.items():
                yield _case(section, layer, what, call, isas, rounds, turn)
    finally:
        torch.set_num_threads(threads)
        ops.set_isa(str(status.isa))


def _case(
    section: str,
    layer: Layer,
    what: str,
    call: Callable[[], object],
    isas: Sequence[str],
    rounds: int,
    turn: float,
) -> Case:
    contenders: dict[str, timing.Contender] = {}
    for isa in isas:

        def use(isa: str = isa) -> None:
            ops.set_isa(isa)

        contenders[isa] = Candidate(call, before=use, clock=time.thread_time)
        contenders[f"peak {isa}"] = peak.Peak(isa, layer.flops)
    turns = timing.alternate(contenders, rounds, turn, warm_up=turn)
    return Case(section, layer.name, what, layer.batch, turns, sizes={"flops": layer.flops})


def _calls(problem: Problem, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    """The three kernels as calls, each judged.

    Raises:
        WrongAnswerError: a kernel computes something else.
    """
    layer = problem.layer
    sizes = window(layer.stride, layer.padding, layer.pool, layer.pool_stride, layer.pool_padding)
    inner = torch.contiguous_format if layer.opens else torch.channels_last
    x = problem.x.to(dtype, memory_format=inner)
    weight, bias = problem.weight.to(dtype), problem.bias.to(dtype)
    grad_y = problem.grad_y.to(dtype, memory_format=torch.channels_last)
    limits: tuple[float, ...] = ()
    if dtype == torch.bfloat16:
        limits = (BFLOAT16_OUTPUT, *[BFLOAT16_GRADIENT] * 3)
    y, place = torch.ops.cnnzoo.conv_relu_maxpool_train_raw(x, weight, bias, sizes)

    def forward() -> torch.Tensor:
        return torch.ops.cnnzoo.conv_relu_maxpool_raw(x, weight, bias, sizes)

    def backward(need_x: bool, need_weight: bool) -> tuple[torch.Tensor, ...]:
        return torch.ops.cnnzoo.conv_relu_maxpool_backward_raw(
            grad_y, x, weight, place, sizes, need_x, need_weight
        )

    _, *of_weight = backward(False, True)
    check("native dW", [y, *of_weight], problem.answers, limits)
    check("native", [forward()], problem.answers, limits)
    calls = {FORWARD: forward, WEIGHT: lambda: backward(False, True)}
    if not layer.opens:
        of_x, *_ = backward(True, False)
        check("native dX", [y, *of_weight, of_x], problem.answers, limits)
        calls[INPUT] = lambda: backward(True, False)
    return calls
