"""The operators as torch sees them: schemas, fake kernels, gradients, and the binding's manners."""

import pytest
import torch

import cnnzoo.ops  # noqa: F401  (defines the operators)
from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _reference
from cnnzoo.ops._autograd import Eager
from tests.ops.oracle import WINDOW, assert_same, integers, judged, with_gradients

OPERATORS = torch.ops.cnnzoo
STRIDED = (2, 1, 1, 2, 3, 2, 2, 1, 1, 0)  # of each kind of size, two that differ


def tensors(dtype=torch.float32, *, grad=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    made = integers(generator, 2, 3, 9, 8), integers(generator, 5, 3, 3, 2), integers(generator, 5)
    return [t.to(dtype).requires_grad_(grad) for t in made]


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.bfloat16, torch.float64],
    ids=["float32", "bfloat16", "float64"],
)
@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no grad"])
@pytest.mark.parametrize("name", ["conv_relu_maxpool", "conv_relu_maxpool_train"])
def test_opcheck(name, grad, dtype):
    torch.library.opcheck(getattr(OPERATORS, name).default, (*tensors(dtype, grad=grad), STRIDED))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(("need_x", "need_weight"), [(True, True), (True, False), (False, True)])
def test_opcheck_backward(need_x, need_weight, dtype):
    x, weight, bias = tensors(dtype)
    y, place = OPERATORS.conv_relu_maxpool_train(x, weight, bias, STRIDED)
    arguments = (torch.randn_like(y), x, weight, place, STRIDED, need_x, need_weight)
    torch.library.opcheck(OPERATORS.conv_relu_maxpool_backward.default, arguments)


PATHS = {
    "eager": Eager.apply,
    "train": lambda *a: OPERATORS.conv_relu_maxpool_train(*a)[0],
    "inference": OPERATORS.conv_relu_maxpool,  # differentiates by running again
}


@pytest.mark.parametrize("path", PATHS)
def test_gradcheck(path):
    generator = torch.Generator().manual_seed(1)
    shapes = (2, 2, 5, 6), (3, 2, 3, 2), (3,)  # small: every number is moved by itself
    inputs = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    inputs = [t.requires_grad_() for t in inputs]
    assert torch.autograd.gradcheck(lambda *t: PATHS[path](*t, STRIDED), inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("path", PATHS)
def test_gradients_are_those_of_the_composition(path, dtype):
    # opcheck is content with an operator that has no autograd at all.
    x, weight, bias = tensors(dtype)
    sizes = dict(zip(("stride", "padding"), (STRIDED[:2], STRIDED[2:4]), strict=True))
    pools = {"pool_size": STRIDED[4:6], "pool_stride": STRIDED[6:8], "pool_padding": STRIDED[8:]}
    want = judged(x, weight, bias, **sizes, **pools)
    assert_same(with_gradients(lambda *t: PATHS[path](*t, STRIDED), x, weight, bias), want)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_binding_passes_other_dtypes_on(native, dtype):
    x, weight, bias = tensors(dtype)
    got = OPERATORS.conv_relu_maxpool_train(x, weight, bias, WINDOW)
    want = _reference.forward_train(x, weight, bias, WINDOW)
    assert [t.dtype for t in got] == [dtype, torch.uint8]
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_native_and_reference_keep_the_same_places(isa, dtype):
    x, weight, bias = tensors(dtype)
    x[0, 0, 3, 3] = torch.nan
    dead = OPERATORS.conv_relu_maxpool_train(x, weight, bias - 9, WINDOW)[1] == _reference.DEAD
    assert 0 < dead.sum() < dead.numel()
    for window in (WINDOW, STRIDED, (1, 1, 0, 0, 3, 3, 2, 2, 1, 1)):
        bias = bias - 3
        got = OPERATORS.conv_relu_maxpool_train(x, weight, bias, window)
        want = OPERATORS.conv_relu_maxpool_train_reference(x, weight, bias, window)
        assert_same(got, [want[0].double(), want[1].double()])
        grad = torch.ones_like(got[0])
        grads = OPERATORS.conv_relu_maxpool_backward(grad, x, weight, got[1], window, True, False)
        wanted = _reference.backward(grad, x, weight, want[1], window, True, False)
        assert_same(grads, [t.double() for t in wanted])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_binding_checks_shapes(native, dtype):
    x, weight, bias = tensors(dtype)
    y, place = OPERATORS.conv_relu_maxpool_train(x, weight, bias, WINDOW)
    with pytest.raises(RuntimeError, match="bias"):
        OPERATORS.conv_relu_maxpool(x, weight, bias[:4], WINDOW)
    with pytest.raises(RuntimeError, match="10 ints"):
        OPERATORS.conv_relu_maxpool(x, weight, bias, WINDOW[:9])
    with pytest.raises(RuntimeError, match="bias"):
        OPERATORS.conv_relu_maxpool(x, weight, bias.double(), WINDOW)
    for grad_y, place_ in ((y[:1], place), (y.double(), place), (y, place[..., :1]), (y, y)):
        with pytest.raises(RuntimeError, match=r"grad_y|place"):
            OPERATORS.conv_relu_maxpool_backward(grad_y, x, weight, place_, WINDOW, True, True)


def test_reference_refuses_a_pool_that_no_byte_can_number():
    x, weight = torch.zeros(1, 1, 20, 20), torch.zeros(1, 1, 1, 1)
    with pytest.raises(ValueError, match="16x16"):
        _reference.forward_train(x, weight, None, (1, 1, 0, 0, 16, 16, 16, 16, 0, 0))


@pytest.mark.parametrize("path", PATHS)
def test_second_derivatives_are_refused(path):
    x, weight, bias = tensors(torch.float64, grad=True)
    (grad,) = torch.autograd.grad(
        PATHS[path](x, weight, bias, WINDOW).sum(), [weight], create_graph=True
    )
    with pytest.raises(CnnzooError, match="no second derivative"):
        grad.sum().backward()
