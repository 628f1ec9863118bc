"""Why a layer runs the way it does."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import cnnzoo
from cnnzoo import explanation, ops
from cnnzoo.cli import main
from cnnzoo.ops import tuning

needs_native = pytest.mark.skipif(
    not ops.status().available, reason=f"needs native code: {ops.status().reason}"
)


def explain(**options):
    return cnnzoo.explain(cnnzoo.build("mnist_cnn", **options), batch_size=4, repeats=3)


def test_every_layer_in_the_order_they_run():
    report = explain()
    assert [each.name for each in report] == ["conv1", "conv2"]
    assert [each.input_shape for each in report] == [(4, 1, 28, 28), (4, 32, 13, 13)]
    assert [each.output_shape for each in report] == [(4, 32, 13, 13), (4, 32, 5, 5)]
    assert all(each.forward_us > 0 < each.backward_us for each in report)


def test_eager_keeps_the_relu_output_and_wide_indices():
    first, second = explain(conv_relu_maxpool="eager")
    per_image = 4 * 32 * 26 * 26 + 8 * 32 * 13 * 13
    assert first.kept_bytes == 4 * per_image
    assert second.kept_bytes == 4 * (4 * 32 * 11 * 11 + 8 * 32 * 5 * 5)
    assert first.choice.implementation == "EagerConvReluMaxPool"


@needs_native
def test_native_keeps_a_quarter_at_most():
    eager, native = (explain(conv_relu_maxpool=name) for name in ("eager", "native"))
    for one, other in zip(eager, native, strict=True):
        assert other.choice.implementation == "native"
        assert other.choice.isa in ops.status().isas
        assert "asks for it" in other.choice.reason
        assert set(other.choice.declined) == {"reference"}
        assert 4 * other.kept_bytes <= one.kept_bytes


@needs_native
def test_says_what_runs_in_bfloat16():
    kernels = ops.status().kernels
    report = explain(conv_relu_maxpool="native")
    assert [each.choice.isa for each in report] == [kernels["float32"]] * 2
    assert [each.under_autocast.isa for each in report] == [kernels["bfloat16"]] * 2
    assert f"in bfloat16 native ({kernels['bfloat16']})" in str(report)
    model = cnnzoo.build("mnist_cnn", conv_relu_maxpool="native")
    with torch.autocast("cpu", torch.bfloat16):
        inside = cnnzoo.explain(model, batch_size=4, repeats=3)
    half = cnnzoo.explain(model.bfloat16(), batch_size=4, repeats=3)
    for each in (*inside, *half):
        assert each.choice.isa == kernels["bfloat16"]
        assert each.under_autocast is None
    # x of two bytes is kept by whoever made it; only the places of the maxima are added.
    assert half[1].kept_bytes == 4 * 32 * 5 * 5


@needs_native
def test_tunes_in_the_dtype_of_the_model(monkeypatch):
    monkeypatch.setattr(tuning, "_fill", lambda call, turn: 1)
    model = cnnzoo.build("mnist_cnn")
    assert {each.dtype for each in explanation.tune(model, batch_size=2)} == {"float32"}
    with torch.autocast("cpu", torch.bfloat16):
        assert {each.dtype for each in explanation.tune(model, batch_size=2)} == {"bfloat16"}
    found = explanation.tune(model.bfloat16(), batch_size=2)
    assert {each.dtype for each in found} == {"bfloat16"}


def test_says_why_native_cannot_run():
    model = nn.Sequential(cnnzoo.layers.build_layer("conv_relu_maxpool", "auto", 4, 4, 3, groups=2))
    report = cnnzoo.explain(model, (4, 9, 9), batch_size=2, repeats=1)
    assert report[0].choice.implementation == "reference"
    assert "groups=1, got 2" in report[0].choice.declined["native"]
    assert "not native: Native kernels take groups=1" in str(report)


def test_changes_nothing():
    model = cnnzoo.build("mnist_cnn")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    cnnzoo.explain(model, batch_size=2, repeats=1)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_command():
    shown = CliRunner().invoke(main, ["explain", "mnist_cnn", "--batch-size", "4"])
    assert shown.exit_code == 0
    assert "conv2  4x32x13x13 -> 4x32x5x5" in shown.output
    assert "kept for backward" in shown.output
    found = CliRunner().invoke(main, ["explain", "lenet5", "--input", "3,32,32", "--json"])
    assert json.loads(found.output)[0]["input_shape"] == [128, 3, 32, 32]
    wrong = CliRunner().invoke(main, ["explain", "lenet5", "--input", "3x32"])
    assert wrong.exit_code == 2
    assert "expected channels, height and width" in wrong.output


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        (nn.Linear(3, 3), None, "no conv-ReLU-maxpool layer"),
        (nn.Sequential(cnnzoo.build("mnist_cnn").conv1), None, r"input_size=\(C, H, W\)"),
        (cnnzoo.build("mnist_cnn"), (1, 28), r"got \(1, 28\)"),
        (cnnzoo.build("mnist_cnn"), (3, 28, 28), "built for images"),
    ],
)
def test_bad_input(model, size, message):
    with pytest.raises(cnnzoo.CnnzooError, match=message):
        cnnzoo.explain(model, size)
