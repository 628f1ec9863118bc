"""A classifier head: flatten, then small linear layers with ReLU between them, as one operator.

    h = x.flatten(1);  h = relu(h @ weightᵀ + bias) for every layer, the last without ReLU

    N images   x (N, C, P, Q) or (N, in)   weight (out, in)   bias (out)   logits (N, out)

Around layers as small as these, PyTorch's time goes into calls, copies and the layout of flatten.
The native kernels read a channels_last x as it lies, run all layers in one call, and all gradients
in another.

The contract, which `reference` keeps by being made of PyTorch's own layers:

- Features are flattened channel by channel, whatever the layout of x: weights and checkpoints are
  those of `torch.nn.Linear`.
- The ReLU keeps NaN and passes no gradient where it gave 0.
- The native kernels take float32 on the CPU. Under autocast to bfloat16 they compute in float32,
  from float32 weights, and round the logits once; PyTorch rounds the weights and every layer.
- Every sum is one chain in a fixed order: the same bits run to run, for any number of threads, and
  for an image in any batch that runs natively.
- The gradient can be differentiated again, by PyTorch.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

from cnnzoo.errors import CnnzooError, did_you_mean
from cnnzoo.ops import _native
from cnnzoo.ops._head import FORWARD_RAW, Head, compose

MOST_LAYERS = 8  # that the binding takes

# What "auto" leaves to PyTorch. Below so many images laying the weights out costs more than it
# gains; longer rows were not measured, and one chain of FMAs rounds more than PyTorch's blocks.
LEAST_IMAGES, MOST_FEATURES = 16, 2048
MEASURED = ("avx512", "avx2")


def classifier_head(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor | None],
    *,
    implementation: str = "auto",
) -> Tensor:
    """Flatten ``x`` and map it through linear layers, with ReLU between them.

    Args:
        x: (N, C, P, Q) in any strides, or (N, in); N may be 0.
        weights: one (out, in) a layer; the first in = C P Q.
        biases: one (out,) or None a layer.
        implementation: "native" or "reference"; "auto" takes what is fastest, see `declined`.
            ``CNNZOO_KERNEL=native`` takes the kernels wherever they cover the head.

    Returns:
        Logits, (N, out of the last layer).

    Raises:
        CnnzooError: no such implementation, none or unequally many weights and biases, or an
            implementation that cannot run.

    Example:
        >>> import torch
        >>> x, weights = torch.randn(32, 8, 5, 5), [torch.randn(20, 200), torch.randn(10, 20)]
        >>> classifier_head(x, weights, [torch.zeros(20), torch.zeros(10)]).shape
        torch.Size([32, 10])
    """
    if declined(x, weights, biases, implementation=implementation):
        return compose(x, weights, biases)
    under_autocast = _under_autocast()
    if under_autocast:
        x = x.float()
    if torch.is_grad_enabled():
        logits = Head.apply(x, *(one for pair in zip(weights, biases, strict=True) for one in pair))
    else:
        logits = FORWARD_RAW(x, weights, biases)[-1]
    return logits.to(torch.get_autocast_dtype("cpu")) if under_autocast else logits


def reference(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> Tensor:
    """The contract in PyTorch's own layers, and the judge of the native kernels."""
    return compose(x, weights, biases)


def declined(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor | None],
    *,
    implementation: str = "auto",
) -> str | None:
    """Say why PyTorch's layers run and not the native kernels: a sentence, or None if these do.

    Raises:
        CnnzooError: as `classifier_head`.

    Example:
        >>> import torch
        >>> x, weights, biases = torch.randn(4, 8).double(), [torch.randn(2, 8).double()], [None]
        >>> declined(x, weights, biases, implementation="reference")
        'implementation="reference" was asked for.'
    """
    if implementation not in _native.KERNELS:
        raise CnnzooError(
            f'implementation: expected auto, native or reference, got "{implementation}".'
            + did_you_mean(str(implementation), _native.KERNELS)
        )
    if not weights or len(weights) != len(biases):
        raise CnnzooError(
            "A head has a weight and a bias (or None) for each of its layers; "
            f"got {len(weights)} and {len(biases)}."
        )
    if implementation == "reference":
        return 'implementation="reference" was asked for.'
    kernel = _native.kernel() if implementation == "auto" else implementation
    if kernel == "reference":
        return "CNNZOO_KERNEL=reference is set."
    reason = _uncovered(x, weights, biases)
    if kernel == "native":
        if reason and implementation == "native":
            raise CnnzooError(f'implementation="native" cannot run: {reason}')
        return reason
    return reason or _not_worth(x, weights)


def _uncovered(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> str | None:
    if torch.compiler.is_compiling() or torch._C._is_tracing():
        return "Compiled and exported programs get PyTorch's layers."
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return "torch.func and forward-mode derivatives need PyTorch's layers."
    if torch._C._len_torch_dispatch_stack():
        return "Somebody watches the operators by a torch dispatch mode."
    narrow = _under_autocast()
    if narrow and torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return (
            f"Under autocast native kernels give bfloat16, not {torch.get_autocast_dtype('cpu')}."
        )
    if _native.library() is None:
        return str(_native.status().reason)
    if len(weights) > MOST_LAYERS:
        return f"Native kernels take up to {MOST_LAYERS} layers, got {len(weights)}."
    if x.dim() not in (2, 4):
        return f"Native kernels take x of 2 or 4 dimensions, got {x.dim()}."
    features = x[0].numel() if len(x) else x.shape[1:].numel()
    given = [bias for bias in biases if bias is not None]
    if len(given) < len(weights):
        return "Native kernels need a bias in every layer."
    for each in (x, *weights, *given):
        if type(each) not in (Tensor, torch.nn.Parameter) or each.layout != torch.strided:
            return "Native kernels take dense tensors of no subclass."
        rounded = narrow and each is x and x.dtype == torch.bfloat16
        if (each.dtype != torch.float32 and not rounded) or each.device.type != "cpu":
            return f"Native kernels take float32 on the CPU, got {each.dtype} on {each.device}."
    for weight, bias in zip(weights, given, strict=True):
        if weight.shape != (bias.shape[0], features):
            return "The shapes of the layers do not follow one another."
        features = weight.shape[0]
    return None


def _under_autocast() -> bool:
    return torch._C._is_any_autocast_enabled() and torch.is_autocast_enabled("cpu")


def _not_worth(x: Tensor, weights: Sequence[Tensor]) -> str | None:
    isa = _isa()
    if isa not in MEASURED:
        return f"Nothing was measured with {isa}."
    if len(x) < LEAST_IMAGES:
        return f"It pays from {LEAST_IMAGES} images on, got {len(x)}."
    longest = max(max(weight.shape) for weight in weights)
    if longest > MOST_FEATURES:
        return f"It was measured for up to {MOST_FEATURES} features, got {longest}."
    return None


@functools.cache
def _isa() -> str | None:
    """Whose kernels compute in float32; asking the library takes longer than all checks."""
    return _native.kernels_for("float32")


_native.when_changed(_isa.cache_clear)
