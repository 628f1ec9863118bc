"""``cnnzoo export`` as a person uses it."""

import json
import shlex

import torch
from click.testing import CliRunner
from exported import assert_answers, trained

import cnnzoo
from cnnzoo.cli import main


def run(line, code=0):
    result = CliRunner().invoke(main, shlex.split(str(line)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_a_model_with_weights(tmp_path):
    path = tmp_path / "net.pt2"
    said = run(f"export mnist_cnn {path} --weights mnist --portable").output
    assert "net.pt2: pt2" in said
    assert "stands alone" in said
    assert "on 64 digits: largest difference" in said
    model, x = trained("mnist_cnn")
    assert_answers(torch.export.load(path).module(), model, x)


def test_a_file_of_a_trained_model(tmp_path):
    model, x = trained("lenet5")
    cnnzoo.save(model, tmp_path / "model.safetensors")
    for source in (tmp_path, tmp_path / "model.safetensors"):  # a run folder looks like this one
        path = tmp_path / "net.pt2"
        said = run(f"export {source} {path} --batch-size 7 --json").stdout
        assert json.loads(said)["input_shape"] == [7, 1, 28, 28]
        assert_answers(torch.export.load(path).module(), model, x, batches=[7])


def test_another_size(tmp_path):
    result = run(f"export mnist_cnn {tmp_path}/net.pt2 --input 3,20,24 --json")
    assert "the weights are random" in result.stderr
    report = json.loads(result.stdout)
    assert report["input_shape"] == ["batch", 3, 20, 24]
    assert report["compared"] == "8 random images and the example"


def test_refusals(tmp_path):
    for line, says in {
        f"export mnist_cnn {tmp_path}/net.tflite": "no format to export to",
        f"export mnist_cn {tmp_path}/net.pt2": 'Did you mean "mnist_cnn"?',
        f"export {tmp_path} {tmp_path}/net.pt2 --weights mnist": "not both",
        f"export {tmp_path} {tmp_path}/net.pt2": "No model at",
    }.items():
        said = " ".join(run(line, code=2).stderr.split())
        assert says in said
        assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
