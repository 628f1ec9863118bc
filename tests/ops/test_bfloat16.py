"""bfloat16 on the CPU: the right numbers for any shape, in every instruction set.

CNNZOO_EXAMPLES=20000 makes it a deep run. How it lives in torch: `test_bfloat16_in_torch`.
"""

import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnnzoo.ops import _geometry, _native, conv_relu_maxpool
from tests.ops.oracle import WINDOW, assert_same, integers
from tests.ops.oracle_bfloat16 import LEAST, Between, judged
from tests.ops.problems import LAYOUTS, laid_out, problems

EXAMPLES = int(os.environ.get("CNNZOO_EXAMPLES", "100"))
OPERATORS = torch.ops.cnnzoo
FLUSHING = ("avx512_bf16", "amx")  # their dot products take denormal numbers for 0
any_problem = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == 100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def each_isa(native):
    """Return a function that yields every instruction set once, while it is in use."""
    before = native.current_isa()

    def in_turn():
        for name in native.isas():
            _native.set_isa(name)
            yield name

    yield in_turn
    _native.set_isa(before)


@any_problem
@given(
    problem=problems(),
    x_layout=LAYOUTS,
    grad_layout=LAYOUTS,
    bias=st.booleans(),
    specials=st.sampled_from([0, 0, 1, 4]),
    zeros=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_exact_on_whole_numbers(
    each_isa, problem, x_layout, grad_layout, bias, specials, zeros, seed
):
    # Sums pass 256, from where on bfloat16 rounds them: many of them tie only then.
    shapes, sizes = problem
    draw = torch.Generator().manual_seed(seed)
    x = integers(draw, shapes["n"], shapes["c"], *shapes["size"], most=1 if zeros else 3)
    weight = integers(draw, shapes["k"], shapes["c"], *shapes["kernel"], most=31).bfloat16()
    bias = integers(draw, shapes["k"], most=200).bfloat16() if bias else None
    specials = specials if x.numel() else 0
    for number in (torch.nan, torch.inf, -torch.inf):
        x.view(-1)[torch.randint(0, max(x.numel(), 1), (specials,), generator=draw)] = number
    grad_y = integers(draw, *judged(x, weight, bias, None, **sizes)[0].shape)
    want = judged(x, weight, bias, grad_y, **sizes)
    comparable = 2 if specials else len(want)  # as in `test_properties`

    x, grad_y = laid_out(x.bfloat16(), x_layout), laid_out(grad_y.bfloat16(), grad_layout)
    for _ in each_isa():
        leaves = [t.detach().requires_grad_() for t in (x, weight, bias) if t is not None]
        y = conv_relu_maxpool(*leaves, implementation="native", **sizes)
        got = [y.detach(), *torch.autograd.grad(y, leaves, grad_y)]
        assert {t.dtype for t in got} == {torch.bfloat16}
        assert_same(got[:comparable], want[:comparable])
        with torch.no_grad():
            inferred = conv_relu_maxpool(x, weight, bias, implementation="native", **sizes)
        assert_same([inferred], want[:1])


@any_problem
@given(
    problem=problems(),
    bias=st.booleans(),
    scale=st.sampled_from(["ordinary", "ordinary", "wide", "denormal"]),
    seed=st.integers(0, 2**16),
)
def test_real_numbers(each_isa, problem, bias, scale, seed):
    shapes, sizes = problem
    draw = torch.Generator().manual_seed(seed)
    window = tuple(_geometry.window(**sizes))

    def real(*shape):
        return torch.randn(shape, generator=draw)

    x = real(shapes["n"], shapes["c"], *shapes["size"])
    if scale == "wide":
        x *= torch.exp2(torch.randint(-30, 31, x.shape, generator=draw))
    if scale == "denormal":
        x *= 2.0**-129
    weight = real(shapes["k"], shapes["c"], *shapes["kernel"]).bfloat16()
    bias = real(shapes["k"]) * (2.0**-127 if scale == "denormal" else 1) if bias else None
    x, bias = x.bfloat16(), None if bias is None else bias.bfloat16()
    between = Between(x, weight, bias, window)
    for _ in each_isa():
        y, place = OPERATORS.conv_relu_maxpool_train(x, weight, bias, window)
        between.holds(y, place)
        grad_y = real(*y.shape).bfloat16()
        grads = OPERATORS.conv_relu_maxpool_backward(grad_y, x, weight, place, window, True, True)
        assert {t.dtype for t in (y, *grads)} == {torch.bfloat16}
        between.differentiates(grads, grad_y, place)


@pytest.mark.parametrize("channels", [1, 2, 32])
def test_every_bfloat16_there_is(isa, native, channels):
    # All 65,536 bit patterns, times a number: each product is rounded as torch does it.
    patterns = torch.arange(-(1 << 15), 1 << 15).to(torch.int16).view(torch.bfloat16)
    x = torch.zeros(1, channels, 256, 256, dtype=torch.bfloat16)
    x[:, -1] = patterns.view(256, 256)
    factors = torch.tensor([1.0, 1.0078125, 0.671875, -1.3359375])[:, None, None]
    weight = torch.ones(4, channels, 1, 1, dtype=torch.bfloat16)
    weight[:, -1] = factors
    got = conv_relu_maxpool(x, weight, pool_size=1, implementation="native")
    want = (x[:, -1].float() * factors).bfloat16().relu()[None]
    if native.kernels_for("bfloat16") in FLUSHING:
        small = (x[:, -1:].abs() < LEAST) | (want <= LEAST)
        want = want.masked_fill(small & (got == 0), 0)
    assert_same([got], [want.double()])


@pytest.mark.parametrize("special", [torch.inf, torch.nan])
def test_a_special_weight_stays_in_its_filter(isa, special):
    # Odd channels and odd rows of taps leave half of a pair to be filled up.
    draw = torch.Generator().manual_seed(0)
    for channels in (1, 3, 17, 32):
        for columns in (1, 2, 3):
            x = integers(draw, 2, channels, 9, 11).bfloat16()
            weight = integers(draw, 17, channels, 3, columns).bfloat16()
            weight[3, -1, 2, -1] = special
            want = judged(x, weight, None, None)[:1]
            assert want[0].isfinite()[:, :3].all()
            assert_same([conv_relu_maxpool(x, weight, implementation="native")], want)


def test_values_that_round_alike_are_ties(isa):
    # 256 and 257 are both 256 in bfloat16, 258 and 259 are 258 and 260.
    x = torch.tensor([[[[256.0, 256, 256, 258], [256, 256, 256, 256]]]])
    more = torch.tensor([[[[0.0, 1, 1, 1], [1, 0, 0, 0]]]])
    x = torch.cat([x, more], 1).bfloat16()  # (1, 2, 2, 4), summed over channels
    for copies in (1, 16):
        images, weight = x.repeat(copies, 1, 1, copies), torch.ones(copies, 2, 1, 1).bfloat16()
        y, place = OPERATORS.conv_relu_maxpool_train(images, weight, None, WINDOW)
        assert (y == torch.tensor([256, 260] * copies)).all()
        assert (place == torch.tensor([0, 1] * copies)).all()


# N, C, H, W, K, R, S: more images than threads, fewer, and one image to share.
SHAPES = [
    (9, 1, 28, 28, 32, 3, 3),
    (5, 32, 13, 13, 32, 3, 3),
    (2, 3, 33, 40, 17, 5, 5),
    (1, 64, 30, 9, 40, 3, 3),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_same_bits_for_any_number_of_threads(isa, threads, shape):
    n, c, h, w, k, r, s = shape
    draw = torch.Generator().manual_seed(0)
    shapes = (n, c, h, w), (k, c, r, s), (k,)
    leaves = [torch.randn(s, generator=draw).bfloat16().requires_grad_() for s in shapes]

    def answers():
        y = conv_relu_maxpool(*leaves, implementation="native")
        return [y.detach(), *torch.autograd.grad(y.float().square().sum(), leaves)]

    threads(1)
    alone = answers()
    for number in (1, 2, 7):
        threads(number)
        again = answers()
        assert all(torch.equal(a, b) for a, b in zip(alone, again, strict=True)), number
