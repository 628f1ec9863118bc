"""Checks of an implementation of conv → bias → ReLU → max-pool: PyTorch's modules are the judge."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cnnzoo import ops
from cnnzoo.conformance._check import checks_on, expect, expect_close, not_applicable
from cnnzoo.errors import CnnzooError
from cnnzoo.layers import ConvReluMaxPool
from cnnzoo.registry import build, layers

ROLE = "conv_relu_maxpool"

# The first two are what the zoo's networks are made of: every implementation has them. What else
# an implementation does not do, it refuses with a CnnzooError.
REQUIRED: list[dict[str, Any]] = [
    {"kernel_size": 3},
    {"kernel_size": 3, "padding": 1, "pool_size": 3, "pool_stride": 2},
]
OPTIONAL: list[dict[str, Any]] = [
    {"kernel_size": 5, "padding": 2},
    {"kernel_size": (3, 1), "stride": (2, 1), "bias": False},
    {"kernel_size": 3, "pool_size": 3, "pool_stride": 2, "pool_padding": 1},
    {"kernel_size": 3, "dilation": 2},
    {"kernel_size": 3, "groups": 2, "dilation": 2},
]
_FORWARD, _BACKWARD = 1e-5, 1e-4  # of the greatest value


class LayerCase:
    """A registered layer.

    Args:
        name: as it is registered, for example ``"acme:conv_relu_maxpool.fast"``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        package, colon, rest = name.rpartition(":")
        self.role, _, implementation = rest.rpartition(".")
        self.implementation = f"{package}{colon}{implementation}"  # as models take it

    def build(self, *args: Any, **options: Any) -> nn.Module:
        """Build the layer, or skip where it cannot run."""
        if self.role != ROLE:
            not_applicable(f'The zoo has no checks of the role "{self.role}".')
        if self.implementation == "native" and ops.status().reason:
            not_applicable(str(ops.status().reason))
        return layers.info(self.name).builder(*args, **options)


layer_check = checks_on("layer", LayerCase)


@layer_check
def is_a_conv_relu_maxpool(case: LayerCase) -> None:
    """It derives from `ConvReluMaxPool` and has its parameters, so that state dicts move."""
    layer = case.build(4, 6, 3)
    expect(
        isinstance(layer, ConvReluMaxPool),
        f"Expected a class derived from cnnzoo.ConvReluMaxPool; got {type(layer).__mro__[1]}.",
    )
    for bias in (True, False):
        layer = case.build(4, 6, 3, bias=bias)
        judge = layers.info(f"{ROLE}.eager").builder(4, 6, 3, bias=bias)
        expect(
            list(layer.state_dict()) == list(judge.state_dict()),
            f"Expected the state dict keys {list(judge.state_dict())}; "
            f"got {list(layer.state_dict())}.",
        )
        judge.load_state_dict(layer.state_dict())


@layer_check
def agrees_with_torchs_modules(case: LayerCase) -> None:
    """Output and gradients agree with torch's modules, for the sizes that networks use."""
    for options in REQUIRED:
        agree(case, options)


@layer_check
def agrees_or_refuses(case: LayerCase) -> None:
    """For all other sizes output and gradients agree, or a CnnzooError says what it cannot do."""
    for options in OPTIONAL:
        try:
            agree(case, options)
        except CnnzooError as error:
            expect(str(error).strip(), f"Expected a CnnzooError for {options} to say why.")


def agree(case: LayerCase, options: dict[str, Any]) -> None:
    """Compare with torch's modules, forward and backward.

    Raises:
        ConformanceError: they differ.
        CnnzooError: the implementation refuses these options.
    """
    layer, judge = case.build(4, 6, **options), _composed(4, 6, **options)
    judge[0].load_state_dict(layer.state_dict())
    x = torch.randn(3, 4, 17, 19)
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, wanted = layer(mine), judge(theirs)
    expect_close(y, wanted, _FORWARD, f"The output for {options}")
    size = layer.output_size((17, 19))  # type: ignore[operator]
    expect(
        tuple(size) == tuple(y.shape[2:]),
        f"Expected output_size to say {tuple(y.shape[2:])} for {options}; it says {size}.",
    )
    weights = torch.randn_like(wanted)
    (y * weights).sum().backward()
    (wanted * weights).sum().backward()
    pairs: dict[str, tuple[Tensor, Tensor]] = {"input": (mine, theirs)}
    for (key, p), q in zip(layer.named_parameters(), judge[0].parameters(), strict=True):
        pairs[key] = (p, q)
    for key, (own, right) in pairs.items():
        assert right.grad is not None
        if own.grad is None:
            expect(False, f"Expected a gradient of the {key} for {options}; it got none.")
        else:
            expect_close(
                own.grad, right.grad, _BACKWARD, f"The gradient of the {key} for {options}"
            )


@layer_check
def takes_any_batch_and_layout(case: LayerCase) -> None:
    """A batch of none, of one and in channels_last gives what PyTorch's modules give."""
    layer, judge = case.build(4, 6, 3), _composed(4, 6, kernel_size=3)
    judge[0].load_state_dict(layer.state_dict())
    x = torch.randn(2, 4, 12, 11)
    inputs = {
        "a batch of none": x[:0],
        "a batch of one": x[:1],
        "channels_last": x.contiguous(memory_format=torch.channels_last),
        "a slice that is not contiguous": x[:, :, ::2],
    }
    with torch.no_grad():
        for what, each in inputs.items():
            expect_close(layer(each), judge(each), _FORWARD, f"The output for {what}")


@layer_check
def a_model_can_use_it(case: LayerCase) -> None:
    """`mnist_cnn` built with it has the logits and gradients of PyTorch's own layers."""
    case.build(4, 6, 3)  # skips where it cannot run
    model, judge = (
        build("mnist_cnn", conv_relu_maxpool=name) for name in (case.implementation, "eager")
    )
    model.load_state_dict(judge.state_dict())
    x, weights = torch.randn(4, 1, 28, 28), torch.randn(4, 10)
    logits: list[Tensor] = [each(x) for each in (model, judge)]
    expect_close(logits[0].detach(), logits[1].detach(), 1e-4, "The logits")
    for each in logits:
        (each * weights).sum().backward()
    wanted = dict(judge.named_parameters())
    for key, parameter in model.named_parameters():
        if parameter.grad is None:
            expect(False, f"Expected a gradient for {key}; it got none.")
        else:
            expect_close(parameter.grad, wanted[key].grad, 1e-3, f"The gradient of {key}")


def _composed(in_channels: int, out_channels: int, **options: Any) -> nn.Sequential:
    """Return the same layer out of torch's modules."""
    pool = {k.removeprefix("pool_"): v for k, v in options.items() if k.startswith("pool_")}
    conv = {k: v for k, v in options.items() if not k.startswith("pool_")}
    size = pool.pop("size", 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, **conv), nn.ReLU(), nn.MaxPool2d(size, **pool)
    )
