"""Training a run again: identical, or the first step that is not."""

import functools
import json
import shlex
import shutil

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import cnnzoo
from cnnzoo.cli import main
from cnnzoo.train import Callback, replay
from cnnzoo.train.guard import Interrupted

ALL_AT_ONCE = (
    "--epochs 3 --batch-size 64 --optimizer adamw --lr 0.003 --scheduler one_cycle --accumulate 2 "
    "--augment shift=2,flip --ema 0.9 --hold-out 0.1 --keep-best --seed 4"
)
quiet = functools.partial(cnnzoo.Trainer, progress=False)


def cli(line, code):
    result = CliRunner().invoke(main, shlex.split(str(line)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module", autouse=True)
def _no_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnnzoo.train.run_folder.draw_plots", lambda *args: None)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a run in two sessions: lengthened from two epochs to three."""
    run = tmp_path_factory.mktemp("replay") / "run"
    first = ALL_AT_ONCE.replace("--epochs 3", "--epochs 2")
    cli(f"train single_layer_cnn {first} --out {run} --quiet", 0)
    cli(f"train --resume {run} --epochs 3 --quiet", 0)
    return run


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def change_receipt(run, change):
    file = run / "receipt.json"
    receipt = json.loads(file.read_text())
    change(receipt)
    file.write_text(json.dumps(receipt))


def test_identical(trained):
    before = {path: path.stat().st_mtime_ns for path in trained.iterdir()}
    shown = cli(f"replay {trained}", 0).output
    assert shown.startswith("identical: 33 losses, the weights after 3 epoch(s)")
    assert {path: path.stat().st_mtime_ns for path in trained.iterdir()} == before


def test_the_first_step_that_differs_is_named(run):
    file = run / "steps.csv"
    lines = file.read_text().splitlines()
    epoch, step, loss = lines[15].split(",")  # the line of step 15
    assert (epoch, step) == ("2", "4")
    lines[15] = f"2,4,{float(loss) + 0.25!r}"
    file.write_text("\n".join(lines) + "\n")
    found = json.loads(cli(f"replay {run} --json", 1).output)
    assert (found["identical"], found["epoch"], found["step"], found["steps"]) == (False, 2, 4, 14)
    assert found["loss"] == float(loss)
    assert "step 4 of epoch 2" in found["sentence"]
    assert "-0.25" in found["sentence"]


@pytest.mark.parametrize(
    ("where", "sentence"),
    [(("epochs", 0), "not the weights after epoch 1"), (("final",), "the weights it ends with")],
    ids=str,
)
def test_weights_are_compared_too(run, where, sentence):
    def change(receipt):
        place = receipt["weights"]
        *path, last = where
        for key in path:
            place = place[key]
        place[last] = "0" * 64

    change_receipt(run, change)
    assert sentence in cli(f"replay {run}", 1).output


def test_a_run_that_went_on_for_longer_or_less(run):
    file = run / "steps.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]))
    assert "It goes on after 32 steps" in cli(f"replay {run}", 1).output
    file.write_text("".join([*lines, "4,1,0.5\n"]))
    assert "It ends after 33 of 34 steps" in cli(f"replay {run}", 1).output


def test_changed_data_is_noticed_before_training(run):
    change_receipt(run, lambda r: r["data"]["train"].update(sha256="0" * 64))
    found = json.loads(cli(f"replay {run} --json", 1).output)
    assert found["sentence"].startswith("The train set is not the one of the run: its SHA-256 was")
    assert found["steps"] == 0


def test_what_else_differs_is_warned_of_and_threads_are_set(run, monkeypatch):
    def change(receipt):
        receipt["sessions"][0] |= {"torch": "1.0", "threads": 2}
        (layer,) = receipt["sessions"][0]["implementations"]
        receipt["sessions"][0]["implementations"][layer] = "another"

    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: asked[-1] if asked else 1)
    change_receipt(run, change)
    shown = cli(f"replay {run}", 0)
    assert "Warning: Not as it was in the run: torch was 1.0" in shown.stderr
    assert "was another and is" in shown.stderr
    assert "threads" not in shown.stderr
    second = json.loads((run / "receipt.json").read_text())["sessions"][1]["threads"]
    assert asked == [2, second, 1]  # each session's, and at the end what they were before


def test_what_cannot_be_repeated(run):
    change_receipt(run, lambda r: r["objects"].update(loss="mine.focal"))
    assert "a loss of its own (mine.focal)" in " ".join(cli(f"replay {run}", 2).stderr.split())
    change_receipt(run, lambda r: (r["objects"].clear(), r.update(validation=True)))
    assert "validation set from Python" in cli(f"replay {run}", 2).stderr
    change_receipt(
        run, lambda r: (r.update(validation=False), r["sessions"][0].update(processes=2))
    )
    assert "shared by 2 processes" in cli(f"replay {run}", 2).stderr
    (run / "receipt.json").write_text("{")
    assert "not readable as a receipt" in cli(f"replay {run}", 2).stderr
    (run / "receipt.json").unlink()
    assert "has no receipt.json" in cli(f"replay {run}", 2).stderr


def test_runs_from_python(tmp_path):
    train, test = cnnzoo.load_data("digits")
    train, test = train[::4], test[::4]

    class StopAt(Callback):
        def on_step_end(self, trainer):
            if (trainer.epoch, trainer.step) == (1, 2):
                raise Interrupted("now")

    def model():
        torch.manual_seed(11)
        return torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Dropout(0.3), torch.nn.Linear(784, 10)
        )

    objects = {"optimizer": functools.partial(torch.optim.RMSprop, lr=1e-3)}
    trainer = quiet(model(), epochs=2, out=tmp_path, callbacks=[StopAt()], **objects)
    with pytest.raises(Interrupted):
        trainer.fit(train, test)
    cnnzoo.Trainer.resume(tmp_path, model(), progress=False, **objects).fit(train, test)
    with pytest.warns(UserWarning, match=r"callbacks of its own are missing here: .*StopAt"):
        found = replay(tmp_path, train, test, model=model(), **objects)
    assert found.identical, found.sentence
    wrong = model()
    wrong[2].bias.data += 1
    with (
        pytest.warns(UserWarning, match="StopAt"),
        pytest.raises(cnnzoo.CnnzooError, match="did not begin with the weights"),
    ):
        replay(tmp_path, train, test, model=wrong, **objects)
    other = {"optimizer": functools.partial(torch.optim.RMSprop, lr=2e-3)}
    with pytest.warns(UserWarning, match="StopAt"):
        found = replay(tmp_path, train, test, model=model(), **other)
    assert (found.identical, found.epoch, found.step) == (False, 1, 2)


def test_python_and_numpy_draw_alike_too(tmp_path):
    """Transforms may draw from generators that only the seed of the run determines."""
    import random

    import numpy as np

    train, test = cnnzoo.load_data("digits")
    train = train[:64]

    class Noisy(torch.utils.data.Dataset):
        def __len__(self):
            return len(train)

        def __getitem__(self, index):
            image, label = train[index]
            return image * random.random() + np.random.rand(), label

    def model():
        torch.manual_seed(0)
        return cnnzoo.build("single_layer_cnn")

    random.seed(1)
    quiet(model(), epochs=1, out=tmp_path / "run").fit(Noisy())
    random.seed(2)
    assert replay(tmp_path / "run", Noisy(), test, model=model()).identical


def test_a_run_that_began_with_bundled_weights(tmp_path):
    run = tmp_path / "run"
    cli(f"train single_layer_cnn --weights mnist --epochs 1 --out {run} --quiet", 0)
    assert "identical" in cli(f"replay {run}", 0).output


def test_a_run_whose_head_was_drawn_anew(tmp_path):
    run, pictures = tmp_path / "run", tmp_path / "pictures"
    for label, grey in (("dark", 0), ("light", 255)):
        (pictures / label).mkdir(parents=True)
        for number in range(10):
            picture = Image.new("L", (28, 28), abs(grey - number))
            picture.save(pictures / label / f"{number}.png")
    data = f"--data folder --root {pictures}"
    cli(f"train lenet5 {data} --weights mnist --adapt --epochs 1 --out {run} --quiet", 0)
    assert "identical" in cli(f"replay {run} {data}", 0).output
