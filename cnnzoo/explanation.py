"""Why a layer runs the way it does: chosen implementation, the others' excuses, time and memory.

Measured on the spot, on random images: microseconds are of this machine and this moment. A model
is taken as it would run: in bfloat16 after ``model.bfloat16()``, or where the call stands inside
``torch.autocast("cpu", torch.bfloat16)``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cnnzoo.errors import CnnzooError
from cnnzoo.layers import ConvReluMaxPool
from cnnzoo.ops import Choice, tuning
from cnnzoo.ops.tuning import Measurement


@dataclass(frozen=True)
class LayerReport:
    """What was found out about one conv-ReLU-maxpool layer.

    Attributes:
        name: of the layer in the model.
        input_shape: (N, C, H, W).
        output_shape: (N, K, P, Q).
        choice: implementation, its instruction set, why it runs and the others do not.
        under_autocast: the same under autocast to bfloat16; None where it runs in bfloat16 already.
        forward_us: median time of the forward pass, microseconds for the whole batch.
        backward_us: likewise of the backward pass; the input's gradient only if a layer needs it.
        kept_bytes: memory kept from forward to backward, parameters and the input not counted.
    """

    name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    choice: Choice
    under_autocast: Choice | None
    forward_us: float
    backward_us: float
    kept_bytes: int


class Explanation(list[LayerReport]):
    """The reports of a model's layers, in the order they run; prints as text."""

    def __str__(self) -> str:
        return "\n".join(_paragraph(report) for report in self)


def explain(
    model: nn.Module,
    input_size: tuple[int, ...] | None = None,
    *,
    batch_size: int = 128,
    repeats: int = 21,
) -> Explanation:
    """Say, layer by layer, which implementation of conv-ReLU-maxpool runs and why.

    Args:
        model: a model with `cnnzoo.layers.ConvReluMaxPool` layers; it is not changed.
        input_size: (C, H, W) of an image; by default what the model was built for.
        batch_size: images in a batch.
        repeats: timings of which the median is given.

    Raises:
        CnnzooError: the model has no such layer, or ``input_size`` is needed or wrong.

    >>> import cnnzoo
    >>> report = explain(cnnzoo.build("mnist_cnn"), batch_size=8, repeats=3)
    >>> [(each.name, each.output_shape) for each in report]
    [('conv1', (8, 32, 13, 13)), ('conv2', (8, 32, 5, 5))]
    """
    layers = _layers_of(model)
    inputs = _record_inputs(model, layers, torch.randn(batch_size, *_input_size(model, input_size)))
    first = next(iter(inputs))
    return Explanation(
        _report(name, layers[name], x, repeats, needs_input_gradient=name != first)
        for name, x in inputs.items()
    )


def tune(
    model: nn.Module, input_size: tuple[int, ...] | None = None, *, batch_size: int = 64
) -> list[Measurement]:
    """Time every conv-ReLU-maxpool layer of a model in both implementations.

    Args:
        model: as for `explain`.
        input_size: as for `explain`.
        batch_size: images in a batch.

    Returns:
        For each layer one measurement of inference and one of training;
        `cnnzoo.ops.tuning.write_table` records them.

    Raises:
        CnnzooError: as `explain`, or native code cannot run a layer here.
    """
    layers = _layers_of(model)
    x = torch.randn(batch_size, *_input_size(model, input_size))
    found = []
    for number, (name, seen) in enumerate(_record_inputs(model, layers, x).items()):
        layer = layers[name]
        problem = tuning.Layer(
            tuple(seen.shape), tuple(layer.weight.shape), layer.options(), number > 0
        )
        dtype = _computed_in(layer.weight)
        found += [
            tuning.measure(problem, training=training, dtype=dtype) for training in (False, True)
        ]
    return found


def _layers_of(model: nn.Module) -> dict[str, ConvReluMaxPool]:
    layers = {n: m for n, m in model.named_modules() if isinstance(m, ConvReluMaxPool)}
    if not layers:
        raise CnnzooError(f"{type(model).__name__} has no conv-ReLU-maxpool layer to explain.")
    return layers


def _input_size(model: nn.Module, given: tuple[int, ...] | None) -> tuple[int, ...]:
    if given is None:
        try:
            channels, (height, width) = model.in_channels, model.image_size  # type: ignore[misc]
        except AttributeError:
            raise CnnzooError("Say what the model takes: input_size=(C, H, W).") from None
        return (int(channels), int(height), int(width))  # type: ignore[arg-type]
    if len(given) != 3 or not all(type(n) is int and n > 0 for n in given):
        raise CnnzooError(f"input_size is (C, H, W), three positive integers; got {given!r}.")
    return tuple(given)


def _record_inputs(
    model: nn.Module, layers: dict[str, ConvReluMaxPool], x: Tensor
) -> dict[str, Tensor]:
    """Run the model once and return what reaches each layer, in the order they run."""
    seen: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            seen.setdefault(name, args[0].detach())

        return hook

    handles = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    was_training = model.training
    try:
        with torch.no_grad():
            like = next(model.parameters())
            model.eval()(x.to(like.device, like.dtype))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return seen


def _computed_in(weight: Tensor) -> torch.dtype:
    device = weight.device.type
    autocast = torch.is_autocast_enabled(device) and weight.dtype != torch.float64
    return torch.get_autocast_dtype(device) if autocast else weight.dtype


def _report(
    name: str, layer: ConvReluMaxPool, x: Tensor, repeats: int, *, needs_input_gradient: bool
) -> LayerReport:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_(needs_input_gradient)
    kept: dict[int, int] = {}  # by storage, so that what is kept twice counts once
    not_ours = {t.untyped_storage().data_ptr() for t in (x, *layer.parameters())}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in not_ours:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = layer(x)
    choice, under_autocast = layer.explain(x), None
    if _computed_in(layer.weight) != torch.bfloat16:
        with torch.autocast(x.device.type, torch.bfloat16):
            under_autocast = layer.explain(x)
    grad = torch.randn_like(y)
    wanted = [t for t in (x, *layer.parameters()) if t.requires_grad]
    forward, backward = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        y = layer(x)
        middle = time.perf_counter()
        torch.autograd.grad(y, wanted, grad)
        backward.append(time.perf_counter() - middle)
        forward.append(middle - start)
    return LayerReport(
        name=name,
        input_shape=tuple(x.shape),
        output_shape=tuple(y.shape),
        choice=choice,
        under_autocast=under_autocast,
        forward_us=statistics.median(forward) * 1e6,
        backward_us=statistics.median(backward) * 1e6,
        kept_bytes=sum(kept.values()),
    )


def _paragraph(report: LayerReport) -> str:
    shapes = " -> ".join("x".join(map(str, s)) for s in (report.input_shape, report.output_shape))
    lines = [
        f"{report.name}  {shapes}",
        *_runs(report.choice),
        *(_runs(report.under_autocast, "in bfloat16 ") if report.under_autocast else []),
        f"  forward {report.forward_us:.0f} us, backward {report.backward_us:.0f} us, "
        f"kept for backward {report.kept_bytes / 1024:.0f} KiB",
    ]
    return "\n".join(lines)


def _runs(choice: Choice, where: str = "") -> list[str]:
    isa = f" ({choice.isa})" if choice.isa else ""
    return [
        f"  {where}{choice.implementation}{isa}: {choice.reason}",
        *(f"  {where}not {name}: {why}" for name, why in choice.declined.items()),
    ]
