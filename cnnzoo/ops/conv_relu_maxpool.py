"""The fused block of a small convolutional network: convolution, bias, ReLU, max-pooling.

    y = max_pool2d(relu(conv2d(x, weight, bias, stride, padding, dilation, groups)),
                   pool_size, pool_stride, pool_padding)

    N images   C channels   H W input size   K filters   R S filter size   P Q pooled size

    x       (N, C, H, W)           any strides
    weight  (K, C / groups, R, S)  any strides
    bias    (K,) or None
    y       (N, K, P, Q)           sizes rounded down; channels_last where native

The contract, which `reference` below keeps by being made of PyTorch's own layers:

- A tie goes to the first maximum in row-major order of the pool window.
- A NaN beats every number, and the last NaN in a window the others. NaN reaches y, and its gradient
  flows. A position in the pool's padding never wins.
- The gradient of an output goes to the one place where the maximum was, and nowhere where y is 0.
- dtypes: any floating dtype, the same for x, weight and bias; under autocast that of autocast.
- In bfloat16 the convolution, its bias added, is rounded before the maximum is looked for: values
  that round alike are ties. Sums are taken in float32, and a gradient is rounded once, at the end.
- The native kernels take float32 and bfloat16 on the CPU; on CUDA also float16, and TF32 where
  torch's convolutions may use it. They are as accurate as a composition in that dtype, and give the
  same bits run to run and for any number of threads. For backward they keep x, weight and one byte
  an output. Their gradient cannot be differentiated again, nor forward.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from cnnzoo.ops import _cuda
from cnnzoo.ops._autograd import Eager, Functional
from cnnzoo.ops._casting import cast
from cnnzoo.ops._choice import Choice
from cnnzoo.ops._geometry import Pair
from cnnzoo.ops._operators import FORWARD_RAW
from cnnzoo.ops._plan import plan_for
from cnnzoo.ops._reference import compose
from cnnzoo.ops._trace import trace


def conv_relu_maxpool(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    pool_size: Pair = 2,
    pool_stride: Pair | None = None,
    pool_padding: Pair = 0,
    implementation: str = "auto",
) -> Tensor:
    """Compute ``max_pool2d(relu(conv2d(x, weight, bias)))`` in one go, with its gradients.

    Sizes are an int or a pair (height, width).

    Args:
        x: images, (N, C, H, W), any strides; N may be 0.
        weight: filters, (K, C / groups, R, S).
        bias: (K,), or None.
        stride: of the filter.
        padding: zeros around x, on each side.
        dilation: of the filter.
        groups: of channels.
        pool_size: the pooling window.
        pool_stride: None: the window itself.
        pool_padding: at most half of the window; it never wins.
        implementation: "native" or "reference"; "auto" takes what is fastest, see `explain`.

    Returns:
        (N, K, P, Q), in memory (N, P, Q, K) where the native kernel ran: flatten it, don't view it.

    Raises:
        CnnzooError: arguments that do not fit together, or an implementation that cannot run.

    Example:
        >>> import torch
        >>> x, weight = torch.randn(8, 1, 28, 28), torch.randn(32, 1, 3, 3)
        >>> conv_relu_maxpool(x, weight, torch.zeros(32), pool_size=2).shape
        torch.Size([8, 32, 13, 13])
    """
    sizes = (stride, padding, dilation, groups, pool_size, pool_stride, pool_padding)
    if torch.compiler.is_compiling():
        return trace(x, weight, bias, sizes, implementation)
    plan = plan_for(x, weight, bias, sizes, implementation)
    if not plan.native:
        return compose(x, weight, bias, plan.conv, plan.pool)
    if plan.cast is not None:
        ready = _cuda.ready if x.is_cuda else cast
        x, weight, bias = ready(x, weight, bias, plan.cast)
    if torch._C._are_functorch_transforms_active():
        return Functional.apply(x, weight, bias, plan.window)[0]
    if plan.training or forward_ad._current_level >= 0:  # a dual number: Eager refuses it aloud
        return Eager.apply(x, weight, bias, plan.window)
    return FORWARD_RAW(x, weight, bias, plan.window)


def reference(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    pool_size: Pair = 2,
    pool_stride: Pair | None = None,
    pool_padding: Pair = 0,
) -> Tensor:
    """The contract in PyTorch's own layers, and the judge of every other implementation."""
    y = F.relu(F.conv2d(x, weight, bias, stride, padding, dilation, groups))
    return F.max_pool2d(y, pool_size, pool_stride, pool_padding)


def explain(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    pool_size: Pair = 2,
    pool_stride: Pair | None = None,
    pool_padding: Pair = 0,
    implementation: str = "auto",
) -> Choice:
    """Say which implementation `conv_relu_maxpool` takes for these arguments, and why.

    Raises:
        CnnzooError: as `conv_relu_maxpool`.

    Example:
        >>> import torch
        >>> choice = explain(torch.randn(1, 4, 8, 8), torch.randn(6, 2, 3, 3), groups=2)
        >>> choice.implementation, choice.declined["native"]
        ('reference', 'Native kernels take groups=1, got 2.')
    """
    sizes = (stride, padding, dilation, groups, pool_size, pool_stride, pool_padding)
    choice = plan_for(x, weight, bias, sizes, implementation).choice
    assert choice is not None
    return choice
