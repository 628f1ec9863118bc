"""Frozen models against float64: random stacks and shapes, every instruction set, any threads."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnzoo
from cnnzoo.ops import _frozen, _native

pytestmark = pytest.mark.skipif(
    _frozen.why_not() is not None, reason=f"no frozen kernels: {_frozen.why_not()}"
)


def draw_stack(seed):
    """A random nn.Sequential, and the size of an image for it."""
    draw = torch.Generator().manual_seed(seed)

    def pick(*values):
        return values[int(torch.randint(len(values), (1,), generator=draw))]

    channels, size = pick(1, 2, 3, 5, 17), (pick(9, 14, 23), pick(8, 13, 20))
    image, layers = (channels, *size), []
    for _ in range(pick(0, 1, 1, 2, 3)):
        kernel, filters = pick(1, 2, 3, 5), pick(1, 4, 7, 16, 33, 70)
        conv = nn.Conv2d(
            channels, filters, kernel, pick(1, 1, 2), pick(0, 1, 2), bias=pick(True, False)
        )
        pool = pick(None, nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((1, 2)))
        more = [conv, *([norm(filters, draw)] if pick(0, 0, 1) else []), nn.ReLU()]
        more += [pool] if pool else []
        if pool and pick(True, False):
            more[-1], more[-2] = more[-2], more[-1]
        more += [norm(filters, draw)] if pick(0, 0, 1) else []
        more += [nn.Dropout(0.5)] if pick(0, 1) else []
        try:
            shape = nn.Sequential(*layers, *more).eval()(torch.zeros(1, *image)).shape
        except RuntimeError:  # the image is used up
            break
        if min(shape[2:]) < 1:
            break
        layers, channels = [*layers, *more], filters
    linears = pick(0, 1, 2, 3) if layers else pick(1, 2, 3)
    if linears:
        layers.append(nn.Flatten())
        width = nn.Sequential(*layers).eval()(torch.zeros(1, *image)).shape[1]
        for _ in range(linears):
            out = pick(1, 3, 16, 47, 64, 100)
            layers += [nn.Linear(width, out, bias=pick(True, False)), nn.ReLU(), nn.Dropout()]
            width = out
        layers = layers[: pick(-1, -2)]
    return nn.Sequential(*layers).eval(), image


def norm(channels, draw):
    made = nn.BatchNorm2d(channels)
    made.running_mean.normal_(generator=draw)
    made.running_var.uniform_(0.5, 2, generator=draw)
    nn.init.uniform_(made.weight, 0.5, 2)
    nn.init.normal_(made.bias)
    return made


def assert_close(got, model, x):
    right = copy.deepcopy(model).double()(x.double())
    assert got.shape == right.shape
    if right.numel():
        scale = max(float(right.abs().max()), 0.1)  # what is near 0 is the rest of larger sums
        assert float((got.double() - right).abs().max()) <= 2e-5 * scale


@pytest.fixture(params=_native.status().isas)
def isa(request):
    before = _native.status().isa
    _native.set_isa(request.param)
    yield request.param
    _native.set_isa(before)


@pytest.mark.parametrize("seed", range(40))
def test_random_stacks_agree_with_float64(seed, isa):
    torch.manual_seed(seed)
    model, image = draw_stack(seed)
    frozen = cnnzoo.freeze(model, torch.rand(2, *image))
    if any(isinstance(layer, nn.Conv2d | nn.Linear) for layer in model):
        assert frozen.freeze_report.frozen
    with torch.no_grad():
        for n in (0, 1, 2, 3, 7, 66):
            x = torch.randn(n, *image)
            assert_close(frozen(x), model, x)
        x = torch.randn(3, *image).to(memory_format=torch.channels_last)
        assert_close(frozen(x), model, x)
        wide = torch.randn(3, image[0], image[1], 2 * image[2])[..., ::2]
        assert_close(frozen(wide), model, wide)


@pytest.mark.parametrize("name", ["mnist_cnn", "single_layer_cnn", "lenet5", "fashion_cnn"])
def test_zoo_models_are_one_call(name):
    model = cnnzoo.build(name).eval()
    frozen = cnnzoo.freeze(model, torch.rand(1, 1, 28, 28))
    assert frozen.freeze_report.whole
    assert not frozen.freeze_report.left
    with torch.no_grad():
        x = torch.rand(9, 1, 28, 28)
        assert_close(frozen(x), model, x)


def test_batch_norm_behind_the_pool_is_part_of_the_call():
    model = cnnzoo.build("vgg_small").eval()
    draw = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=draw)
            module.running_var.uniform_(0.5, 2, generator=draw)
    frozen = cnnzoo.freeze(model, torch.rand(1, 3, 32, 32))
    assert frozen.freeze_report.whole
    x = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        assert_close(frozen(x), model, x)


def test_same_bits_for_any_threads_and_any_batch(isa):
    # fashion_cnn has layers that threads share for one image, and more images than a lane takes.
    model = cnnzoo.build("fashion_cnn").eval()
    frozen = cnnzoo.freeze(model, torch.rand(1, 1, 28, 28))
    x = torch.randn(70, 1, 28, 28)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 7):
            torch.set_num_threads(threads)
            results.append(frozen(x))
            for n in (1, 3, 6):
                assert torch.equal(frozen(x[:n]), results[0][:n])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 300, 783])
def test_not_finite_as_in_pytorch(value, place, isa):
    model = nn.Sequential(
        nn.Conv2d(1, 20, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(20, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(288, 30), nn.ReLU(), nn.Linear(30, 10),
    ).eval()  # fmt: skip
    frozen = cnnzoo.freeze(model, torch.rand(1, 1, 28, 28))
    x = torch.randn(3, 1, 28, 28)
    x[1].view(-1)[place] = value
    with torch.no_grad():
        got, right = frozen(x), model(x)
    torch.testing.assert_close(got, right, equal_nan=True, rtol=1e-4, atol=1e-5)
    assert not right[1].isfinite().all()


def test_linear_keeps_nan_through_relu():
    model = nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 3), nn.ReLU()).eval()
    frozen = cnnzoo.freeze(model, torch.rand(1, 5))
    x = torch.randn(4, 5)
    x[2, 1] = float("nan")
    assert frozen(x)[2].isnan().all()
    assert frozen(x)[[0, 1, 3]].isfinite().all()


class Branches(nn.Module):
    """A run in the middle: before it a sum, after it a softmax; a size is asked on the way."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3)
        self.fc = nn.Linear(6 * 25, 7)

    def forward(self, x):
        x = x + 0.5 * x.flip(-1)
        y = F.max_pool2d(F.relu(self.conv(x)), 2)
        y = F.relu(self.fc(y.view(y.size(0), -1)))
        return y.softmax(1) + x.mean((1, 2, 3))[:, None]


def test_the_rest_of_the_graph_runs_around_the_run():
    model = Branches().eval()
    frozen = cnnzoo.freeze(model, torch.rand(2, 2, 12, 12))
    assert frozen.freeze_report.frozen == ("conv", "fc")
    assert not frozen.freeze_report.whole
    x = torch.rand(5, 2, 12, 12)
    with torch.no_grad():
        assert_close(frozen(x), model, x)


class InPlace(nn.Module):
    """Writes in place, and uses the result under the old name."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.fc1(x)
        x.add_(1.0)
        return self.fc2(x)


class WritesInput(InPlace):
    """Writes into its input, and ignores what that returns."""

    def forward(self, x):
        x.relu_()
        return self.fc2(torch.relu(self.fc1(x)))


@pytest.mark.parametrize("cls", [InPlace, WritesInput])
def test_in_place_writes_are_not_lost(cls):
    model = cls().eval()
    frozen = cnnzoo.freeze(model, torch.rand(2, 4))
    assert not frozen.freeze_report.whole
    x = torch.randn(5, 4)
    with torch.no_grad():
        assert_close(frozen(x.clone()), model, x.clone())


def test_same_labels_on_real_images(real_data):
    model = cnnzoo.build("mnist_cnn").eval()
    _, test = cnnzoo.load_data("mnist", root=real_data)
    images = torch.as_tensor(test.images[:2000]).reshape(-1, 1, 28, 28).float() / 255
    frozen = cnnzoo.freeze(model, images[:1])
    with torch.no_grad():
        assert torch.equal(frozen(images).argmax(1), model(images).argmax(1))
