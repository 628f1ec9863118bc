"""The command line as a person uses it: output, exit codes, sentences."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import cnnzoo
from cnnzoo.cli import main
from cnnzoo.train import History, TrainConfig

COMMANDS = main.list_commands(None)


def run(line, code=0):
    """Run a command line; return its result after checking the exit code."""
    result = CliRunner().invoke(main, shlex.split(str(line)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def refused(line):
    """Return the sentence a command ends with: exit code 2, no traceback."""
    result = run(line, code=2)
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a run folder that ``cnnzoo train`` made, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    shown = run(
        f"train single_layer_cnn --epochs 2 --batch-size 32 --lr 0.02 --seed 3 --out {folder}"
    )
    return folder, shown.output


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """Return a test digit as a PNG, and its label."""
    _, test = cnnzoo.load_data("digits")
    path = tmp_path_factory.mktemp("pictures") / "digit.png"
    Image.fromarray(test.images[0, 0].numpy()).save(path)
    return path, test.classes[test.labels[0]]


def test_every_command_has_help_with_examples():
    assert set(COMMANDS) >= {"list", "info", "train", "eval", "predict", "plugins", "doctor"}
    for name in COMMANDS:
        shown = run(f"{name} --help").output
        assert f"Examples:\n    cnnzoo {name}" in shown
    assert "cnnzoo train mnist_cnn" in run("--help").output


def test_list():
    assert [each["name"] for each in json.loads(run("list --json").output)] == cnnzoo.list_models()
    shown = run("list '*MNIST*'").output
    assert "mnist_cnn" in shown
    assert "lenet5" not in shown
    assert "eager" in run("list --kind layers").output
    assert "digits" in run("list --kind data").output
    assert "No model matches" in run("list nothing*").output


def test_info():
    shown = run("info mnist_cnn").output
    assert "90,678 parameters" in shown
    assert 'Weights "mnist": 99.' in shown
    assert "Weights" not in run("info nin").output
    found = json.loads(run("info LENET --json").output)
    assert found["name"] == "lenet5"
    assert found["arguments"]["form"] == "modern"
    assert found["parameters"] == 61_706


def test_train_prints_a_line_an_epoch_and_what_to_try_next(trained):
    folder, shown = trained
    lines = shown.splitlines()
    assert lines[0].startswith("SingleLayerCNN: 54,410 parameters on cpu")
    rows = [line.split() for line in lines if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["1", "2"]
    assert f"cnnzoo train --resume {folder}" in shown
    config = json.loads((folder / "config.json").read_text())
    defaults = TrainConfig().to_json()
    asked = {"epochs": 2, "batch_size": 32, "lr": 0.02, "seed": 3}
    assert config["config"] == defaults | asked


def test_same_command_same_bits(trained, tmp_path):
    out = tmp_path / "again"
    run(f"train single_layer_cnn --epochs 2 --batch-size 32 --lr 0.02 --seed 3 --out {out} --quiet")
    weights = [(folder / "model.safetensors").read_bytes() for folder in (trained[0], out)]
    assert weights[0] == weights[1]


def test_train_json_and_model_arguments(tmp_path):
    line = f"train lenet5 --set form=classic --epochs 1 --out {tmp_path / 'run'} --json"
    result = json.loads(run(line).output)
    assert result["history"][0]["epoch"] == 1
    assert cnnzoo.load_model(result["run"]).spec["arguments"]["form"] == "classic"


def test_train_on_a_folder_of_pictures(tmp_path):
    train, _ = cnnzoo.load_data("digits")
    for index in range(80):
        label = int(train.labels[index])
        if label < 3:
            place = tmp_path / "mine" / ["zero", "one", "two"][label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(train.images[index, 0].numpy()).save(place / f"{index}.png")
    (place / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "run"
    line = f"train mnist_cnn --data folder --root {tmp_path / 'mine'} --epochs 1 --out {out}"
    shown = run(f"{line} --data-set image_size=32")
    assert shown.stderr.startswith("Warning: ")
    assert "left out 1 broken picture(s): " in shown.stderr
    assert cnnzoo.load_model(out).preprocessing.height == 32
    run(f"eval {out}")
    assert sorted(cnnzoo.load_model(out).classes) == ["one", "two", "zero"]


def test_default_run_folder_is_fresh(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        run("train single_layer_cnn --epochs 1 --quiet")
    assert sorted(p.name for p in Path("runs").iterdir()) == [
        *("single_layer_cnn-digits", "single_layer_cnn-digits-2")
    ]


def test_resume(trained, tmp_path):
    import shutil

    folder = shutil.copytree(trained[0], tmp_path / "copy")
    shown = run(f"train --resume {folder} --epochs 3").output
    assert [line.split()[0] for line in shown.splitlines()[2:5]] == ["1", "2", "3"]
    assert "cannot be given with --resume" in refused(f"train --resume {folder} --lr 0.1")
    assert "NAME cannot be given" in refused(f"train mnist_cnn --resume {folder}")


def test_eval(trained):
    shown = run(f"eval {trained[0]}").output
    found = json.loads(run(f"eval {trained[0]} --json").output)
    assert f"accuracy {found['accuracy']:.4f} on {found['samples']} images" in shown
    last = History.from_csv(trained[0] / "history.csv")[-1]
    assert found["accuracy"] == pytest.approx(last.test_accuracy)
    assert sum(map(sum, found["confusion"])) == found["samples"]


def test_predict(trained, picture):
    path, label = picture
    assert run(f"predict {trained[0]} {path}").output.startswith(f"{path}: {label} ")
    found = json.loads(run(f"predict {trained[0]} {path} {path} --json --autofix").output)
    assert [each["label"] for each in found] == [label, label]
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1)
    assert run(f"predict {trained[0]} {path} --top 3").output.count(",") == 2


def test_one_bad_picture_does_not_stop_the_others(trained, picture, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    result = run(f"predict {trained[0]} {tmp_path / 'bad.png'} {picture[0]}", code=2)
    assert "bad.png" in result.stderr
    assert f"{picture[0]}: {picture[1]}" in result.stdout


def test_doctor():
    report = json.loads(run("doctor --json").output)
    assert report["torch threads"] >= 1
    assert report["native code"] == "in use" or report["native code"].startswith("not in use: ")
    assert "instruction set" in run("doctor").output
    assert ("kernels for bfloat16" in report) == (report["native code"] == "in use")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("trian mnist_cnn", 'No command "trian". Did you mean "train"?'),
        ("train mnist_cn", 'Unknown model "mnist_cn". Did you mean "mnist_cnn"?'),
        ("info mnist_cn", 'Did you mean "mnist_cnn"?'),
        ("train", "Say which model to train"),
        ("train mnist_cnn --data digit", 'Unknown data set "digit". Did you mean "digits"?'),
        ("train mnist_cnn --set conv_relu_maxpool=eagre", 'Did you mean "eager"?'),
        ("train mnist_cnn --set num_clases=3", 'Did you mean "num_classes"?'),
        ("train mnist_cnn --set form", "--set takes KEY=VALUE"),
        ("train mnist_cnn --batch-size 0", "batch_size must be at least 1; got 0"),
        ("train mnist_cnn --lr nan", "lr must be a finite number"),
        ("train mnist_cnn --epochs many", "'many' is not a valid integer"),
        ("train mnist_cnn --epoch 3", "No such option"),
        ("train mnist_cnn --data mnist --root /nowhere/at/all", "mnist"),
        ("train mnist_cnn --data folder --root /nowhere/at/all", "/nowhere/at/all"),
        ("train --resume /nowhere/at/all", "No checkpoint at /nowhere/at/all"),
        ("eval /nowhere/at/all", "No model at /nowhere/at/all"),
        ("predict /nowhere/at/all x.png", "No model at"),
    ],
)
def test_bad_input_gets_one_sentence(line, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(line)
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_an_existing_run_is_not_overwritten(trained):
    before = (trained[0] / "model.safetensors").read_bytes()
    assert "holds a run already" in refused(f"train mnist_cnn --out {trained[0]}")
    assert (trained[0] / "model.safetensors").read_bytes() == before


def test_a_damaged_model_file(trained, tmp_path, picture):
    whole = (trained[0] / "model.safetensors").read_bytes()
    for name, content in {"cut": whole[:500], "empty": b"", "text": b"hello there"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
        assert "no readable safetensors file" in refused(f"predict {tmp_path / name} {picture[0]}")


def test_ctrl_c_exits_with_130_and_says_where(tmp_path):
    code = (
        "import os, signal, cnnzoo.train.trainer as t, cnnzoo.cli\n"
        "old = t.Trainer._call\n"
        "def call(self, moment, *args):\n"
        "    old(self, moment, *args)\n"
        "    if moment == 'on_step_end' and self.step == 3: os.kill(os.getpid(), signal.SIGINT)\n"
        "t.Trainer._call = call\n"
        "cnnzoo.cli.main()"
    )
    line = f"train single_layer_cnn --out {tmp_path / 'run'}"
    ended = subprocess.run(
        [sys.executable, "-c", code, *line.split()], capture_output=True, text=True
    )
    assert ended.returncode == 130
    assert "Stopped after step 3 of epoch 1. Saved" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "run" / "checkpoint.pt").exists()


def test_python_dash_m():
    ended = subprocess.run(
        [sys.executable, "-m", "cnnzoo", "--version"], capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("cnnzoo, version ") or "version" in ended.stdout
