"""What a run leaves behind, and how one goes on from it."""

import functools
import json
import os
import signal
import subprocess
import sys

import pytest
import torch

import cnnzoo
from cnnzoo.train import Callback, History
from cnnzoo.train.checkpoint import load_checkpoint, random_state, set_random_state
from cnnzoo.train.guard import Interrupted

quiet = functools.partial(cnnzoo.Trainer, progress=False)


def state_of(trainer):
    return trainer.model.state_dict(), trainer.optimizer.state_dict(), list(trainer.history)


def assert_same_run(one, other):
    """Compare weights, optimizer and history bit for bit; seconds are nobody's business."""
    for a, b in zip(state_of(one)[:2], state_of(other)[:2], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    rows = [[vars(row) | {"seconds": 0} for row in each.history] for each in (one, other)]
    assert rows[0] == rows[1]


@pytest.mark.pictures
def test_folder_holds_everything(digits, make_model, tmp_path):
    run = tmp_path / "deep" / "run"
    trainer = quiet(make_model(), epochs=2, out=run, record={"data": {"name": "digits"}})
    history = trainer.fit(*digits)
    assert sorted(p.name for p in run.iterdir()) == [
        *("checkpoint.pt", "config.json", "history.csv", "model.safetensors", "plots"),
        *("receipt.json", "steps.csv"),
    ]
    assert sorted(p.stem for p in (run / "plots").iterdir()) == [
        *("confusion", "curves", "mistakes", "samples")
    ]
    config = json.loads((run / "config.json").read_text())
    assert config["config"]["epochs"] == 2
    assert config["spec"] == trainer.model.spec
    assert config["record"] == {"data": {"name": "digits"}}
    assert History.from_csv(run / "history.csv") == history

    loaded = cnnzoo.load_model(run)
    assert loaded.classes == digits[0].classes
    assert loaded.preprocessing == digits[0].preprocessing
    images = digits[1].preprocessing(digits[1].images)
    assert torch.equal(loaded.model(images), trainer.model.eval()(images))


def test_checkpoint_holds_no_code(digits, make_model, tmp_path):
    quiet(make_model(), epochs=1, out=tmp_path / "run").fit(digits[0])
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["epoch"] == 1
    assert {"model", "optimizer", "processes", "history"} <= set(state)


class StopAt(Callback):
    """Press Ctrl-C after a step."""

    def __init__(self, epoch, step):
        self.moment = (epoch, step)

    def on_step_end(self, trainer):
        if (trainer.epoch, trainer.step) == self.moment:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("moment", [(0, 1), (0, 4), (1, 3), (2, 8)], ids=str)
def test_ctrl_c_saves_says_where_and_goes_on_to_the_same_bits(digits, make_model, tmp_path, moment):
    settings = {"epochs": 3, "batch_size": 64, "seed": 2}
    whole = quiet(make_model(), **settings)
    whole.fit(*digits)
    run = tmp_path / "run"
    with pytest.raises(Interrupted, match=f"step {moment[1]} of epoch {moment[0] + 1}.*{run}"):
        quiet(make_model(), out=run, callbacks=[StopAt(*moment)], **settings).fit(*digits)
    torch.manual_seed(99)  # another process would not have our generators
    again = cnnzoo.Trainer.resume(run, progress=False)
    assert (again.epoch, again.step) == moment
    again.fit(*digits)
    assert_same_run(whole, again)


def test_a_second_ctrl_c_interrupts_at_once(digits, make_model):
    class Impatient(Callback):
        def on_step_end(self, trainer):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        quiet(make_model(), epochs=1, callbacks=[Impatient()]).fit(digits[0])
    assert not isinstance(caught.value, Interrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_finished_run_goes_on_with_more_epochs(digits, make_model, tmp_path):
    whole = quiet(make_model(), epochs=3)
    whole.fit(*digits)
    quiet(make_model(), epochs=1, out=tmp_path / "run").fit(*digits)
    longer = cnnzoo.Trainer.resume(tmp_path / "run", epochs=3, progress=False)
    assert len(longer.fit(*digits)) == 3
    assert_same_run(whole, longer)
    assert len(History.from_csv(tmp_path / "run" / "history.csv")) == 3


def test_resume_with_objects_and_without_a_spec(digits, tmp_path):
    def model():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))

    objects = {
        "optimizer": functools.partial(torch.optim.Adam, lr=1e-3),
        "scheduler": lambda o: torch.optim.lr_scheduler.StepLR(o, 1, gamma=0.5),
    }
    whole = quiet(model(), epochs=3, **objects)
    whole.fit(*digits)
    quiet(model(), epochs=2, out=tmp_path / "run", **objects).fit(*digits)
    with pytest.raises(cnnzoo.CnnzooError, match="does not say which model"):
        cnnzoo.Trainer.resume(tmp_path / "run", **objects)
    again = cnnzoo.Trainer.resume(tmp_path / "run", model(), epochs=3, progress=False, **objects)
    again.fit(*digits)
    assert_same_run(whole, again)


def test_an_existing_folder_is_not_overwritten_without_force(digits, make_model, tmp_path):
    run = tmp_path / "run"
    quiet(make_model(), epochs=1, out=run).fit(digits[0])
    before = (run / "model.safetensors").read_bytes()
    with pytest.raises(cnnzoo.CnnzooError, match="holds a run already"):
        quiet(make_model(), out=run)
    quiet(make_model(), epochs=1, seed=5, out=run, force=True)
    assert (run / "model.safetensors").read_bytes() == before, (
        "nothing goes before the new run starts"
    )
    quiet(make_model(), epochs=1, seed=5, out=run, force=True).fit(digits[0])
    assert (run / "model.safetensors").read_bytes() != before


def test_a_folder_of_something_else_is_refused_even_with_force(make_model, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(cnnzoo.CnnzooError, match="holds files that are no run"):
        quiet(make_model(), out=tmp_path, force=True)
    with pytest.raises(cnnzoo.CnnzooError, match="is a file"):
        quiet(make_model(), out=tmp_path / "thesis.tex", force=True)


def test_a_diverged_run_keeps_its_last_good_epoch(digits, make_model, tmp_path):
    class Ruin(Callback):
        def on_epoch_end(self, trainer, row):
            trainer.optimizer.param_groups[0]["lr"] = 1e30

    run = tmp_path / "run"
    with pytest.raises(cnnzoo.CnnzooError, match="of epoch 2"):
        quiet(make_model(), epochs=3, out=run, callbacks=[Ruin()]).fit(*digits)
    assert load_checkpoint(run / "checkpoint.pt")["epoch"] == 1
    assert len(History.from_csv(run / "history.csv")) == 1
    assert all(p.isfinite().all() for p in cnnzoo.load_model(run).model.parameters())


@pytest.fixture
def finished(digits, make_model, tmp_path):
    run = tmp_path / "run"
    quiet(make_model(), epochs=1, out=run).fit(digits[0])
    return run


class Evil:
    def __reduce__(self):
        return (os.system, ("touch /tmp/cnnzoo-was-here",))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.write_bytes(f.read_bytes()[:1000]), "truncated"),
        (lambda f: f.write_bytes(b""), "no readable checkpoint"),
        (lambda f: f.write_text("hello"), "no readable checkpoint"),
        (lambda f: torch.save({"weights": 3}, f), "not written by this version"),
        (lambda f: torch.save(Evil(), f), "no readable checkpoint"),
        (lambda f: f.unlink(), "No checkpoint at"),
    ],
)
def test_damaged_and_foreign_checkpoints(finished, damage, message):
    damage(finished / "checkpoint.pt")
    with pytest.raises(cnnzoo.CnnzooError, match=message):
        cnnzoo.Trainer.resume(finished)
    assert not os.path.exists("/tmp/cnnzoo-was-here")


def test_a_checkpoint_of_another_model(finished, make_model):
    with pytest.raises(cnnzoo.CnnzooError, match="another model or optimizer"):
        cnnzoo.Trainer.resume(finished, make_model("lenet5"))


@pytest.mark.parametrize("text", ["", "{", '{"config": 3}', "[]"])
def test_damaged_config(finished, text):
    (finished / "config.json").write_text(text)
    with pytest.raises(cnnzoo.CnnzooError, match="not readable as the settings"):
        cnnzoo.Trainer.resume(finished)


def test_random_state_comes_back():
    import random

    import numpy as np

    def draw():
        return torch.rand(2).tolist(), random.random(), np.random.rand(), random.gauss(0, 1)

    torch.manual_seed(1)
    draw()
    state = random_state()
    expected = draw()
    draw()
    set_random_state(state)
    assert draw() == expected


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files with Linux's ulimit")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    code = (
        "import resource, signal; from cnnzoo.files import atomic_write\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"with atomic_write({str(target)!r}) as path: path.write_bytes(bytes(5000))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "CnnzooError: Cannot write" in ended.stderr
    assert "is intact" in ended.stderr
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target], "no temporary file is left"
