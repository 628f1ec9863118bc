"""Frozen models in bfloat16: against float64 on rounded operands, the operator, and the model.

Where the instruction set has dot products (avx512_bf16, amx), values are rounded between the
layers as torch rounds them. Elsewhere the run is float32 and rounds once.
"""

import copy

import pytest
import torch
from torch import nn

import cnnzoo
from cnnzoo.errors import CnnzooError
from cnnzoo.layers import build_layer
from cnnzoo.ops import _frozen, _native

pytestmark = pytest.mark.skipif(
    _frozen.why_not() is not None, reason=f"no frozen kernels: {_frozen.why_not()}"
)
ISAS = _native.status().isas
DOTS = [isa for isa in ISAS if isa in ("avx512_bf16", "amx")]
NO_DOTS = "no instruction set here has dot products of bfloat16"
HALF_A_STEP = 2.0**-8  # of a bfloat16, at most, against its value
NAN, INF = float("nan"), float("inf")


@pytest.fixture(params=ISAS)
def isa(request):
    before = _native.status().isa
    _native.set_isa(request.param)
    yield request.param
    _native.set_isa(before)


@pytest.fixture(params=DOTS or [pytest.param(None, marks=pytest.mark.skip(reason=NO_DOTS))])
def dots(request):
    before = _native.status().isa
    _native.set_isa(request.param)
    yield request.param
    _native.set_isa(before)


def freeze(model, *image):
    low = copy.deepcopy(model).bfloat16().eval()
    frozen = cnnzoo.freeze(low, torch.rand(1, *image).bfloat16())
    assert frozen.freeze_report.whole, str(frozen.freeze_report)
    return frozen


def exact(model, x):
    with torch.no_grad():
        return copy.deepcopy(model).double()(x.double())


def layouts(n, channels, height, width):
    """Images as they come: in planes, in pixels, and cut out of larger ones."""
    x = torch.randn(n, channels, height, width).bfloat16()
    wide = torch.randn(n, channels, height, 2 * width + 1).bfloat16()
    deep = torch.randn(n, channels + 1, height, width).bfloat16()
    return {
        "planes": x,
        "pixels": x.to(memory_format=torch.channels_last),
        "every second column": wide[..., 1 : 2 * width + 1 : 2],
        "odd pixels": deep.to(memory_format=torch.channels_last)[:, 1:],
    }


POOLS = {"none": None, "2x2": nn.MaxPool2d(2), "3x3 over": nn.MaxPool2d(3, 2, 1)}
CONVOLUTIONS = [
    # channels, filters, kernel, stride, padding, pool
    (1, 20, 3, 1, 0, "2x2"), (1, 33, 3, 1, 1, "2x2"), (1, 7, 5, 1, 2, "2x2"),
    (1, 5, 2, 1, 0, "none"),
    (2, 16, 3, 1, 1, "2x2"), (3, 40, 3, 1, 1, "2x2"), (3, 16, 5, 2, 0, "3x3 over"),
    (3, 9, (2, 1), 1, 1, "none"), (5, 32, 1, 1, 0, "2x2"), (5, 17, (1, 4), (1, 2), 1, "3x3 over"),
    (7, 64, 3, 1, 0, "3x3 over"), (8, 16, 2, 1, 0, "2x2"), (9, 12, 3, 2, 1, "none"),
    (20, 16, 5, 1, 0, "2x2"), (33, 18, 3, 1, 1, "2x2"), (64, 48, 3, 1, 0, "2x2"),
    (67, 31, 2, 1, 1, "3x3 over"), (70, 16, 3, 1, 1, "2x2"),
]  # fmt: skip


@pytest.mark.parametrize("sizes", CONVOLUTIONS, ids=str)
def test_one_convolution_is_rounded_once(sizes, isa):
    torch.manual_seed(0)
    channels, filters, kernel, stride, padding, pool = sizes
    layers = [nn.Conv2d(channels, filters, kernel, stride, padding), nn.ReLU(), POOLS[pool]]
    frozen = freeze(nn.Sequential(*filter(None, layers)), channels, 11, 14)
    for layout, x in layouts(3, channels, 11, 14).items():
        right, got = exact(frozen.model, x), frozen(x)
        assert got.dtype is torch.bfloat16
        assert got.shape == right.shape
        limit = HALF_A_STEP * right.abs() + 1e-5 * right.abs().max()
        assert bool(((got.double() - right).abs() <= limit).all()), layout


@pytest.mark.parametrize("inputs", [1, 2, 5, 31, 64, 257])
@pytest.mark.parametrize("outputs", [1, 10, 16, 47, 64, 100])
def test_one_linear_layer_is_rounded_once(inputs, outputs, isa):
    torch.manual_seed(0)
    for layers in ([nn.Linear(inputs, outputs)], [nn.Linear(inputs, outputs, False), nn.ReLU()]):
        frozen = freeze(nn.Sequential(*layers), inputs)
        x = torch.randn(9, inputs).bfloat16()
        right = exact(frozen.model, x)
        limit = HALF_A_STEP * right.abs() + 1e-5
        for n in (1, 2, 3, 4, 8):
            assert bool(((frozen(x[:n]).double() - right[:n]).abs() <= limit[:n]).all())
        assert torch.equal(frozen(torch.stack([x, x], 2)[..., 0]), frozen(x))


def norms(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight, 1, 0.3)
            nn.init.normal_(module.bias)
    return model


def test_a_scale_is_rounded_once(dots):
    torch.manual_seed(0)
    for channels in (3, 16, 37):
        model = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), nn.ReLU(), nn.MaxPool2d(2),
            nn.BatchNorm2d(channels),
        )  # fmt: skip
        frozen = freeze(norms(model), channels, 6, 6)
        with torch.no_grad():  # the convolution passes on what it gets
            frozen.model[0].weight.copy_(torch.eye(channels)[..., None, None])
        x = torch.rand(3, channels, 6, 6).bfloat16()
        right = exact(frozen.model, x)
        limit = HALF_A_STEP * right.abs() + 1e-5
        assert bool(((frozen(x).double() - right).abs() <= limit).all())


def odd_stack():
    """Odd channels, widths and features all the way; batch norms folded, and behind a pool."""
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(),
        nn.Conv2d(5, 35, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(35),
        nn.Conv2d(35, 21, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(21 * 6, 33), nn.ReLU(), nn.Linear(33, 7), nn.ReLU(), nn.Linear(7, 3),
    )  # fmt: skip


MODELS = {
    "mnist_cnn": ("mnist_cnn", (1, 28, 28), (0, 1, 2, 65)),
    "single_layer_cnn": ("single_layer_cnn", (1, 28, 28), (1, 3, 130)),
    "lenet5": ("lenet5", (1, 28, 28), (1, 3, 9)),
    "vgg_small": ("vgg_small", (3, 32, 32), (1, 2)),
    "odd stack": (odd_stack, (3, 15, 18), (1, 2, 7, 66)),
}


@pytest.mark.parametrize("name", MODELS)
def test_networks_are_as_near_as_the_model_itself(name, isa):
    torch.manual_seed(0)
    make, image, batches = MODELS[name]
    frozen = freeze(norms(cnnzoo.build(make) if isinstance(make, str) else make()), *image)
    for n in batches:
        x = torch.rand(n, *image).bfloat16()
        right = exact(frozen.model, x)
        with torch.no_grad():
            got, own = frozen(x), frozen.model(x)
        assert got.shape == right.shape
        assert got.dtype is torch.bfloat16
        if n:
            scale = float(right.abs().max())
            assert float((got.double() - right).abs().max()) <= 2**-6 * scale
            assert float((got.double() - own.double()).abs().max()) <= 2**-5 * scale


def test_rounding_between_layers_is_the_models(dots):
    """Rounding once at the end would be nearer to the exact answer, and not what the model does."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 50), nn.ReLU(), nn.Linear(50, 60))
    frozen = freeze(model, 40)
    x = torch.randn(20, 40).bfloat16()
    hidden = exact(frozen.model[:2], x).bfloat16()
    rounded = exact(frozen.model[2], hidden)
    nearer = (frozen(x).double() - rounded).abs() <= HALF_A_STEP * rounded.abs() + 1e-5
    assert float(nearer.double().mean()) > 0.9
    once = exact(frozen.model, x)
    assert float((once.bfloat16() == rounded.bfloat16()).double().mean()) < 0.8  # could fail above


def test_a_block_is_the_operator_bit_for_bit(dots):
    if dots == "amx":
        pytest.skip("the operator multiplies tiles there, in another order")
    torch.manual_seed(0)
    for channels, filters, kernel, padding in ((1, 20, 3, 0), (3, 32, 3, 1), (20, 50, 5, 2)):
        block = build_layer(
            "conv_relu_maxpool", "native", channels, filters, kernel, padding=padding
        )
        frozen = freeze(nn.Sequential(block), channels, 14, 17)
        for x in layouts(5, channels, 14, 17).values():
            x[1, 0, 3, 4], x[3, 0, 13, 16] = NAN, -INF
            with torch.no_grad():
                each = [frozen.model(x[i : i + 1]) for i in range(5)]
            assert torch.equal(frozen(x).isnan(), torch.cat(each).isnan())
            assert torch.equal(frozen(x).nan_to_num(7.0), torch.cat(each).nan_to_num(7.0))


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("place", [0, 300, 783])
def test_not_finite_as_in_the_model(value, place, isa):
    torch.manual_seed(0)
    frozen = freeze(
        nn.Sequential(
            nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(5, 19, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(19, 7, 2), nn.ReLU(),
        ), 1, 28, 28,
    )  # fmt: skip
    x = torch.randn(3, 1, 28, 28).bfloat16()
    x[1].view(-1)[place] = value
    with torch.no_grad():
        got, right = frozen(x), frozen.model(x)
    torch.testing.assert_close(got, right, equal_nan=True, rtol=2**-5, atol=2**-5)
    assert value == -INF or not right[1].isfinite().all()
    assert right[1].isfinite().any()


def test_linear_layers_keep_nan_and_infinity(isa):
    torch.manual_seed(0)
    frozen = freeze(nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 3), nn.ReLU()), 5)
    x = torch.randn(4, 5).bfloat16()
    x[2, 0] = NAN  # beside the last value of row 1, in memory
    assert frozen(x)[2].isnan().all()
    assert frozen(x)[[0, 1, 3]].isfinite().all()
    one = freeze(nn.Sequential(nn.Linear(5, 40)), 5)
    x[2, 0] = INF
    with torch.no_grad():
        torch.testing.assert_close(one(x), one.model(x), rtol=2**-7, atol=2**-7)


def test_same_bits_for_any_threads_and_any_batch(isa):
    """Also of an image whose neighbour is not finite: it decides about its own kernels alone."""
    torch.manual_seed(0)
    before = torch.get_num_threads()
    cases = [(odd_stack(), (3, 15, 18), 130), (cnnzoo.build("fashion_cnn"), (1, 28, 28), 20)]
    try:
        for model, image, images in cases:
            frozen = freeze(norms(model), *image)
            x = torch.randn(images, *image).bfloat16()
            spoilt = x.clone()
            spoilt[4, 0, 5, 5] = NAN
            torch.set_num_threads(1)
            right = frozen(x)
            assert right.isfinite().all()
            for threads in (1, 2, 7):
                torch.set_num_threads(threads)
                for n in (1, 3, 6, images):
                    assert torch.equal(frozen(x[:n]), right[:n])
                got = frozen(spoilt)
                assert not torch.equal(got[4], right[4])
                assert torch.equal(got[:4], right[:4])
                assert torch.equal(got[5:], right[5:])
    finally:
        torch.set_num_threads(before)


def test_batches_to_1024_are_their_images(dots):
    torch.manual_seed(0)
    frozen = freeze(cnnzoo.build("mnist_cnn"), 1, 28, 28)
    x = torch.rand(1024, 1, 28, 28).bfloat16()
    right = frozen(x)
    assert torch.equal(torch.cat([frozen(x[i : i + 1]) for i in range(1024)]), right)
    for n in (511, 1000, 1023):
        assert torch.equal(frozen(x[:n]), right[:n])


X = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)).bfloat16()


def stack():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
    )


@pytest.mark.parametrize("fused", [False, True])
def test_a_changed_parameter_is_noticed(fused, isa):
    frozen = freeze(stack(), 1, 8, 8)
    old = frozen(X)
    optimizer = torch.optim.SGD(frozen.model.parameters(), lr=0.5, fused=fused)
    frozen.model(X).float().square().sum().backward()
    optimizer.step()
    with torch.no_grad():
        new, right = frozen(X), frozen.model(X)
    assert not torch.allclose(new, old, atol=0.05)
    torch.testing.assert_close(new, right, rtol=2**-6, atol=2**-6)


def test_another_instruction_set_packs_anew():
    frozen = freeze(stack(), 1, 8, 8)
    old, before = frozen(X), _native.status().isa
    terms = {}
    try:
        for isa in ISAS:
            _native.set_isa(isa)
            torch.testing.assert_close(frozen(X), old, rtol=2**-6, atol=2**-6)
            terms[isa] = int(frozen._run.plan[3])
    finally:
        _native.set_isa(before)
    assert terms == {isa: 2 if isa in DOTS else 1 for isa in ISAS}


def test_another_dtype_runs_the_model():
    frozen = freeze(stack(), 1, 8, 8).float()
    with torch.no_grad():
        assert torch.equal(frozen(X.float()), frozen.model(X.float()))
        assert torch.equal(frozen.bfloat16()(X), frozen.model(X))
    twin = copy.deepcopy(freeze(stack(), 1, 8, 8))
    assert torch.equal(twin(X), freeze(stack(), 1, 8, 8)(X))


class Around(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = stack()

    def forward(self, x):
        return self.inner(x + 0.5 * x.flip(-1)).softmax(1)


def test_the_rest_of_the_graph_runs_around_the_run(isa):
    low = Around().bfloat16().eval()
    frozen = cnnzoo.freeze(low, X)
    assert frozen.freeze_report.frozen
    assert not frozen.freeze_report.whole
    with torch.no_grad():
        torch.testing.assert_close(frozen(X), low(X), rtol=2**-6, atol=2**-6)


def test_the_operator_tells_dtypes_apart(dots):
    run = freeze(stack(), 1, 8, 8)._run
    torch.library.opcheck(_frozen.RUN, (X, run.packed, run.plan, run.out))
    with pytest.raises(RuntimeError, match=r"frozen_run: expected x of bfloat16, as the weights"):
        _frozen.RUN(X.float(), run.packed, run.plan, run.out)
    wide = cnnzoo.freeze(stack().eval(), X.float())._run
    with pytest.raises(RuntimeError, match=r"frozen_run: expected x of float32, as the weights"):
        _frozen.RUN(X, wide.packed, wide.plan, wide.out)
    with pytest.raises(RuntimeError, match=r"frozen_run: expected packed weights"):
        _frozen.RUN(X, run.packed.bfloat16(), run.plan, run.out)
    with pytest.raises(RuntimeError, match=r"frozen_run: the plan points outside"):
        _frozen.RUN(X, run.packed[:-1], run.plan, run.out)
    mixed = torch.cat([run.plan[:3], torch.tensor([1]), run.plan[4:]])
    with pytest.raises(RuntimeError, match=r"frozen_run"):
        _frozen.RUN(X.float(), run.packed, mixed, run.out)


def test_instruction_sets_without_dot_products_say_so():
    before = _native.status().isa
    run = freeze(stack(), 1, 8, 8)._run
    pairs, stages = run.plan.clone(), [stage.read() for stage in run.stages]
    try:
        _native.set_isa("scalar")
        assert _frozen.computes_in(torch.bfloat16) is torch.float32
        with pytest.raises(CnnzooError, match=r"Frozen layers of scalar take float32"):
            _frozen.pack(stages, torch.bfloat16)
        pairs[3] = 2
        with pytest.raises(RuntimeError, match=r"scalar has no frozen kernels for x of bfloat16"):
            _frozen.RUN(X, run.packed, pairs, run.out)
    finally:
        _native.set_isa(before)
