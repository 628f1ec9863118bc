"""What cannot be exported: one sentence, nothing half written, and the old file as it was."""

import sys

import pytest
import torch
from exported import trained
from torch import nn

import cnnzoo
from cnnzoo.exporting import format_pt2


@pytest.fixture
def refused(tmp_path):
    """Return what exports to a file that exists, and gives the sentence of the refusal."""
    path = tmp_path / "net.pt2"
    path.write_text("the old file")

    def run(model, *args, **kwargs):
        with pytest.raises(cnnzoo.CnnzooError) as caught:
            cnnzoo.export(model, path, *args, **kwargs)
        assert path.read_text() == "the old file"
        assert list(tmp_path.iterdir()) == [path]
        text = str(caught.value)
        assert "\n" not in text
        return text

    return run


@pytest.mark.parametrize(
    ("name", "format", "says"),
    [
        ("net.pth", None, 'ends in ".pth", which is no format'),
        ("net", None, "is a torch.export program"),
        ("net.pt2", "onxx", 'Did you mean "onnx"'),
        ("net.onnx", "aoti", 'ends in ".pt2"'),
        ("no/such/folder/net.pt2", None, "Cannot write .*No such file or directory"),
    ],
)
def test_path_and_format(name, format, says, tmp_path):
    with pytest.raises(cnnzoo.CnnzooError, match=says):
        cnnzoo.export(trained("lenet5")[0], tmp_path / name, format=format)
    assert not list(tmp_path.iterdir())


def test_a_folder(tmp_path):
    (tmp_path / "net.pt2").mkdir()
    with pytest.raises(cnnzoo.CnnzooError, match="is a folder"):
        cnnzoo.export(trained("lenet5")[0], tmp_path / "net.pt2")


def test_training_mode(refused):
    model = cnnzoo.build("lenet5")
    assert "call model.eval() first" in refused(model.train())
    model.eval()
    inside = next(name for name, _ in model.named_modules() if name)
    model.get_submodule(inside).train()
    assert f'"{inside}" of the model is in training mode' in refused(model)


def test_no_module(refused):
    assert "Expected a torch module; got str" in refused("mnist_cnn")


class Deciding(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


class OneBatch(nn.Module):
    def forward(self, x):
        return x.reshape(4, -1)


class Untraceable(nn.Module):
    def forward(self, x):
        return torch.tensor(x.numpy())


def test_dynamic_control_flow(refused):
    said = refused(Deciding().eval(), torch.ones(2, 3))
    assert "decides by values in a tensor" in said
    assert "torch.where" in said


def test_a_batch_size_that_the_model_fixes(refused, tmp_path):
    assert "dynamic_batch=False" in refused(OneBatch().eval(), torch.ones(4, 3))
    report = cnnzoo.export(
        OneBatch().eval(), tmp_path / "net.pt2", torch.ones(4, 3), dynamic_batch=False
    )
    assert report.input_shape == (4, 3)


def test_what_torch_cannot_follow(refused):
    assert "Untraceable cannot be exported" in refused(Untraceable().eval(), torch.ones(2, 3))


def test_examples(refused):
    linear = nn.Linear(3, 2).eval()
    assert "Linear does not tell the size of its images" in refused(linear)
    assert "does not take an input of shape (2, 4)" in refused(linear, torch.ones(2, 4))
    assert "got list" in refused(linear, [1, 2, 3])
    assert "at least one image" in refused(linear, torch.ones(0, 3))
    assert "was built for images" in refused(trained("lenet5")[0], torch.ones(2, 1, 8, 8))


def test_operators_of_others_are_not_portable(refused, tmp_path):
    class Suppressing(nn.Module):
        def forward(self, x):
            return torch.ops.torchvision.nms(x, x[:, 0], 0.5)

    import torchvision

    assert torchvision
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 2.0, 2.0]])
    model = Suppressing().eval()
    said = refused(model, boxes, portable=True, dynamic_batch=False)
    assert "torchvision::nms" in said


@pytest.mark.parametrize("wrong", ["shifted", "nan", "shape", "error", "load"])
def test_other_answers(wrong, refused, monkeypatch):
    load = format_pt2.load

    def loads(path):
        if wrong == "load":
            raise RuntimeError("not this file")
        run = load(path)

        def call(x):
            y = run(x)
            if len(x) != 7:  # the other batches are right
                return y
            if wrong == "error":
                raise RuntimeError("not this batch")
            if wrong == "nan":
                y[3, 2] = torch.nan
            if wrong == "shifted":
                y[3, 2] += 2e-3
            return y[:-1] if wrong == "shape" else y

        return call

    monkeypatch.setattr(format_pt2, "load", loads)
    said = refused(trained("mnist_cnn")[0])
    assert {
        "shifted": "differs from the model by 0.002",
        "nan": "differs from the model by nan",
        "shape": "gives outputs",
        "error": "does not run for a batch of 7: not this batch.",
        "load": "does not load: not this file.",
    }[wrong] in said


@pytest.mark.skipif(sys.platform == "win32", reason="limits as POSIX does")
@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_a_full_disk(suffix, tmp_path):
    import resource

    if suffix == ".onnx":
        pytest.importorskip("onnxscript", reason="needs onnxscript")
    path = tmp_path / f"net{suffix}"
    path.write_text("the old file")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(cnnzoo.CnnzooError, match=r"Cannot write .*intact"):
            cnnzoo.export(trained("mnist_cnn")[0], path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "the old file"
    assert list(tmp_path.iterdir()) == [path]
