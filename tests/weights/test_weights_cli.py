"""Weights on the command line."""

import json
import shlex

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import cnnzoo
from cnnzoo.cli import main


def run(line, code=0):
    result = CliRunner().invoke(main, shlex.split(str(line)))
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture
def one(tmp_path):
    """Return a picture of a one, white on black."""
    page = np.zeros((28, 28), np.uint8)
    page[4:24, 13:16] = 255
    Image.fromarray(page).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def test_list():
    listed = json.loads(run("weights --json").output)
    assert [each["name"] for each in listed] == [card.name for card in cnnzoo.list_weights()]
    shown = run("weights").output
    for card in cnnzoo.list_weights():
        row = next(line for line in shown.splitlines() if line.strip().startswith(card.name))
        for fact in (card.accuracy_in_words, f"{card.weights['bytes']:,}", card.where_from):
            assert fact in row
        assert card.weights["sha256"][:12] in row
    assert [each["model"] for each in json.loads(run("weights lenet5-mnist --json").output)] == [
        "lenet5"
    ]
    assert 'cnnzoo.build("lenet5", weights="mnist")' in run("weights lenet5-mnist").output


def test_verify(tmp_path, monkeypatch):
    from cnnzoo.weights import _cards

    assert "Every file has the SHA-256 of its card" in run("weights --verify").output
    (card,) = _cards.find_cards("lenet5-mnist")
    _cards.write_card(card, tmp_path)
    (tmp_path / card.file.name).write_bytes(b"x" * card.weights["bytes"])
    monkeypatch.setattr(_cards, "FOLDER", tmp_path)
    run("weights")
    assert "is not the file that was bundled" in run("weights --verify", 2).stderr


def test_predict(one):
    (found,) = json.loads(run(f"predict --weights mnist {one} --json").output)
    assert found["label"] == "1"
    line = f"predict --weights mnist --model lenet5 {one} {one}"
    assert run(line).output.count(f"{one}: 1 ") == 2
    answer = cnnzoo.predict(cnnzoo.build("mnist_cnn", weights="mnist"), one)
    assert found["probabilities"] == answer.probabilities


def test_eval(real_data):
    found = json.loads(run(f"eval --weights mnist --model lenet5 --root {real_data} --json").output)
    (card,) = [card for card in cnnzoo.list_weights() if card.name == "lenet5-mnist"]
    assert found["samples"] == 10_000
    assert found["accuracy"] == pytest.approx(card.accuracy["seeds"]["0"], abs=3e-4)


def test_training_goes_on_from_weights(tmp_path, monkeypatch):
    monkeypatch.setattr("cnnzoo.train.run_folder.draw_plots", lambda *args: None)
    digits, _ = cnnzoo.load_data("digits")
    for index in range(60):
        label = int(digits.labels[index])
        if label < 3:
            place = tmp_path / "mine" / "abc"[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(digits.images[index, 0].numpy()).save(place / f"{index}.png")
    line = f"train lenet5 --data folder --root {tmp_path / 'mine'} --epochs 1 --lr 1e-9"
    assert "for 3 classes" in run(f"{line} --weights mnist --out {tmp_path / 'no'}", 2).stderr
    out = tmp_path / "run"
    shown = run(f"{line} --weights mnist --adapt --out {out}").output
    assert "Adapted: fc3 is drawn anew for 3 classes" in shown
    trained = cnnzoo.load(out)
    assert trained.classes == ("a", "b", "c")
    bundled = cnnzoo.build("lenet5", weights="mnist")
    # A rate of 1e-9 moves nothing: what is not the head is what it was.
    torch.testing.assert_close(trained.fc2.weight, bundled.fc2.weight, atol=1e-5, rtol=0)
    record = json.loads((out / "config.json").read_text())["record"]
    assert (record["weights"], record["adapt"]) == ("mnist", True)
    assert "has its weights" in run(f"train --resume {out} --weights mnist", 2).stderr


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("weights mnits", 'Unknown weights "mnits". Did you mean "mnist"?'),
        ("predict --weights mnits ONE", 'Did you mean "mnist"?'),
        ("predict --weights mnist --model mnist_cn ONE", 'Did you mean "mnist_cnn"?'),
        ("predict --weights mnist --model resnet20 ONE", 'no weights "mnist" of "resnet20"'),
        ("predict --weights https://x.org/x.safetensors ONE", "needs the SHA-256"),
        ("predict --weights http://x.org/x.safetensors ONE", "by https only"),
        ("predict --weights /nowhere/x.safetensors ONE", "No model at /nowhere/x.safetensors"),
        ("predict ONE", "Expected a run folder and pictures"),
        ("predict --weights mnist", "Missing argument"),
        ("predict --model lenet5 RUN ONE", "a run folder knows its own"),
        ("train lenet5 --weights mnits", 'Did you mean "mnist"?'),
        ("train lenet5 --adapt", "give weights="),
        ("eval", "Say which trained model"),
        ("eval RUN --weights mnist", "not both"),
        ("eval --weights FILE", "pass --data"),
    ],
)
def test_bad_input_gets_one_sentence(line, sentence, one, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = line.replace("ONE", str(one)).replace("FILE", str(saved[0]))
    result = run(line.replace("RUN", "/nowhere/run"), 2)
    assert sentence in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
