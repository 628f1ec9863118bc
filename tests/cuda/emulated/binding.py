"""The CUDA binding over emulated kernels, judged by float64: `python binding.py LIBRARY`.

A program of its own, since the library takes the operators on the CPU over from whoever has them.
"""

import ctypes
import sys

import pytest
import torch

from cnnzoo.ops import _reference

LAYERS = [  # x, weight, window: stride, padding, pool size, its stride, its padding
    ((2, 1, 9, 8), (5, 1, 3, 3), (1, 1, 0, 0, 2, 2, 2, 2, 0, 0)),
    ((2, 17, 7, 6), (9, 17, 3, 3), (1, 1, 1, 1, 3, 3, 2, 2, 1, 1)),
    ((1, 3, 11, 12), (4, 3, 5, 2), (2, 1, 2, 0, 3, 1, 1, 2, 0, 0)),
    ((0, 3, 8, 8), (4, 3, 3, 3), (1, 1, 0, 0, 2, 2, 2, 2, 0, 0)),
]


def integers(*shape):
    return torch.randint(-1, 2, shape).double()


def same(got, want):
    torch.testing.assert_close(got, want.to(got.dtype), rtol=0, atol=0)
    assert got.stride() == want.stride(), (got.stride(), want.stride())


def layouts(tensor):
    """The same values in three layouts."""
    wide = tensor.new_zeros(*tensor.shape[:3], 2 * tensor.shape[3])
    wide[..., ::2] = tensor
    return tensor, tensor.contiguous(memory_format=torch.channels_last), wide[..., ::2]


def check_passes(dtype, x_shape, weight_shape, window):
    ops = torch.ops.cnnzoo
    x64, weight64, bias64 = integers(*x_shape), integers(*weight_shape), integers(weight_shape[0])
    for with_bias in (True, False):
        bias64 = bias64 if with_bias else None
        y64, place = _reference.forward_train(x64, weight64, bias64, window)
        grad64 = integers(*y64.shape)
        grads = _reference.backward(grad64, x64, weight64, place, window, True, True)
        weight, bias = weight64.to(dtype), None if bias64 is None else bias64.to(dtype)
        for x, grad_y in zip(layouts(x64.to(dtype)), layouts(grad64.to(dtype)), strict=True):
            same(ops.conv_relu_maxpool(x, weight, bias, window), y64)
            y, got_place = ops.conv_relu_maxpool_train_raw(x, weight, bias, window)
            same(y, y64)
            same(got_place, place)
            crooked = weight.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)
            # Hooks on saved tensors may hand the places back in another layout.
            got = ops.conv_relu_maxpool_backward(
                grad_y, x, crooked, place.contiguous(), window, True, True
            )
            for one, other in zip(got, grads, strict=True):
                same(one, other)
        none = ops.conv_relu_maxpool_backward(grad_y, x, weight, place, window, False, False)
        assert [one.shape for one in none] == [(0,)] * 3
        assert {one.dtype for one in none} == {dtype}


def check_autograd():
    x, weight, bias = integers(2, 3, 9, 9), integers(4, 3, 3, 3), integers(4)
    window = LAYERS[0][2]
    want = [one.clone().requires_grad_() for one in (x, weight, bias)]
    _reference.forward(*want, window).sum().backward()
    got = [one.float().requires_grad_() for one in (x, weight, bias)]
    torch.ops.cnnzoo.conv_relu_maxpool_train(*got, window)[0].sum().backward()
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one.grad, other.grad.float(), rtol=0, atol=0)
    floats = [one.detach() for one in got]
    tests = ("test_schema", "test_faketensor")
    torch.library.opcheck(
        torch.ops.cnnzoo.conv_relu_maxpool_train.default, (*floats, list(window)), test_utils=tests
    )


def check_what_is_passed_on():
    window = LAYERS[0][2]
    x, weight = integers(2, 3, 9, 9), integers(4, 3, 3, 3)
    same(
        torch.ops.cnnzoo.conv_relu_maxpool(x, weight, None, window),
        _reference.forward(x, weight, None, window),
    )
    large = (1, 1, 0, 0, 17, 17, 1, 1, 0, 0)  # 289 positions: no byte holds their place
    y = torch.ops.cnnzoo.conv_relu_maxpool(
        torch.ones(1, 1, 19, 19), torch.ones(1, 1, 1, 1), None, large
    )
    assert torch.equal(y, torch.ones(1, 1, 3, 3))


def check_refusals():
    window = list(LAYERS[0][2])
    x, weight = torch.zeros(2, 3, 9, 9), torch.zeros(4, 3, 3, 3)
    bad = {
        "bias: another shape": lambda: torch.ops.cnnzoo.conv_relu_maxpool(
            x, weight, torch.zeros(5), window
        ),
        "window: expected 10": lambda: torch.ops.cnnzoo.conv_relu_maxpool(
            x, weight, None, window[:9]
        ),
        "grad_y: another shape": lambda: torch.ops.cnnzoo.conv_relu_maxpool_backward(
            x, x, weight, torch.zeros(2, 4, 3, 3, dtype=torch.uint8), window, True, True
        ),
        "place: another shape": lambda: torch.ops.cnnzoo.conv_relu_maxpool_backward(
            torch.zeros(2, 4, 3, 3), x, weight, torch.zeros(2, 4, 3, 3), window, True, True
        ),
    }
    for message, call in bad.items():
        with pytest.raises(RuntimeError, match=message):
            call()


def check_tf32(library):
    x, weight = torch.randn(1, 16, 8, 8), torch.randn(8, 16, 3, 3)
    window = LAYERS[0][2]
    want = _reference.forward(x.double(), weight.double(), None, window)
    error = {}
    for allow in (False, True):
        library.emulated_allow_tf32(ctypes.c_bool(allow))
        got = torch.ops.cnnzoo.conv_relu_maxpool(x, weight, None, window)
        error[allow] = float((got - want).abs().max() / want.max())
    assert error[False] < 1e-6 < 1e-5 < error[True] < 3e-3, error


def main():
    torch.manual_seed(0)
    library = ctypes.CDLL(sys.argv[1])
    torch.ops.load_library(sys.argv[1])
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for layer in LAYERS:
            check_passes(dtype, *layer)
    check_autograd()
    check_what_is_passed_on()
    check_refusals()
    check_tf32(library)
    print("the binding: all right")


if __name__ == "__main__":
    main()
