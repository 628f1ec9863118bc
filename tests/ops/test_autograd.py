"""The operator inside autograd's machinery, and inside torch.func's."""

import pytest
import torch
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import conv_relu_maxpool
from tests.ops.oracle import assert_same, composition, integers, judged


@pytest.fixture
def tensors(native):
    generator = torch.Generator().manual_seed(0)
    return integers(generator, 3, 2, 8, 9), integers(generator, 5, 2, 3, 3), integers(generator, 5)


def block(x, weight, bias):
    return conv_relu_maxpool(x, weight, bias, padding=1, implementation="native")


def judge(x, weight, bias):
    return composition(x, weight, bias, padding=1)


def backward_of(function, tensors):
    leaves = [t.clone().requires_grad_() for t in tensors]
    y = function(*leaves)
    y.backward(torch.ones_like(y))
    return [y.detach(), *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(tensors, reentrant):
    got = backward_of(lambda *t: checkpoint(block, *t, use_reentrant=reentrant), tensors)
    assert_same(got, judged(*tensors, padding=1))


def test_hooks_that_move_saved_tensors(tensors):
    # Such hooks give the places back in other strides.
    def contiguous(tensor):
        return tensor.contiguous().clone()

    with torch.autograd.graph.saved_tensors_hooks(contiguous, contiguous):
        got = backward_of(block, tensors)
    assert_same(got, judged(*tensors, padding=1))


def test_backward_twice_and_accumulation(tensors):
    leaves = [t.clone().requires_grad_() for t in tensors]
    loss = block(*leaves).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    want = judged(*tensors, padding=1)[1:]
    assert_same([leaf.grad for leaf in leaves], [2 * grad for grad in want])


def test_input_changed_before_backward_is_noticed(tensors):
    x, weight, bias = tensors
    weight.requires_grad_()
    loss = block(x, weight, bias).sum()
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_output_without_gradient_in_a_graph(tensors):
    leaves = [t.clone().requires_grad_() for t in tensors]
    y = block(*leaves)

    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, y):
            return y.clone()

        @staticmethod
        def backward(ctx, grad):
            return None

    Nothing.apply(y).sum().backward()
    assert all(leaf.grad is None for leaf in leaves)


def test_inference_mode_and_no_grad(tensors):
    x, weight, bias = tensors
    weight.requires_grad_()
    with torch.no_grad():
        assert not block(x, weight, bias).requires_grad
    with torch.inference_mode():
        assert block(x, weight, bias).is_inference()


def test_func_grad(tensors):
    def gradients(function):
        return torch.func.grad(lambda *t: function(*t).sum(), argnums=(0, 1, 2))(*tensors)

    assert_same(gradients(block), [t.double() for t in gradients(judge)])


@pytest.mark.parametrize("dim", [0, 2])
def test_vmap_over_images(tensors, dim):
    x, weight, bias = tensors
    many = torch.stack([x, -x, 2 * x, x.roll(1, 3)], dim)
    got = torch.vmap(lambda x: block(x, weight, bias), in_dims=dim)(many)
    want = torch.vmap(lambda x: judge(x, weight, bias), in_dims=dim)(many)
    assert_same([got], [want.double()])


def test_vmap_over_filters(tensors):
    x, weight, bias = tensors
    many = torch.stack([weight, -weight, weight.flip(2)])
    for in_dims, images in ((None, x), (0, torch.stack([x, x + 1, -x]))):
        got = torch.vmap(block, in_dims=(in_dims, 0, None))(images, many, bias)
        want = torch.vmap(judge, in_dims=(in_dims, 0, None))(images, many, bias)
        assert_same([got], [want.double()])


def test_gradients_of_each_sample(tensors):
    x, weight, bias = tensors

    def gradients(function):
        loss = torch.func.grad(lambda w, x: function(x[None], w, bias).sum())
        return torch.vmap(loss, in_dims=(None, 0))(weight, x)

    assert_same([gradients(block)], [gradients(judge).double()])


def test_jacrev(tensors):
    x, weight, bias = tensors

    def jacobian(function):
        return torch.func.jacrev(lambda w: function(x, w, bias).sum((0, 2, 3)))(weight)

    assert_same([jacobian(block)], [jacobian(judge).double()])


def test_second_derivatives_are_refused(tensors):
    x, weight, bias = tensors

    def loss(weight):
        return block(x, weight, bias).sum()

    with pytest.raises(CnnzooError, match=r'no second derivative.*implementation="reference"'):
        torch.func.grad(lambda w: torch.func.grad(loss)(w).sum())(weight)
    leaf = weight.clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss(leaf), [leaf], create_graph=True)
    with pytest.raises(CnnzooError, match="no second derivative"):
        torch.autograd.grad(grad.sum(), [leaf])


def test_forward_mode_is_refused(tensors):
    x, weight, bias = tensors
    with pytest.raises(CnnzooError, match="no forward-mode derivative"):
        torch.func.jvp(lambda w: block(x, w, bias), (weight,), (weight,))
    with forward_ad.dual_level(), pytest.raises(CnnzooError, match="no forward-mode derivative"):
        block(x, forward_ad.make_dual(weight, weight), bias)


def test_the_reference_has_every_derivative(tensors):
    x, weight, bias = (t.double() for t in tensors)

    def loss(weight):
        y = conv_relu_maxpool(x, weight, bias, implementation="reference")
        return (y * y).sum()

    hessian = torch.func.hessian(loss)(weight)
    assert hessian.abs().max() > 0
