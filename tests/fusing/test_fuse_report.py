"""What is not fused, why, and what the report and the command say."""

import json

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from fusable import Block, Branching, SharedModules, Tutorial, same_answers, stack, with_statistics
from torch import nn

import cnnzoo
from cnnzoo import ops
from cnnzoo.cli import main
from cnnzoo.fusing import _fuse
from cnnzoo.ops import Choice

X = torch.randn(2, 3, 18, 18)


def reason(model, **given):
    """Return why the only site is not fused."""
    report = cnnzoo.fuse(model, **given).fuse_report
    (site,) = report.sites
    assert site.fused == ()
    return site.reason


def changed(index, module):
    model = stack()
    model[index] = module
    return model


@pytest.mark.filterwarnings("ignore:Using padding='same' with even")
@pytest.mark.parametrize(
    ("model", "why"),
    [
        (changed(0, nn.Conv2d(3, 6, 3, groups=3)), "groups=1"),
        (changed(0, nn.Conv2d(3, 6, 3, dilation=2)), "dilation=1"),
        (changed(0, nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect")), "zeros"),
        (changed(0, nn.Conv2d(3, 6, 4, padding="same")), "both sides"),
        (changed(1, nn.Identity()), "Conv2d: Identity"),
        (changed(1, nn.Sequential()), "Conv2d: Sequential"),
        (nn.Sequential(nn.Conv2d(3, 6, 3), nn.MaxPool2d(2)), "no ReLU"),
        (changed(2, nn.MaxPool2d(2, dilation=2)), "dilated"),
        (changed(2, nn.MaxPool2d(2, return_indices=True)), "indices"),
        (nn.utils.parametrizations.weight_norm(stack()[0]), None),
    ],
)
def test_declined_with_a_reason(model, why):
    if why is None:
        model = nn.Sequential(model, nn.ReLU(), nn.MaxPool2d(2))
        why = "of its own kind"
    elif not isinstance(model[-1], nn.MaxPool2d) or not model[-1].return_indices:
        same_answers(model, X)
    assert why in reason(model)


def test_a_value_used_elsewhere():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 3)

        def forward(self, x):
            y = F.relu(self.conv(x))
            return F.max_pool2d(y, 2).sum() + y.sum()

    assert "used elsewhere" in reason(Net())
    same_answers(Net(), X)


def test_hooks_go_on():
    model = stack()
    seen = []
    model[1].register_forward_hook(lambda *args: seen.append(args))
    assert "hooks" in reason(model)
    cnnzoo.fuse(model)(X)
    assert seen


def test_a_batch_norm_is_fused_in_eval_mode_only():
    model = with_statistics(nn.Sequential(Block(), nn.MaxPool2d(2))).train()
    (site,) = cnnzoo.fuse(model).fuse_report.sites
    assert (site.name, site.fused) == ("0.conv", ("eval",))
    assert "eval mode only" in site.reason


def test_a_batch_norm_without_statistics():
    norm = nn.BatchNorm2d(16, track_running_stats=False)
    model = nn.Sequential(nn.Conv2d(3, 16, 3), norm, nn.ReLU(), nn.MaxPool2d(2)).eval()
    assert "running statistics" in reason(model)


def test_a_forward_that_cannot_be_traced():
    class Net(Branching):
        def __init__(self):
            super().__init__()
            self.pool = nn.MaxPool2d(2)

    report = cnnzoo.fuse(Net()).fuse_report
    assert {site.name for site in report.fused} == {"features.0", "features.3"}
    (site,) = report.declined
    assert "torch.fx cannot read the forward of Net" in site.reason


def test_the_choice_decides(monkeypatch):
    no = Choice("reference", "It covers everything.", {"native": "Too small to pay."})
    yes = Choice("native", "Measured as faster.")
    monkeypatch.setattr(
        _fuse, "explain", lambda x, w, b, **sizes: yes if torch.is_grad_enabled() else no
    )
    monkeypatch.setattr(_fuse, "time_both", lambda *args: (1.0, 2.0, True))
    (site,) = cnnzoo.fuse(stack(), X).fuse_report.sites
    assert (site.fused, site.input_shape) == (("train",), (2, 3, 18, 18))
    assert site.reason == "Measured as faster. Not in eval: Too small to pay."


def test_what_is_slower_is_undone(monkeypatch):
    monkeypatch.setattr(_fuse, "explain", lambda *args, **sizes: Choice("native", "Of course."))
    monkeypatch.setattr(_fuse, "time_both", lambda *args: (100.0, 150.0, True))
    fused = cnnzoo.fuse(stack(), X)
    assert not fused.fuse_report.fused
    assert "it took 150 us, and 100 us before" in str(fused.fuse_report)
    assert type(fused) is nn.Sequential


def test_what_differs_is_undone(monkeypatch):
    monkeypatch.setattr(_fuse, "compare", lambda *args: (0.5, 1.0))
    monkeypatch.setattr(_fuse, "explain", lambda *args, **sizes: Choice("native", "Of course."))
    fused = cnnzoo.fuse(stack(), X)
    assert "the outputs differ by 5.0e-01" in fused.fuse_report.message
    assert type(fused) is nn.Sequential


def test_the_report_is_a_table_with_times():
    if not ops.status().available:
        pytest.skip(str(ops.status().reason))
    report = cnnzoo.fuse(stack().eval(), torch.randn(1, 3, 130, 130)).fuse_report
    assert report.before_us > 0
    assert report.after_us > 0
    assert report.difference < 1e-4
    text = str(report)
    for part in ("Sequential: ", "us before", "1x3x130x130", "conv → relu → max-pool"):
        assert part in text


def test_models_that_use_the_layer_already():
    message = cnnzoo.fuse(cnnzoo.build("mnist_cnn")).fuse_report.message
    assert message.startswith("Nothing to do")
    assert "2 layers are conv-ReLU-maxpool already" in message


def test_shapes_are_those_of_the_example():
    sites = cnnzoo.fuse(SharedModules(), torch.randn(2, 3, 30, 30)).fuse_report.sites
    assert [site.input_shape for site in sites] == [(2, 3, 30, 30), (2, 16, 14, 14)]


@pytest.mark.parametrize(
    ("model", "example", "why"),
    [
        ("alexnet", None, "takes a torch.nn.Module; got str. Build it first."),
        (Tutorial, None, "got type"),
        (Tutorial(), torch.randn(1, 3, 28, 28), "does not take the example .1, 3, 28, 28."),
        (Tutorial(), [1], "does not take the example list"),
    ],
)
def test_bad_input(model, example, why):
    with pytest.raises(cnnzoo.CnnzooError, match=why):
        cnnzoo.fuse(model, example)


def test_the_model_stays_in_its_mode():
    model = Tutorial().train()
    model.fc1.eval()
    fused = cnnzoo.fuse(model, torch.randn(1, 1, 28, 28))
    for each in (model, fused):
        assert [m.training for m in each.modules()] == [True, True, True, False, True]


def test_the_command():
    pytest.importorskip("torchvision")
    run = CliRunner().invoke(main, ["fuse", "tv:squeezenet1_1", "--input", "3,64,64", "--json"])
    assert run.exit_code == 0, run.output
    sites = {site["name"]: site for site in json.loads(run.output)["sites"]}
    assert sites["features.0"]["input_shape"] == [1, 3, 64, 64]
    assert sites["features.5"]["reason"] == "It does not start with a Conv2d: Fire."
    text = CliRunner().invoke(main, ["fuse", "mnist_cnn", "--batch-size", "2"]).output
    assert text.startswith("mnist_cnn, batch 2, ")
    assert "Nothing to do" in text


def test_the_command_with_a_bad_size():
    run = CliRunner().invoke(main, ["fuse", "mnist_cnn", "--input", "3x2"])
    assert run.exit_code == 2
    assert "expected channels, height and width" in run.output


def test_a_forward_of_its_own_object():
    model = stack()
    model.forward = lambda x: x + 1
    assert "replaced on this very object" in reason(model)
    assert torch.equal(cnnzoo.fuse(model)(X), X + 1)


def test_fusing_twice_is_harmless():
    once = cnnzoo.fuse(SharedModules())
    twice = cnnzoo.fuse(once)
    assert twice.fuse_report.message.startswith("Nothing to do")
    same_answers(once, torch.randn(2, 3, 30, 30), fused=twice)


def test_a_block_that_gains_nothing_stays_closed():
    class Adding(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(16, 16, 3, padding=1)

        def forward(self, x):
            return F.relu(x + self.conv(x))

    model = nn.Sequential(*stack(), Adding(), nn.MaxPool2d(2))
    fused = same_answers(model, X)
    seen = []
    fused[3].register_forward_hook(lambda *args: seen.append(args))
    fused(X)
    assert len(seen) == 1
    assert [bool(site.fused) for site in fused.fuse_report.sites] == [True, False]
