"""The operator's answers, for every implementation, and the arguments it refuses."""

import pytest
import torch

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import conv_relu_maxpool, explain
from tests.ops.oracle import assert_near, assert_same, integers, judged, with_gradients

# Name → N, C, H, W, K, R, S and the arguments: the real layers, smaller, and every kind of tail.
LAYERS = {
    "tutorial conv1": ((3, 1, 28, 28, 32, 3, 3), {}),
    "tutorial conv2": ((3, 32, 13, 13, 32, 3, 3), {}),
    "lenet": ((2, 1, 28, 28, 6, 5, 5), {"padding": 2}),
    "cifar": ((2, 3, 32, 32, 64, 3, 3), {"padding": 1}),
    "alexnet": ((1, 3, 67, 67, 16, 11, 11), {"stride": 4, "pool_size": 3, "pool_stride": 2}),
    "vgg": ((1, 64, 14, 14, 128, 3, 3), {"padding": 1}),
    "resnet stem": (
        (1, 3, 38, 38, 64, 7, 7),
        {"stride": 2, "padding": 3, "pool_size": 3, "pool_stride": 2, "pool_padding": 1},
    ),
    "one of each": ((1, 1, 1, 1, 1, 1, 1), {"pool_size": 1}),
    "tails": ((2, 17, 11, 9, 33, 3, 2), {"padding": (2, 1), "stride": (1, 2)}),
    "gaps between pools": ((2, 5, 12, 15, 7, 3, 3), {"pool_size": 2, "pool_stride": 3}),
    "flat": ((2, 4, 1, 19, 5, 1, 3), {"pool_size": (1, 2)}),
    "batch 0": ((0, 3, 8, 8, 4, 3, 3), {}),
}


def problem(name, *, bias=True, seed=0):
    (n, c, h, w, k, r, s), sizes = LAYERS[name]
    generator = torch.Generator().manual_seed(seed)
    x, weight = integers(generator, n, c, h, w), integers(generator, k, c, r, s)
    return x, weight, integers(generator, k) if bias else None, sizes


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("name", LAYERS)
def test_native_is_exact_on_whole_numbers(isa, name, bias):
    x, weight, bias, sizes = problem(name, bias=bias)
    want = judged(x, weight, bias, **sizes)
    got = with_gradients(conv_relu_maxpool, x, weight, bias, implementation="native", **sizes)
    assert_same(got, want)


@pytest.mark.parametrize("name", LAYERS)
def test_reference_is_exact_on_whole_numbers(name):
    x, weight, bias, sizes = problem(name)
    want = judged(x, weight, bias, **sizes)
    got = with_gradients(conv_relu_maxpool, x, weight, bias, implementation="reference", **sizes)
    assert_same(got, want)


@pytest.mark.parametrize("name", ["tutorial conv1", "tutorial conv2", "resnet stem", "tails"])
def test_native_is_near_on_real_numbers(isa, name):
    *tensors, sizes = problem(name)
    generator = torch.Generator().manual_seed(1)
    x, weight, bias = (torch.randn(t.shape, generator=generator) for t in tensors)
    want = judged(x, weight, bias, **sizes)
    got = with_gradients(conv_relu_maxpool, x, weight, bias, implementation="native", **sizes)
    assert_near(got, want)


def layouts(tensor):
    """The same numbers in other strides."""
    wide = torch.zeros(*tensor.shape[:3], 2 * tensor.shape[3])
    wide[..., ::2] = tensor
    yield "channels_last", tensor.to(memory_format=torch.channels_last)
    yield "every second column", wide[..., ::2]
    yield "transposed", tensor.transpose(2, 3).contiguous().transpose(2, 3)
    yield "batch innermost", tensor.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)


@pytest.mark.parametrize("c", [1, 3, 20])
def test_any_strides_of_x_weight_and_gradient(isa, c):
    generator = torch.Generator().manual_seed(2)
    x, weight = integers(generator, 3, c, 9, 11), integers(generator, 18, c, 3, 3)
    bias, grad_y = integers(generator, 18), integers(generator, 3, 18, 3, 4)
    want = judged(x, weight, bias, grad_y)
    for (_, x_), (_, weight_), (_, grad_) in zip(
        layouts(x), layouts(weight), layouts(grad_y), strict=True
    ):
        leaves = [x_.detach(), weight_.detach(), bias]
        leaves = [t.requires_grad_() for t in leaves]
        y = conv_relu_maxpool(*leaves, implementation="native")
        assert_same([y.detach(), *torch.autograd.grad(y, leaves, grad_)], want)


def test_expanded_input_and_gradient(isa):
    generator = torch.Generator().manual_seed(3)
    x = integers(generator, 1, 1, 10, 10).expand(4, 3, 10, 10)  # strides of 0
    weight = integers(generator, 8, 3, 3, 3)
    want = judged(x, weight, None)
    weight.requires_grad_()
    y = conv_relu_maxpool(x, weight, implementation="native")
    (grad,) = torch.autograd.grad(y.sum(), [weight])  # sum hands back an expanded gradient
    assert_same([y.detach(), grad], [want[0], want[2]])


def test_infinities_and_nan(isa):
    generator = torch.Generator().manual_seed(4)
    for c in (1, 3, 20):
        x, weight = integers(generator, 4, c, 12, 12), integers(generator, 20, c, 3, 3)
        x.view(-1)[torch.randint(0, x.numel(), (9,), generator=generator)] = torch.tensor(
            [torch.nan, torch.inf, -torch.inf]
        ).repeat(3)
        sizes = {"pool_size": 3, "pool_stride": 2, "pool_padding": 1}
        want = judged(x, weight, None, **sizes)
        got = with_gradients(conv_relu_maxpool, x, weight, None, implementation="native", **sizes)
        assert want[0].isnan().any()
        assert want[0].isposinf().any()
        # The gradient of x meets no NaN: it says which of several NaN had won the window.
        assert_same(got[:2], want[:2])


def test_no_gradient_that_nobody_needs(native):
    x, weight, bias, _ = problem("tutorial conv2")
    weight.requires_grad_()
    y = conv_relu_maxpool(x, weight, bias, implementation="native")
    y.sum().backward()
    assert x.grad is None
    assert bias.grad is None
    assert y.grad_fn.next_functions[0][0] is None
    torch.testing.assert_close(weight.grad.double(), judged(x, weight, bias)[2])


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2), (1, 2)])
def test_each_gradient_alone(native, wanted):
    tensors = list(problem("tails")[:3])
    want = judged(*tensors)
    for index in wanted:
        tensors[index].requires_grad_()
    y = conv_relu_maxpool(*tensors, implementation="native")
    grads = torch.autograd.grad(y.sum(), [tensors[index] for index in wanted])
    assert_same(grads, [want[1 + index] for index in wanted])


def test_output_is_channels_last_and_its_own(native):
    x, weight, bias, _ = problem("tutorial conv2")
    y = conv_relu_maxpool(x, weight, bias, implementation="native")
    assert y.stride() == torch.empty(y.shape, memory_format=torch.channels_last).stride()
    assert torch.equal(y, conv_relu_maxpool(x, weight, bias, implementation="native"))


def test_what_native_does_not_cover_goes_to_the_reference():
    generator = torch.Generator().manual_seed(5)
    x, weight = integers(generator, 2, 4, 20, 20), integers(generator, 6, 2, 3, 3)
    for sizes in ({"groups": 2}, {"groups": 2, "dilation": 2}, {"groups": 2, "pool_size": 16}):
        got = with_gradients(conv_relu_maxpool, x, weight, None, **sizes)
        assert_same(got, judged(x, weight, None, **sizes))
    full = integers(generator, 6, 4, 3, 3)
    for dtype in (torch.float64, torch.float16):
        y = conv_relu_maxpool(x.to(dtype), full.to(dtype))
        assert y.dtype == dtype
        assert "float32" in explain(x.to(dtype), full.to(dtype)).declined["native"]


def test_autocast_computes_in_its_dtype():
    x, weight, bias, _ = problem("cifar")
    with torch.autocast("cpu", torch.bfloat16):
        y = conv_relu_maxpool(x, weight, bias)
        assert y.dtype == torch.bfloat16
        assert conv_relu_maxpool(x.bfloat16(), weight, bias).dtype == torch.bfloat16
        assert conv_relu_maxpool(x.double(), weight.double()).dtype == torch.float64
    assert conv_relu_maxpool(x, weight, bias).dtype == torch.float32


X, WEIGHT, BIAS = torch.zeros(2, 3, 8, 8), torch.zeros(4, 3, 3, 3), torch.zeros(4)
HUGE = torch.zeros(1, 1, 1, 1).expand(1 << 20, 3, 1 << 20, 1 << 20)
BAD = {
    "rank of x": ({"x": torch.zeros(3, 8, 8)}, "x: expected shape (N, C, H, W), got (3, 8, 8)"),
    "rank of weight": ({"weight": torch.zeros(4, 27)}, "weight: expected shape (K, C / groups"),
    "rank of bias": ({"bias": torch.zeros(4, 1)}, "bias: expected shape (K,), got (4, 1)"),
    "size of bias": ({"bias": torch.zeros(5)}, "bias: expected shape (4,), got (5,)"),
    "channels": ({"x": torch.zeros(2, 4, 8, 8)}, "x: expected 3 channels"),
    "no tensor": ({"x": [[1.0]]}, "x: expected a torch.Tensor, got list"),
    "another library's array": ({"weight": X.numpy()}, "weight: expected"),
    "no tensor as bias": ({"bias": 1.0}, "bias: expected a torch.Tensor, got float"),
    "whole numbers": ({"x": X.int()}, "x: expected a floating dtype, got torch.int32"),
    "complex": ({"x": X.cfloat()}, "x: expected a floating dtype, got torch.complex64"),
    "mixed dtypes, one of them ours": (
        {"weight": WEIGHT.bfloat16()},
        "weight: expected torch.float32, the dtype of x; got torch.bfloat16",
    ),
    "mixed dtypes": ({"weight": WEIGHT.double()}, "weight: expected torch.float32"),
    "dtype of bias": ({"bias": BIAS.half()}, "bias: expected torch.float32"),
    "device": ({"weight": WEIGHT.to("meta")}, "weight: expected device cpu, that of x; got meta"),
    "sparse": ({"x": X.to_sparse()}, "x: expected a dense tensor, got layout torch.sparse_coo"),
    "no filters": ({"weight": torch.zeros(0, 3, 3, 3)}, "weight: expected sizes of at least 1"),
    "kernel too large": ({"x": torch.zeros(2, 3, 2, 8)}, "x: expected at least 3x3 after padding"),
    "dilated too far": ({"dilation": 4}, "x: expected at least 9x9 after padding"),
    "pool too large": ({"pool_size": 7}, "pool_size: expected at most the convolution's 6x6"),
    "pool padding": ({"pool_padding": 2}, "pool_padding: expected at most half of pool_size=2"),
    "stride of 0": ({"stride": 0}, "stride: expected at least 1, got 0"),
    "negative padding": ({"padding": (0, -1)}, "padding: expected at least 0, got (0, -1)"),
    "negative pool stride": ({"pool_stride": -2}, "pool_stride: expected at least 1, got -2"),
    "pool of 0": ({"pool_size": 0}, "pool_size: expected at least 1, got 0"),
    "half a pixel": ({"stride": 1.5}, "stride: expected an int or a pair of ints, got 1.5"),
    "three sizes": ({"padding": (1, 1, 1)}, "padding: expected an int or a pair of ints"),
    "a word": ({"padding": "same"}, "padding: expected an int or a pair of ints, got 'same'"),
    "groups of 0": ({"groups": 0}, "groups: expected an int of at least 1, got 0"),
    "groups that do not divide": (
        {"groups": 3, "weight": torch.zeros(4, 1, 3, 3)},
        "groups: expected a divisor of the 4 filters, got 3",
    ),
    "overflow": ({"x": HUGE}, "x: expected a convolution of at most 2^45 values"),
    "overflowing padding": ({"padding": 1 << 40}, "x: expected a convolution of at most 2^45"),
    "implementation": ({"implementation": "nativ"}, "got 'nativ'. Did you mean \"native\"?"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_a_sentence(name):
    changed, sentence = BAD[name]
    arguments = {"x": X, "weight": WEIGHT, "bias": BIAS, **changed}
    for grad in (False, True):  # twice: a refusal must not be remembered as an answer
        with torch.set_grad_enabled(grad), pytest.raises(CnnzooError) as caught:
            conv_relu_maxpool(**arguments)
        assert sentence in str(caught.value)


def test_sizes_may_be_ints_pairs_and_lists():
    x, weight, bias, _ = problem("cifar")
    want = conv_relu_maxpool(x, weight, bias, stride=2, padding=1, pool_size=3, pool_stride=1)
    for sizes in ({"stride": (2, 2), "pool_size": [3, 3]}, {"stride": [2, 2], "pool_size": (3, 3)}):
        got = conv_relu_maxpool(x, weight, bias, padding=[1, 1], pool_stride=(1, 1), **sizes)
        assert torch.equal(got, want)
