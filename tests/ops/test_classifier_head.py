"""`classifier_head`: its answers against float64, its bits, its special values, its choice."""

import itertools

import pytest
import torch

from cnnzoo import CnnzooError
from cnnzoo.ops import _head, classifier_head
from cnnzoo.ops.classifier_head import LEAST_IMAGES, declined, reference

# N, C, P, Q, then the features of every layer: the zoo's heads, and what leaves tails everywhere.
HEADS = [
    (128, 32, 5, 5, 100, 10),
    (7, 16, 5, 5, 120, 84, 10),
    (33, 7, 4, 3, 65, 33, 17),
    (65, 3, 1, 2, 5),
    (19, 1, 16, 16, 31, 300),
    (1, 5, 1, 1, 37, 3),
    (0, 3, 2, 2, 4, 2),
]


def draw(n, c, p, q, *features, seed=0, layout=torch.channels_last):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, c, p, q, generator=generator).contiguous(memory_format=layout)
    sizes = itertools.pairwise((c * p * q, *features))
    weights = [torch.randn(k, f, generator=generator) * (2 / f) ** 0.5 for f, k in sizes]
    biases = [torch.randn(len(weight), generator=generator) for weight in weights]
    return x, weights, biases


def answers(x, weights, biases, *, dtype=torch.float32, function=classifier_head, **options):
    """Logits, then the gradients of x, all weights, all biases; leaves x's strides as they are."""
    x = x.detach().to(dtype).requires_grad_()
    weights, biases = (
        [one.detach().to(dtype).requires_grad_() for one in each] for each in (weights, biases)
    )
    logits = function(x, weights, biases, **options)
    generator = torch.Generator().manual_seed(1)
    grad = torch.randn(logits.shape, generator=generator).to(dtype)
    return [logits, *torch.autograd.grad(logits, (x, *weights, *biases), grad)]


def natively(*args):
    return answers(*args, implementation="native")


def judged(*args):
    return answers(*args, dtype=torch.float64, function=reference)


@pytest.mark.parametrize("head", HEADS, ids=str)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
def test_answers_are_as_near_to_float64_as_torchs(isa, head, layout):
    given = draw(*head, layout=layout)
    want, torchs = judged(*given), answers(*given, function=reference)
    for one, torch_one, right in zip(natively(*given), torchs, want, strict=True):
        assert one.shape == right.shape
        if one.numel():
            error, of_torch = ((each - right).abs().max() for each in (one, torch_one))
            assert error <= max(4 * of_torch, 1e-6 * right.abs().max())


def test_any_strides(isa):
    x, weights, biases = draw(24, 6, 4, 5, 12, 3)
    wide = torch.randn(24, 6, 4, 10)
    want = judged(wide[..., ::2], weights, biases)
    columns = [weight.T.contiguous().T for weight in weights]
    for one, right in zip(natively(wide[..., ::2], columns, biases), want, strict=True):
        torch.testing.assert_close(one.double(), right, rtol=1e-4, atol=1e-5)
    flat = natively(x.flatten(1), weights, biases)
    for one, other in zip(flat, natively(x, weights, biases), strict=True):
        torch.testing.assert_close(one, other.reshape(one.shape), rtol=1e-4, atol=1e-5)


def test_gradient_of_x_lies_like_x(native):
    given = draw(*HEADS[0])
    assert natively(*given)[1].stride() == given[0].stride()


@pytest.mark.parametrize("head", HEADS[:3], ids=str)
def test_the_same_bits_for_any_number_of_threads_and_batch(isa, threads, head):
    x, weights, biases = draw(*head)
    threads(1)
    alone = natively(x, weights, biases)
    for number in (1, 2, 7):
        threads(number)
        again = natively(x, weights, biases)
        assert all(torch.equal(a, b) for a, b in zip(alone, again, strict=True)), number
    part = natively(x[2:5], weights, biases)[0]
    assert torch.equal(part, alone[0][2:5])


def test_relu_keeps_nan_and_stops_the_gradient_at_zero(isa):
    x, _, _ = draw(17, 4, 3, 3, 6, 5)
    x[3, 1, 2, 0] = float("nan")
    x[5] = 0
    weights, biases = [torch.randn(6, 36), torch.randn(5, 6)], [torch.zeros(6), torch.zeros(5)]
    got, want = natively(x, weights, biases), answers(x, weights, biases, function=reference)
    assert want[0][3].isnan().all()
    assert (want[1][5] == 0).all()  # every sum is exactly 0 there
    for one, right in zip(got, want, strict=True):
        torch.testing.assert_close(one, right, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_inf_stays_in_its_image(isa):
    x, weights, biases = draw(20, 3, 2, 2, 9, 3)
    x[7, 0, 0, 0] = float("inf")
    logits = natively(x, weights, biases)[0]
    others = [i for i in range(20) if i != 7]
    assert logits[others].isfinite().all()
    assert not logits[7].isfinite().all()


def test_second_derivative(native):
    x, weights, biases = (
        [one.requires_grad_() for one in each] if isinstance(each, list) else each.requires_grad_()
        for each in draw(18, 3, 2, 2, 8, 4)
    )
    inputs = (x, *weights)

    def penalty(**options):
        logits = classifier_head(x, weights, biases, **options)
        first = torch.autograd.grad(logits.square().sum(), inputs, create_graph=True)
        return torch.autograd.grad(sum(one.square().sum() for one in first), inputs)

    got, want = penalty(implementation="native"), penalty(implementation="reference")
    for one, right in zip(got, want, strict=True):
        torch.testing.assert_close(one, right, rtol=1e-3, atol=1e-3 * right.abs().max().item())


@pytest.mark.parametrize("frozen", [0, 1, 2], ids=["x", "first weight", "first bias"])
def test_gradients_nobody_wants(native, frozen):
    x, weights, biases = draw(16, 2, 3, 3, 6, 2)
    tensors = [x, weights[0], biases[0], weights[1], biases[1]]
    for i, one in enumerate(tensors):
        one.requires_grad_(i != frozen)
    classifier_head(x, weights, biases, implementation="native").sum().backward()
    assert [one.grad is None for one in tensors] == [i == frozen for i in range(5)]


def test_fake_kernels_and_schemas(native):
    x, weights, biases = draw(16, 2, 3, 3, 6, 2)
    utilities = ("test_schema", "test_faketensor")
    hidden = _head.FORWARD_RAW(x, weights, biases)[:1]
    torch.library.opcheck(_head.FORWARD_RAW, (x, weights, biases), test_utils=utilities)
    for need in (True, False):
        backward = (torch.randn(16, 2), x, weights, biases, hidden, need)
        torch.library.opcheck(_head.BACKWARD_RAW, backward, test_utils=utilities)


def test_operators_refuse_what_does_not_fit(native):
    x, weights, biases = draw(4, 2, 3, 3, 6, 2)
    with pytest.raises(RuntimeError, match="another shape or dtype"):
        _head.FORWARD_RAW(x, weights[::-1], biases)
    with pytest.raises(RuntimeError, match="1 to 8 weights"):
        _head.FORWARD_RAW(x, weights, biases[:1])
    with pytest.raises(RuntimeError, match="x of float32"):
        _head.FORWARD_RAW(x.double(), weights, biases)
    with pytest.raises(RuntimeError, match="of every hidden layer"):
        _head.BACKWARD_RAW(torch.randn(4, 2), x, weights, biases, [], True)
    with pytest.raises(RuntimeError, match="than the logits"):
        _head.BACKWARD_RAW(torch.randn(4, 3), x, weights, biases, [torch.randn(4, 6)], True)
    with pytest.raises(RuntimeError, match="than its layer"):
        _head.BACKWARD_RAW(torch.randn(4, 2), x, weights, biases, [torch.randn(4, 5)], True)


class Subclass(torch.Tensor):
    pass


def test_why_native_kernels_are_declined(native, environment):
    x, weights, biases = draw(LEAST_IMAGES, 2, 3, 3, 6, 2)
    head = (x, weights, biases)
    double = [[one.double() for one in each] for each in (weights, biases)]
    cases = {
        "float32 on the CPU, got torch.float64": (x.double(), *double),
        "a bias in every layer": (x, weights, [biases[0], None]),
        "2 or 4 dimensions, got 3": (x[0], weights, biases),
        "up to 8 layers, got 9": (torch.randn(4, 3), [torch.eye(3)] * 9, [torch.zeros(3)] * 9),
        "do not follow one another": (x, weights[::-1], biases),
        "dense tensors of no subclass": (x.as_subclass(Subclass), weights, biases),
    }
    for words, given in cases.items():
        with pytest.raises(CnnzooError, match=words):
            classifier_head(*given, implementation="native")
        assert words in declined(*given)
    assert "got 15" in declined(x[1:], weights, biases)
    assert "2048 features, got 2049" in declined(*draw(LEAST_IMAGES, 2049, 1, 1, 3))
    with torch.autocast("cpu", torch.float16):
        assert "not torch.float16" in declined(*head)
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        classifier_head(*head)
    assert counter.get_total_flops() == 2 * LEAST_IMAGES * (18 * 6 + 6 * 2)
    environment(CNNZOO_KERNEL="reference")
    assert declined(*head) == "CNNZOO_KERNEL=reference is set."
    environment(CNNZOO_KERNEL="native")
    assert declined(x[1:], weights, biases) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_computes_in_float32_and_rounds_the_logits(native, dtype):
    x, weights, biases = draw(2 * LEAST_IMAGES, 2, 3, 3, 6, 2)
    x = x.to(dtype).requires_grad_()
    for one in (*weights, *biases):
        one.requires_grad_()
    leaves = (x, *weights, *biases)
    with torch.autocast("cpu", torch.bfloat16):
        assert declined(x, weights, biases) is None
        logits = classifier_head(x, weights, biases)
        (once,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        with torch.no_grad():
            assert torch.equal(classifier_head(x, weights, biases), logits)
    assert logits.dtype == torch.bfloat16
    exact = reference(x.float(), weights, biases)
    torch.testing.assert_close(logits, exact.bfloat16(), rtol=2**-7, atol=1e-6)
    weight = torch.randn(logits.shape)
    got = torch.autograd.grad((logits * weight).sum(), leaves)
    want = torch.autograd.grad((exact * weight.bfloat16()).sum(), leaves, retain_graph=True)
    for left, right in zip(got, want, strict=True):
        assert left.dtype == right.dtype
        torch.testing.assert_close(left, right, rtol=2**-7, atol=1e-5)
    assert once.requires_grad  # and it is computed in float32, too
    torch.testing.assert_close(once, torch.autograd.grad(exact.sum(), x)[0], rtol=1e-5, atol=1e-6)


def test_torch_func_and_forward_mode(native):
    x, weights, biases = draw(2 * LEAST_IMAGES, 2, 3, 3, 6, 2)

    def head(x):
        return classifier_head(x, weights, biases)

    halves = torch.func.vmap(head)(x.unflatten(0, (2, -1)))
    torch.testing.assert_close(halves.flatten(0, 1), reference(x, weights, biases))
    want = torch.func.jvp(lambda x: reference(x, weights, biases), (x,), (x,))[1]
    torch.testing.assert_close(torch.func.jvp(head, (x,), (x,))[1], want)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, x)
        tangent = torch.autograd.forward_ad.unpack_dual(head(dual)).tangent
    torch.testing.assert_close(tangent, want)


def test_bad_arguments():
    x, weights, biases = draw(4, 2, 3, 3, 6, 2)
    with pytest.raises(CnnzooError, match=r'got "nativ"\. Did you mean "native"'):
        classifier_head(x, weights, biases, implementation="nativ")
    with pytest.raises(CnnzooError, match="got 2 and 1"):
        classifier_head(x, weights, biases[:1])
    with pytest.raises(CnnzooError, match="got 0 and 0"):
        classifier_head(x, [], [])
