"""What the operator is judged by: PyTorch's own layers, in float64."""

import torch
import torch.nn.functional as F

WINDOW = (1, 1, 0, 0, 2, 2, 2, 2, 0, 0)  # stride, padding, pool size, pool stride, pool padding


def composition(x, weight, bias=None, *, pool_size=2, pool_stride=None, pool_padding=0, **conv):
    """The formula as everybody writes it."""
    y = F.relu(F.conv2d(x, weight, bias, **conv))
    return F.max_pool2d(y, pool_size, pool_stride, pool_padding)


def with_gradients(function, x, weight, bias, grad_y=None, **sizes):
    """Y and the gradients of x, weight and bias; `grad_y` may have any dtype, None is ones."""
    tensors = [t.detach().clone().requires_grad_() for t in (x, weight, bias) if t is not None]
    y = function(*tensors, **sizes) if bias is not None else function(*tensors, None, **sizes)
    grad_y = torch.ones_like(y) if grad_y is None else grad_y.to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, tensors, grad_y)]


def judged(x, weight, bias, grad_y=None, **sizes):
    """The right answers, in float64: y and the three gradients."""
    doubles = [None if t is None else t.detach().double().contiguous() for t in (x, weight, bias)]
    return with_gradients(composition, *doubles, grad_y, **sizes)


def integers(generator, *shape, most=3):
    """Small whole numbers: every sum of them is exact in float32, and ties are everywhere."""
    return torch.randint(-most, most + 1, shape, generator=generator).float()


def assert_same(got, want):
    """The same numbers exactly, up to the dtype; NaN equals NaN."""
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=0, atol=0, equal_nan=True)


def assert_near(got, want, tolerance=2e-5):
    """Near in units of the largest number: float32 against float64."""
    for one, other in zip(got, want, strict=True):
        scale = float(other.abs().max()) if other.numel() else 1.0
        torch.testing.assert_close(one.double(), other, rtol=0, atol=tolerance * max(scale, 1e-30))
