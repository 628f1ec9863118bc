"""`cnnzoo verify-resume` proves what it says, and says so when it is not so."""

import functools
import json
import shutil
import signal

import pytest
import torch
from click.testing import CliRunner

import cnnzoo
from cnnzoo.cli import main
from cnnzoo.cli import verify_resume as command
from cnnzoo.cli.verify_resume import compare_runs

needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")


@needs_kill
def test_two_kills_of_a_small_run(tmp_path, monkeypatch):
    """The runs that die are commands of their own; those that end do so here, which is faster."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("cnnzoo.train.run_folder.draw_plots", lambda *args: None)
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    ended = []

    def finish(line):
        ended.append(CliRunner().invoke(main, line, standalone_mode=False))
        assert ended[-1].exception is None

    monkeypatch.setattr(command, "_finish", finish)
    line = "verify-resume single_layer_cnn --epochs 1 --kills 2 --seed 1 --json"
    result = CliRunner().invoke(main, line.split())
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["difference"] is None
    one, two = found["kills"]
    assert one["where"].startswith("after step")
    assert ", before " in two["where"], "the second dies while something is written"
    assert two["equal_losses"] > 0
    assert len(ended) == 2
    assert not list(tmp_path.glob("cnnzoo-verify-*")), "nothing is left behind"


@needs_kill
def test_what_is_wrong_with_the_run_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = CliRunner().invoke(main, ["verify-resume", "mnist_cn"])
    assert result.exit_code == 2
    assert 'Did you mean "mnist_cnn"?' in result.output
    assert not list(tmp_path.glob("cnnzoo-verify-*"))


@needs_kill
def test_what_the_child_says_is_passed_on(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    line = ["verify-resume", "single_layer_cnn", "--data", "folder", "--root", str(tmp_path / "no")]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 2
    assert "Error: Error" not in result.output
    assert str(tmp_path / "no") in result.output


@needs_kill
def test_a_difference_is_named_and_both_runs_are_kept(tmp_path, monkeypatch):
    """The child that never dies and trains with another seed: two runs that differ."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kill = command.Kill(1, "nowhere", "the beginning", 0)
    monkeypatch.setattr(command, "_kill", lambda *args: kill)
    train, test = cnnzoo.load_data("digits")

    def finish(line):
        run = next(word for word in line if word.startswith(str(tmp_path)))
        torch.manual_seed(0)
        model = cnnzoo.build("single_layer_cnn")
        seed = 1 if run.endswith("whole") else 2
        cnnzoo.Trainer(model, out=run, seed=seed, epochs=1, progress=False).fit(
            train[::9], test[::9]
        )

    monkeypatch.setattr(command, "_finish", finish)
    monkeypatch.setattr("cnnzoo.train.run_folder.draw_plots", lambda *args: None)
    result = CliRunner().invoke(main, ["verify-resume", "single_layer_cnn", "--json"])
    found = json.loads(result.output)
    assert result.exit_code == 1
    assert found["difference"].startswith("checkpoint.pt, model.")
    (kept,) = tmp_path.glob("cnnzoo-verify-*")
    assert found["kept"] == str(kept)
    assert (kept / "whole" / "receipt.json").is_file()


def test_every_file_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("cnnzoo.train.run_folder.draw_plots", lambda *args: None)
    train, test = cnnzoo.load_data("digits")
    model = cnnzoo.build("single_layer_cnn")
    quiet = functools.partial(cnnzoo.Trainer, progress=False, epochs=1)
    quiet(model, out=tmp_path / "one").fit(train[::9], test[::9])
    other = shutil.copytree(tmp_path / "one", tmp_path / "other")
    assert compare_runs(tmp_path / "one", other) is None
    for name in ("model.safetensors", "receipt.json", "steps.csv", "config.json"):
        before = (other / name).read_bytes()
        (other / name).write_bytes(before + b" ")
        assert compare_runs(tmp_path / "one", other) == name
        (other / name).write_bytes(before)
    history = (other / "history.csv").read_text()
    *rest, _seconds = history.strip().split(",")
    (other / "history.csv").write_text(",".join([*rest, "1.5\n"]))
    assert compare_runs(tmp_path / "one", other) is None, "times are not compared"
    (other / "history.csv").write_text(history.replace("\n1,0.01,", "\n1,0.02,"))
    assert compare_runs(tmp_path / "one", other).startswith("history.csv, 0.lr")
