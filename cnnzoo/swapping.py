"""Another implementation for a model's layers, with the same weights, checked before it is used.

Each layer is checked by itself, with the shape of input that it has in the model: an error is then
named where it is made, and is not hidden by the layers behind it. The judge is the layer that was
there before.

Gradients are compared by their Euclidean norm, not place by place: where two values in a pooling
window differ by less than rounding, either may win, and the gradient goes to another place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cnnzoo.errors import CnnzooError
from cnnzoo.layers import ConvReluMaxPool, build_layer
from cnnzoo.modes import evaluating

# Tolerances, relative: of the output by its greatest value, of a gradient by its norm. The first
# are a hundred times the rounding of float32; the second leave room for windows that change winner.
FORWARD_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 5e-3
# Times as much where the weights are float16 or bfloat16: bfloat16 rounds at 4e-3, so that some
# windows in a thousand change their winner; that was measured as 5e-2 of the gradient.
_HALF_FORWARD, _HALF_GRADIENT = 200, 40


def swap(
    model: nn.Module, *, conv_relu_maxpool: str, example_input: Tensor | None = None
) -> nn.Module:
    """Replace every conv-ReLU-maxpool layer of ``model`` by another implementation.

    The Parameters are the same objects, so optimizers and state dicts go on; ``model.spec`` names
    the new implementation. Nothing is replaced unless all layers passed: the output differs by at
    most 1e-4 of its greatest value, each gradient (of input, weight and bias) by at most 5e-3 of
    its norm, on random data of seed 0, batch 2. In float16 and bfloat16: 2e-2 and 0.2.
    The check touches no buffer, no gradient and no random state.

    Args:
        model: any module that holds such layers; changed in place.
        conv_relu_maxpool: one of ``cnnzoo.layers.implementations("conv_relu_maxpool")``.
        example_input: (N, C, H, W), for a model without ``in_channels`` and ``image_size``; only
            its shape counts.

    Returns:
        The model; where it is itself such a layer, the new layer.

    Raises:
        CnnzooError: no such implementation or no such layer; a layer that cannot be swapped or that
            the input does not reach; or a difference above tolerance, with its figure.

    >>> import cnnzoo
    >>> model = cnnzoo.build("mnist_cnn")
    >>> swap(model, conv_relu_maxpool="reference").spec["arguments"]["conv_relu_maxpool"]
    'reference'
    """
    with torch.device("meta"):  # which draws nothing
        build_layer("conv_relu_maxpool", conv_relu_maxpool, 1, 1, 1)  # is there such a one?
    sites = {p: m for p, m in model.named_modules() if isinstance(m, ConvReluMaxPool)}
    if not sites:
        raise CnnzooError(
            f"{type(model).__name__} has no conv_relu_maxpool layer to swap; cnnzoo.fuse puts them "
            "into models that were written without."
        )
    shapes = _input_shapes(model, sites, example_input)
    replacements: dict[nn.Module, nn.Module] = {}
    for path, layer in sites.items():
        new = _twin(path, layer, conv_relu_maxpool)
        _check(path or type(layer).__name__, layer, new, shapes[path], conv_relu_maxpool)
        replacements[layer] = new
    for module in list(model.modules()):
        for name, child in module._modules.items():  # not named_children: it leaves out repeats
            if child in replacements:
                module._modules[name] = replacements[child]
    spec = getattr(model, "spec", None)
    if spec and "conv_relu_maxpool" in spec["arguments"]:
        arguments = {**spec["arguments"], "conv_relu_maxpool": conv_relu_maxpool}
        model.spec = {**spec, "arguments": arguments}  # type: ignore[assignment]
    return replacements.get(model, model)


def _twin(path: str, layer: ConvReluMaxPool, implementation: str) -> nn.Module:
    """Return the layer in the other implementation, around the same Parameters."""
    if set(layer.state_dict()) - {"weight", "bias"}:
        raise CnnzooError(
            f'"{path}" holds more than weight and bias (a parametrization or pruning?): '
            "remove that first, the new layer would lose it."
        )
    with torch.device("meta"):
        new = build_layer(
            "conv_relu_maxpool",
            implementation,
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            bias=layer.bias is not None,
            **layer.options(),
        )
    own = [name for name, _ in new.named_parameters()]
    wanted = [name for name, _ in layer.named_parameters()]
    if own != wanted or list(new.buffers()):
        raise CnnzooError(
            f'{implementation!r} cannot stand in for "{path}": it has the parameters '
            f"{', '.join(own)}, expected {', '.join(wanted)}, and no buffers."
        )
    new._parameters["weight"], new._parameters["bias"] = layer.weight, layer.bias
    for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        getattr(new, name).update(getattr(layer, name))
    new.training = layer.training
    return new


def _input_shapes(
    model: nn.Module, sites: dict[str, ConvReluMaxPool], example_input: Tensor | None
) -> dict[str, tuple[int, ...]]:
    """Return the shape of input (N, C, H, W) that each layer has in the model."""
    if example_input is None:
        size = getattr(model, "image_size", None)
        channels = getattr(model, "in_channels", None)
        size = (size, size) if isinstance(size, int) else size
        if not isinstance(channels, int) or not isinstance(size, tuple):
            raise CnnzooError(
                f"{type(model).__name__} does not tell the size of its images: pass "
                "example_input=, a batch (N, C, H, W)."
            )
        example_input = torch.empty(2, channels, *size)
    anything = next(model.parameters())
    image = _random(tuple(example_input.shape), anything, torch.Generator().manual_seed(0))
    shapes: dict[str, tuple[int, ...]] = {}

    def keep(path: str) -> Any:
        def hook(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            shapes[path] = tuple(given[0].shape)

        return hook

    handles = [layer.register_forward_pre_hook(keep(path)) for path, layer in sites.items()]
    try:
        with evaluating(model), torch.no_grad():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    for path in sites:
        if path not in shapes:
            raise CnnzooError(f'"{path}" is not reached by the example input: it has no check.')
    return shapes


def _check(
    path: str, old: ConvReluMaxPool, new: nn.Module, shape: tuple[int, ...], implementation: str
) -> None:
    """Raise unless both layers give the same output and gradients on random data."""
    draw = torch.Generator().manual_seed(0)
    x = _random(shape, old.weight, draw)
    half = old.weight.dtype in (torch.float16, torch.bfloat16)
    size = (shape[0], old.out_channels, *old.output_size((shape[2], shape[3])))
    grad = _random(size, old.weight, draw)
    wanted, got = _run(old, x, grad), _run(new, x, grad)
    for name, right in wanted.items():
        wrong = got[name]
        if wrong.shape != right.shape:
            raise CnnzooError(
                f'{implementation!r} is refused for "{path}": the {name} has the shape '
                f"{tuple(wrong.shape)}, expected {tuple(right.shape)}."
            )
        if not right.numel():
            continue
        order = torch.inf if name == "output" else 2
        norm = torch.linalg.vector_norm
        scale = norm(right.double(), order).clamp_min(torch.finfo(torch.float32).tiny)
        difference = float(norm(wrong.double() - right.double(), order) / scale)
        tolerance = FORWARD_TOLERANCE * (_HALF_FORWARD if half else 1)
        if name != "output":
            tolerance = GRADIENT_TOLERANCE * (_HALF_GRADIENT if half else 1)
        if not difference <= tolerance:  # NaN is refused too
            raise CnnzooError(
                f'{implementation!r} is refused for "{path}": the {name} differs by '
                f"{difference:.2g} of its size, the tolerance is {tolerance:.2g}. "
                "Nothing was swapped."
            )


def _run(layer: nn.Module, x: Tensor, grad: Tensor) -> dict[str, Tensor]:
    """Return the output and, for its gradient ``grad``, those of input, weight and bias."""
    inputs = {"input": x, **dict(layer.named_parameters())}
    leaves = {key: value.detach().clone().requires_grad_() for key, value in inputs.items()}
    own = {name: leaf for name, leaf in leaves.items() if name != "input"}
    with torch.enable_grad():
        output = torch.func.functional_call(layer, own, (leaves["input"],))
    if output.shape != grad.shape:
        return {"output": output.detach()}
    found = torch.autograd.grad(output, list(leaves.values()), grad, materialize_grads=True)
    names = [f"gradient of the {name}" for name in leaves]
    return {"output": output.detach(), **dict(zip(names, found, strict=True))}


def _random(shape: tuple[int, ...], like: Tensor, draw: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=draw).to(like.device, like.dtype)
