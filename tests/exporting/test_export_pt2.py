"""torch.export: the file gives the model's answers, with cnnzoo's operators and without cnnzoo."""

import json

import pytest
import torch
from exported import MODELS, assert_answers, run_without_cnnzoo, trained

import cnnzoo

BLOCK = "cnnzoo::conv_relu_maxpool"


def operators(path):
    program = torch.export.load(path)
    return {str(node.target) for node in program.graph.nodes if node.op == "call_function"}


@pytest.mark.parametrize("portable", [False, True], ids=["fused", "portable"])
@pytest.mark.parametrize("name", MODELS)
def test_answers(name, portable, tmp_path):
    model, x = trained(name)
    path = tmp_path / "net.pt2"
    report = cnnzoo.export(model, path, portable=portable)
    assert_answers(torch.export.load(path).module(), model, x)

    has_block = name != "resnet20" and cnnzoo.ops.status().available and not portable
    assert report.operators == ((BLOCK,) if has_block else ())
    assert ("cnnzoo.conv_relu_maxpool.default" in operators(path)) == has_block
    assert report.format == "pt2"
    assert report.input_shape == ("batch", *x.shape[1:])
    assert report.size == path.stat().st_size
    assert report.compared == ("8 random images" if name == "resnet20" else "64 digits")
    assert 0 <= report.difference < 1e-4 * report.largest


def test_portable_runs_without_cnnzoo(tmp_path):
    model, x = trained("mnist_cnn")
    cnnzoo.export(model, tmp_path / "net.pt2", portable=True)
    done, answers = run_without_cnnzoo(tmp_path / "net.pt2", x, tmp_path)
    assert done.returncode == 0, done.stderr
    answers = {len(y): y for y in answers}
    assert_answers(lambda x: answers[len(x)], model, x)


def test_a_file_with_our_operators_needs_cnnzoo(tmp_path):
    if not cnnzoo.ops.status().available:
        pytest.skip("the native library is not built: the program has PyTorch's layers instead")
    model, x = trained("mnist_cnn")
    report = cnnzoo.export(model, tmp_path / "net.pt2")
    assert "needs cnnzoo to load" in str(report)
    done, answers = run_without_cnnzoo(tmp_path / "net.pt2", x, tmp_path)
    assert done.returncode != 0
    assert "conv_relu_maxpool" in done.stderr
    assert answers is None


def test_a_fused_model_of_others(tmp_path):
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Flatten(),
        nn.Linear(16 * 8 * 8, 5),
    ).eval()
    x = torch.randn(7, 3, 16, 16)
    model = cnnzoo.fuse(model, x)
    report = cnnzoo.export(model, tmp_path / "net.pt2", x, portable=True)
    assert report.operators == ()
    assert report.compared == "8 random images and the example"
    assert_answers(torch.export.load(tmp_path / "net.pt2").module(), model, x)


def test_a_fixed_batch(tmp_path):
    model, x = trained("lenet5")
    report = cnnzoo.export(model, tmp_path / "net.pt2", x[:3], dynamic_batch=False)
    assert report.input_shape == (3, 1, 28, 28)
    run = torch.export.load(tmp_path / "net.pt2").module()
    assert_answers(run, model, x, batches=[3])
    with pytest.raises(AssertionError, match=r"size\(\)\[0\] == 3"):
        run(x[:2])


def test_outputs_that_are_no_numbers(tmp_path):
    class Log(torch.nn.Module):
        def forward(self, x):
            return torch.cat([torch.log(x), torch.log(x * 0)], 1)  # NaN, numbers and -inf

    report = cnnzoo.export(Log().eval(), tmp_path / "net.pt2", torch.rand(2, 3))
    assert report.difference < 1e-4
    assert 0 < report.largest < 100


def test_what_travels_along(tmp_path):
    model, _ = trained("mnist_cnn")
    cnnzoo.export(model, tmp_path / "net.pt2")
    extra = {"cnnzoo.json": ""}
    torch.export.load(tmp_path / "net.pt2", extra_files=extra)
    facts = json.loads(extra["cnnzoo.json"])
    assert facts["cnnzoo.classes"].split("\n") == list(model.classes)
    assert facts["cnnzoo.size"] == "1 28 28"
    assert float(facts["cnnzoo.mean"]) == model.preprocessing.mean[0]
    assert float(facts["cnnzoo.std"]) == model.preprocessing.std[0]
    assert json.loads(facts["cnnzoo.spec"]) == model.spec


def test_the_model_stays_as_it_is(tmp_path):
    model = cnnzoo.build("mnist_cnn").eval()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    cnnzoo.export(model, tmp_path / "net.pt2", portable=True)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not model.training
    assert torch.is_grad_enabled()


def test_the_same_labels_on_mnist(real_data, tmp_path):
    model, _ = trained("mnist_cnn")
    test = cnnzoo.load_data("mnist", root=real_data).test
    x = model.preprocessing(test.images)
    with torch.no_grad():
        wanted = model(x)
    for portable in (False, True):
        cnnzoo.export(model, tmp_path / "net.pt2", portable=portable)
        with torch.no_grad():
            got = torch.export.load(tmp_path / "net.pt2").module()(x)
        assert torch.equal(got.argmax(1), wanted.argmax(1))
        assert (got - wanted).abs().max() < 1e-4
