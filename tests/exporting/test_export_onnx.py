"""ONNX: standard operators, the model's answers in ONNX Runtime, classes in the metadata."""

import importlib.util

import pytest
import torch
from exported import MODELS, assert_answers, trained

import cnnzoo

onnx = pytest.importorskip("onnx", reason="needs onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnxscript", reason="needs onnxscript")


def runtime(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(["logits"], {"images": x.numpy()})[0])


@pytest.mark.parametrize("name", MODELS)
def test_answers(name, tmp_path):
    model, x = trained(name)
    path = tmp_path / "net.onnx"
    report = cnnzoo.export(model, path)
    assert report.format == "onnx"
    assert report.operators == ()
    assert_answers(runtime(path), model, x)
    written = onnx.load(path)
    onnx.checker.check_model(written, full_check=True)
    assert {node.domain for node in written.graph.node} <= {"", "ai.onnx"}
    assert not written.functions
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]  # the weights are inside


def test_what_travels_along(tmp_path):
    model, _ = trained("mnist_cnn")
    cnnzoo.export(model, tmp_path / "net.onnx")
    facts = {each.key: each.value for each in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert facts["cnnzoo.classes"].split("\n") == list(model.classes)
    assert float(facts["cnnzoo.std"]) == model.preprocessing.std[0]


def test_the_same_labels_on_mnist(real_data, tmp_path):
    model, _ = trained("mnist_cnn")
    x = model.preprocessing(cnnzoo.load_data("mnist", root=real_data).test.images)
    cnnzoo.export(model, tmp_path / "net.onnx")
    with torch.no_grad():
        wanted, got = model(x), runtime(tmp_path / "net.onnx")(x)
    assert torch.equal(got.argmax(1), wanted.argmax(1))
    assert (got - wanted).abs().max() < 1e-4


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name)
    )
    with pytest.raises(cnnzoo.CnnzooError, match=r"needs onnxscript: pip install 'cnnzoo\[onnx\]'"):
        cnnzoo.export(trained("lenet5")[0], tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_what_onnx_cannot_say_is_a_sentence(tmp_path):
    class Strange(torch.nn.Module):
        def forward(self, x):
            return torch.linalg.eigvals(x).real

    with pytest.raises(cnnzoo.CnnzooError, match="cannot be exported to ONNX"):
        cnnzoo.export(Strange().eval(), tmp_path / "net.onnx", torch.randn(2, 3, 3))
    assert not list(tmp_path.iterdir())
