"""The operators that torch knows, in the namespace `cnnzoo`: schemas, fake kernels, autograd.

    conv_relu_maxpool           x, weight, bias, window → y                inference
    conv_relu_maxpool_train     x, weight, bias, window → y, place         keeps what backward needs
    conv_relu_maxpool_backward  grad_y, x, weight, place, … → three gradients

`window` is one list of ten ints, the fields of `Window`: five lists of two cost 2 µs more a call.

Each of the three has three names. The plain one is what compiled and exported programs hold: it has
autograd. `…_raw` is the same kernel without autograd, 3 µs a call cheaper, for callers that bring
their own. `…_reference` stays PyTorch whatever is loaded. Kernels registered here serve every
device; the native library replaces those of the first two on the CPU, and passes what it does not
cover on to the third.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _reference, _vmap
from cnnzoo.ops._geometry import pooled_size

TWICE = (
    "conv_relu_maxpool has no second derivative: its gradient cannot be differentiated again. "
    'implementation="reference" can be.'
)

_INPUTS = "(Tensor x, Tensor weight, Tensor? bias, int[] window)"
_SCHEMAS = {
    "conv_relu_maxpool": f"{_INPUTS} -> Tensor",
    "conv_relu_maxpool_train": f"{_INPUTS} -> (Tensor y, Tensor place)",
    "conv_relu_maxpool_backward": (
        "(Tensor grad_y, Tensor x, Tensor weight, Tensor place, int[] window, bool need_x, "
        "bool need_weight) -> (Tensor grad_x, Tensor grad_weight, Tensor grad_bias)"
    ),
}


def _pooled(x: Tensor, weight: Tensor, window: Sequence[int], dtype: torch.dtype) -> Tensor:
    shape = (x.shape[0], weight.shape[0], *pooled_size(x.shape, weight.shape, window))
    return torch.empty(
        shape, dtype=dtype, device=x.device, memory_format=torch.channels_last
    )  # (N, K, P, Q), in memory (N, P, Q, K)


def _fake(x: Tensor, weight: Tensor, bias: Tensor | None, window: Sequence[int]) -> Tensor:
    return _pooled(x, weight, window, x.dtype)


def _fake_train(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Sequence[int]
) -> tuple[Tensor, Tensor]:
    return _pooled(x, weight, window, x.dtype), _pooled(x, weight, window, torch.uint8)


def _fake_backward(
    grad_y: Tensor,
    x: Tensor,
    weight: Tensor,
    place: Tensor,
    window: Sequence[int],
    need_x: bool,
    need_weight: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    grad_x = grad_weight = grad_bias = None
    if need_x:
        grad_x = torch.empty(
            x.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last
        )
    if need_weight:
        grad_weight = torch.empty(weight.shape, dtype=x.dtype, device=x.device)
        grad_bias = x.new_empty(weight.shape[0])
    return tuple(  # type: ignore[return-value]
        x.new_empty(0) if grad is None else grad for grad in (grad_x, grad_weight, grad_bias)
    )


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias, ctx.window = inputs
    ctx.save_for_backward(x, weight, bias)


def _differentiate(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
    """The inference operator kept no places: run it again, this time for training."""
    x, weight, bias = ctx.saved_tensors
    place = TRAIN(x, weight, bias, ctx.window)[1]
    return gradients(BACKWARD, ctx.needs_input_grad, grad_y, x, weight, place, ctx.window)


def _keep_place(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weight, _, ctx.window = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, weight, output[1])


def _differentiate_train(ctx: Any, grad_y: Tensor, _: Any) -> tuple[Tensor | None, ...]:
    x, weight, place = ctx.saved_tensors
    return gradients(BACKWARD, ctx.needs_input_grad, grad_y, x, weight, place, ctx.window)


def gradients(
    backward: Callable[..., tuple[Tensor, Tensor, Tensor]],
    needs: Sequence[bool],
    grad_y: Tensor | None,
    x: Tensor,
    weight: Tensor,
    place: Tensor,
    window: Sequence[int],
) -> tuple[Tensor | None, ...]:
    """Call a backward operator, and give autograd None where nobody needs a gradient."""
    if grad_y is None:
        return None, None, None, None
    need_weight = needs[1] or needs[2]
    grad_x, grad_weight, grad_bias = backward(
        grad_y, x, weight, place, window, needs[0], need_weight
    )
    return (
        grad_x if needs[0] else None,
        grad_weight if needs[1] else None,
        grad_bias if needs[2] else None,
        None,
    )


def _refuse(ctx: Any, *grads: Any) -> None:
    raise CnnzooError(TWICE)


# Nothing in here may run twice in a process: torch refuses a second definition of a name.
library = torch.library.Library("cnnzoo", "DEF")
for _name, _kernel, _fake_kernel in (
    ("conv_relu_maxpool", _reference.forward, _fake),
    ("conv_relu_maxpool_train", _reference.forward_train, _fake_train),
    ("conv_relu_maxpool_backward", _reference.backward, _fake_backward),
):
    for _role in ("", "_raw", "_reference"):
        library.define(_name + _role + _SCHEMAS[_name], tags=torch.Tag.pt2_compliant_tag)
        library.impl(_name + _role, _kernel, "CompositeExplicitAutograd")
        torch.library.register_fake(f"cnnzoo::{_name}{_role}", _fake_kernel, lib=library)
        torch.library.register_vmap(
            f"cnnzoo::{_name}{_role}", _vmap.rule(f"{_name}{_role}"), lib=library
        )

FORWARD = torch.ops.cnnzoo.conv_relu_maxpool.default
FORWARD_RAW = torch.ops.cnnzoo.conv_relu_maxpool_raw.default
TRAIN = torch.ops.cnnzoo.conv_relu_maxpool_train.default
TRAIN_RAW = torch.ops.cnnzoo.conv_relu_maxpool_train_raw.default
BACKWARD = torch.ops.cnnzoo.conv_relu_maxpool_backward.default
BACKWARD_RAW = torch.ops.cnnzoo.conv_relu_maxpool_backward_raw.default

torch.library.register_autograd(
    "cnnzoo::conv_relu_maxpool", _differentiate, setup_context=_keep_inputs, lib=library
)
torch.library.register_autograd(
    "cnnzoo::conv_relu_maxpool_train", _differentiate_train, setup_context=_keep_place, lib=library
)
torch.library.register_autograd("cnnzoo::conv_relu_maxpool_backward", _refuse, lib=library)
