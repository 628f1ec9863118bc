"""One run of a network, every call of every module noted with what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from cnnzoo.summary._table import LayerCost, Shape


def count_calls(
    model: nn.Module, state: dict[str, Any], image: Tensor
) -> tuple[list[LayerCost], list[LayerCost]]:
    """Run the model; return every call of every module, as they begin and as they end."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False, custom_mapping=formulas())
    calls: list[LayerCost] = []
    finished: list[LayerCost] = []
    running: list[tuple[LayerCost, int]] = []  # the calls we are in, MACs before them
    inside: list[int] = [0]  # MACs of finished children, for each of these
    counted: set[int] = set()

    def begin(name: str) -> Any:
        def hook(module: nn.Module, given: Any) -> None:
            own = [p for p in module._parameters.values() if p is not None]
            new = {id(p): p.numel() for p in own if id(p) not in counted}
            counted.update(new)
            call = LayerCost(name, type(module).__name__, parameters=sum(new.values()))
            calls.append(call)
            running.append((call, counter.get_total_flops() // 2))
            inside.append(0)

        return hook

    def end(module: nn.Module, given: Any, output: Any) -> None:
        call, before = running.pop()
        finished.append(call)
        macs = counter.get_total_flops() // 2 - before
        call.macs = macs - inside.pop()
        inside[-1] += macs
        if isinstance(output, Tensor):
            call.output = tuple(output.shape)
            inputs = {t.untyped_storage()._cdata for t in given if isinstance(t, Tensor)}
            if output.untyped_storage()._cdata not in inputs:
                call.activation_bytes = output.numel() * output.element_size()

    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(begin(name)).remove)
            stack.callback(module.register_forward_hook(end).remove)
        stack.enter_context(counter)
        torch.func.functional_call(model, state, (image,))
    return calls, finished


def formulas() -> dict[Any, Any]:
    """Return how many operations the fused operator stands for, in each of its forms."""
    import cnnzoo.ops  # noqa: F401  # defines the operators

    def forward(
        x: Shape, weight: Shape, bias: Any, window: Sequence[int], out_shape: Any = None, **_: Any
    ) -> int:
        moves = zip(x[2:], weight[2:], window[:2], window[2:4], strict=True)
        high, wide = ((n + 2 * pad - k) // step + 1 for n, k, step, pad in moves)
        return 2 * x[0] * high * wide * weight.numel()  # type: ignore[attr-defined]

    names = ("conv_relu_maxpool", "conv_relu_maxpool_train")
    return {
        getattr(torch.ops.cnnzoo, name + form): forward
        for name in names
        for form in ("", "_raw", "_reference")
    }
