"""A fused model gives the answers of the old one, in both modes, and is trained on."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from fusable import (
    Block,
    Branching,
    ConvTwice,
    SharedModules,
    Tutorial,
    same_answers,
    stack,
    with_statistics,
)
from torch import fx, nn

import cnnzoo
from cnnzoo.fusing import _calls


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def calls(monkeypatch):
    """Count the calls of the operator."""
    counted = []

    def count(*args, **kwargs):
        counted.append(kwargs)
        return operator(*args, **kwargs)

    operator = _calls.conv_relu_maxpool
    monkeypatch.setattr(_calls, "conv_relu_maxpool", count)
    return counted


def x_of(size=18, channels=3, batch=4):
    return torch.randn(batch, channels, size, size)


MODELS = {
    "sequential": (lambda: stack(nn.Flatten()), 3, 18, 1),
    "tutorial": (Tutorial, 1, 28, 2),
    "shared": (SharedModules, 3, 30, 2),
    "twice": (ConvTwice, 16, 18, 1),
    "branching": (Branching, 3, 30, 2),
    "block": (lambda: nn.Sequential(Block(), nn.MaxPool2d(3, 2, 1)), 3, 18, 1),
    "pool first": (
        lambda: nn.Sequential(nn.Conv2d(3, 16, 3), nn.MaxPool2d(2), nn.ReLU()),
        3,
        18,
        1,
    ),
    "same": (lambda: nn.Sequential(nn.Conv2d(3, 8, 5, padding="same"), *stack()[1:]), 3, 18, 1),
    "no statistics of its own": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 16, 3, 2), nn.BatchNorm2d(16, affine=False), nn.ReLU(), nn.MaxPool2d(3, 2)
        ),
        3,
        40,
        1,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_equal_answers_in_eval_mode(name, calls):
    make, channels, size, sites = MODELS[name]
    model = with_statistics(make())
    same_answers(model, x_of(size, channels))
    assert len(calls) == sites


@pytest.mark.parametrize("name", MODELS)
def test_equal_answers_and_gradients_in_train_mode(name):
    make, channels, size, _ = MODELS[name]
    model = with_statistics(make()).train()
    judge = copy.deepcopy(model)
    fused = cnnzoo.fuse(model)
    assert fused.training
    x = x_of(size, channels)
    for each in (fused, judge):
        torch.manual_seed(1)  # dropout
        each(x).square().mean().backward()
    for (key, old), new in zip(judge.named_parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(new.grad, old.grad, rtol=1e-3, atol=1e-5, msg=key)
    for (key, old), new in zip(judge.named_buffers(), fused.buffers(), strict=True):
        torch.testing.assert_close(new, old, msg=key)


def test_a_folded_batch_norm_passes_gradients_in_eval_mode():
    model = with_statistics(nn.Sequential(Block(), nn.MaxPool2d(2))).eval()
    judge = copy.deepcopy(model)
    fused = cnnzoo.fuse(model)
    x = x_of()
    for each in (fused, judge):
        each(x).square().mean().backward()
    for old, new in zip(judge.parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(new.grad, old.grad, rtol=1e-3, atol=1e-5)


def test_the_mode_is_followed_after_fusing(calls):
    model = Tutorial().train()
    fused = cnnzoo.fuse(model)
    x = x_of(28, 1)
    fused.eval()
    assert torch.equal(fused(x), fused(x))  # no dropout
    fused.train()
    assert not torch.equal(fused(x), fused(x))
    assert len(calls) == 8


def test_a_batch_norm_set_to_train_is_not_folded(calls):
    model = with_statistics(nn.Sequential(Block(), nn.MaxPool2d(2))).eval()
    fused = cnnzoo.fuse(model)
    judge = copy.deepcopy(model)
    x = x_of()
    for each in (fused, judge):
        each[0].norm.train()
    torch.testing.assert_close(fused(x), judge(x))
    assert not calls
    torch.testing.assert_close(fused[0].norm.running_mean, judge[0].norm.running_mean)


def test_the_state_is_the_same_and_shared():
    model = with_statistics(nn.Sequential(Block(), nn.MaxPool2d(2), nn.Dropout()))
    fused = cnnzoo.fuse(model)
    assert list(fused.state_dict()) == list(model.state_dict())
    for (_, old), (_, new) in zip(
        [*model.named_parameters(), *model.named_buffers()],
        [*fused.named_parameters(), *fused.named_buffers()],
        strict=True,
    ):
        assert new is old
    assert all(a is not b for a, b in zip(fused.modules(), model.modules(), strict=True))
    fused.eval()
    assert model[2].training


def test_weights_loaded_later_are_seen():
    fused = cnnzoo.fuse(nn.Sequential(Block(), nn.MaxPool2d(2)))
    other = with_statistics(nn.Sequential(Block(), nn.MaxPool2d(2)))
    fused.load_state_dict(other.state_dict())
    same_answers(other, x_of(), fused=fused)


def test_an_optimizer_made_before_goes_on():
    model = stack(nn.Flatten(), nn.Linear(16 * 64, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fused = cnnzoo.fuse(model)
    x, labels = x_of(), torch.tensor([0, 1, 2, 0])
    losses = []
    for _ in range(5):
        loss = F.cross_entropy(fused(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    torch.testing.assert_close(model(x), fused(x), rtol=1e-4, atol=1e-5)


def test_what_is_viewed_lies_as_before():
    model = stack()
    fused = same_answers(model, x_of())
    assert fused(x_of()).is_contiguous()
    last = x_of().to(memory_format=torch.channels_last)
    assert fused(last).is_contiguous(memory_format=torch.channels_last)


def test_parts_called_on_their_own_are_what_they_were():
    class Net(Branching):
        def forward(self, x):
            if x.mean() > 1e9:
                return x
            return self.features[1](self.features[:1](x)) + self.features[0](x)

    same_answers(Net(), x_of())


def test_layers_between_pool_and_view():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.avg = nn.Conv2d(3, 16, 3), nn.AdaptiveAvgPool2d(4)

        def forward(self, x):
            x = self.avg(F.max_pool2d(self.conv(x).relu(), 2))
            return x.view(x.shape[0], -1)

    same_answers(Net(), x_of())


def test_nan_and_ties():
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.MaxPool2d(2), nn.ReLU())
    x = x_of()
    x[0, 0, 5, 5] = float("nan")
    x[1] = 0.0
    fused = cnnzoo.fuse(model)
    torch.testing.assert_close(fused(x), model(x), equal_nan=True, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", range(12, 18))
def test_ceil_mode(size, calls):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1, ceil_mode=True))
    fused = same_answers(model, x_of(size))
    down = nn.Sequential(model[0], nn.MaxPool2d(3, 2, 1))
    assert bool(calls) == (down(x_of(size)).shape == fused(x_of(size)).shape)


def test_one_image_without_a_batch():
    same_answers(stack(), torch.randn(3, 18, 18))


def test_copies_and_pickles(calls):
    model = with_statistics(nn.Sequential(Block(), nn.MaxPool2d(2)))
    fused = cnnzoo.fuse(model)
    for again in (copy.deepcopy(fused), pickle.loads(pickle.dumps(fused))):
        assert type(again).__name__ == "Sequential"
        assert again[0].conv.weight is not model[0].conv.weight
        same_answers(model, x_of(), fused=again)
    assert len(calls) == 2


def test_a_fused_model_can_be_traced_and_exported():
    fused = cnnzoo.fuse(with_statistics(nn.Sequential(Block(), nn.MaxPool2d(2))).eval())
    x = x_of()
    torch.testing.assert_close(fx.symbolic_trace(fused)(x), fused(x))
    exported = torch.export.export(fused, (x,)).module()
    torch.testing.assert_close(exported(x), fused(x), rtol=1e-4, atol=1e-5)


def test_class_and_attributes_stay():
    model = Tutorial()
    model.classes = ["a", "b"]
    fused = cnnzoo.fuse(model)
    assert isinstance(fused, Tutorial)
    assert type(fused).__name__ == "Tutorial"
    assert fused.classes == ["a", "b"]
    assert type(model) is Tutorial
    assert not hasattr(model, "fuse_report")


@pytest.mark.parametrize(
    ("name", "sites"),
    [
        ("alexnet", {"features.0", "features.3", "features.10"}),
        ("vgg11_bn", {f"features.{n}" for n in (0, 4, 11, 18, 25)}),
        ("resnet18", {"conv1"}),
        ("squeezenet1_1", {"features.0"}),
        ("googlenet", {"conv1.conv", "conv3.conv"}),
    ],
)
def test_torchvision(name, sites):
    models = pytest.importorskip("torchvision.models")
    extra = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    model = with_statistics(models.get_model(name, weights=None, **extra)).eval()
    fused = same_answers(model, x_of(96, batch=1))
    assert {site.name for site in fused.fuse_report.fused} == sites
    assert list(fused.state_dict()) == list(model.state_dict())


@pytest.mark.parametrize(("name", "site"), [("resnet18", "conv1"), ("vgg11_bn", "features.0")])
def test_timm(name, site):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    fused = same_answers(with_statistics(timm.create_model(name)).eval(), x_of(96, batch=1))
    assert site in {each.name for each in fused.fuse_report.fused}


def test_the_zoos_own_check_stays():
    fused = cnnzoo.fuse(cnnzoo.build("resnet18").eval())
    assert fused.fuse_report.fused
    with pytest.raises(cnnzoo.CnnzooError, match="was built for images"):
        fused(torch.rand(1, 3, 32, 32))
