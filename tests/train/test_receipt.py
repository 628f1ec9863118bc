"""What a run says about itself when it ends, and what a resumed one holds against its data."""

import functools
import json
import os
import shutil
import signal

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import cnnzoo
from cnnzoo.train import Callback
from cnnzoo.train.checkpoint import load_checkpoint
from cnnzoo.train.comparing import first_difference
from cnnzoo.train.guard import Interrupted
from cnnzoo.train.hashes import data_facts, weights_hash
from cnnzoo.train.receipt import read_receipt
from cnnzoo.train.step_trace import StepTrace

quiet = functools.partial(cnnzoo.Trainer, progress=False)
SETTINGS = {"epochs": 2, "batch_size": 96}  # 6 steps an epoch


class Losses(Callback):
    def __init__(self):
        self.seen = []

    def on_step_end(self, trainer):
        self.seen.append((trainer.epoch + 1, trainer.step, trainer.last_loss.item()))


class StopAt(Callback):
    """Press Ctrl-C after a step."""

    def __init__(self, epoch, step):
        self.moment = (epoch, step)

    def on_step_end(self, trainer):
        if (trainer.epoch, trainer.step) == self.moment:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    """Return the folder of a run that no test changes."""
    folder = tmp_path_factory.mktemp("receipts") / "run"
    torch.manual_seed(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnnzoo.train.run_folder.draw_plots", lambda *args: None)
        model = cnnzoo.build("single_layer_cnn")
        quiet(model, out=folder, **SETTINGS).fit(*digits)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_receipt_says_what_the_bits_depend_on(digits, make_model, finished):
    receipt = read_receipt(finished)
    train, test = digits
    assert receipt["spec"] == make_model().spec
    assert receipt["config"]["batch_size"] == 96
    assert receipt["data"]["train"] == {"samples": 481, "sha256": train.fingerprint()}
    assert receipt["data"]["test"]["sha256"] == test.fingerprint()
    (session,) = receipt["sessions"]
    assert session["threads"] == torch.get_num_threads()
    assert session["torch"] == torch.__version__
    layer = next(m for m in make_model().modules() if hasattr(m, "explain"))
    x = torch.zeros(96, 1, 28, 28, requires_grad=True)
    (chosen,) = session["implementations"].values()
    assert chosen.startswith(layer.explain(x).implementation)
    weights = receipt["weights"]
    assert weights["initial"] == weights_hash(make_model().state_dict())
    final = weights_hash(cnnzoo.load_model(finished).model.state_dict())
    assert weights["final"] == weights["epochs"][-1] == final
    assert len({weights["initial"], *weights["epochs"]}) == 3
    assert receipt["steps"] == 12


def test_the_same_run_gives_the_same_receipt_and_another_seed_another(
    digits, make_model, run, tmp_path
):
    quiet(make_model(), out=tmp_path / "again", **SETTINGS).fit(*digits)
    quiet(make_model(), out=tmp_path / "other", seed=1, **SETTINGS).fit(*digits)
    files = [tmp_path / name / "receipt.json" for name in ("run", "again", "other")]
    assert files[0].read_bytes() == files[1].read_bytes()
    final = [json.loads(file.read_text())["weights"]["final"] for file in files]
    assert final[0] != final[2]


def test_steps_csv_holds_every_loss_to_the_last_bit(digits, make_model, tmp_path):
    losses = Losses()
    quiet(make_model(), out=tmp_path, callbacks=[losses], **SETTINGS).fit(*digits)
    assert losses.seen == StepTrace.read_csv(tmp_path / "steps.csv")


@pytest.mark.parametrize("moment", [(0, 4), (0, 6), (1, 2)])
def test_an_interrupted_run_has_the_receipt_of_a_whole_one(digits, make_model, tmp_path, moment):
    for name, where in (("whole", (9, 9)), ("run", moment)):
        stop = StopAt(*where)
        trainer = quiet(make_model(), out=tmp_path / name, callbacks=[stop], **SETTINGS)
        if name == "whole":
            trainer.fit(*digits)
    with pytest.raises(Interrupted):
        trainer.fit(*digits)
    assert not (tmp_path / "run" / "receipt.json").exists()
    with pytest.raises(cnnzoo.CnnzooError, match=r"no receipt.json.*--resume"):
        read_receipt(tmp_path / "run")
    cnnzoo.Trainer.resume(tmp_path / "run", progress=False).fit(*digits)
    for name in ("receipt.json", "steps.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_lengthened_run_says_so(digits, run):
    cnnzoo.Trainer.resume(run, epochs=3, progress=False).fit(*digits)
    places = [(s["epoch"], s["step"], s["epochs"]) for s in read_receipt(run)["sessions"]]
    assert places == [(0, 0, 2), (2, 0, 3)]


def test_what_others_added_is_named(digits, make_model, tmp_path):
    quiet(make_model(), out=tmp_path, callbacks=[Losses()], **SETTINGS).fit(
        digits[0], validation=digits[1]
    )
    receipt = read_receipt(tmp_path)
    assert receipt["callbacks"] == [f"{__name__}.Losses"]
    assert receipt["validation"] is True
    assert receipt["data"]["test"] is None


def test_a_checkpoint_has_the_state_that_callbacks_have_after_the_same_step(
    digits, make_model, tmp_path
):
    class Counter(Callback):
        steps = 0

        def on_step_end(self, trainer):
            self.steps += 1
            file = tmp_path / "checkpoint.pt"
            saved = load_checkpoint(file)
            assert (
                len(saved["callbacks"]["RunFolder"]["recorder"]["trace"]["losses"])
                == (saved["callbacks"].get("Counter", {"steps": 0})["steps"])
            )

        def state_dict(self):
            return {"steps": self.steps} if self.steps else {}

    counter = Counter()
    quiet(make_model(), out=tmp_path, callbacks=[counter], checkpoint_steps=2, **SETTINGS).fit(
        *digits
    )
    assert counter.steps == 12


@pytest.mark.parametrize("change", ["pixel", "label", "fewer", "test"])
def test_a_data_set_that_changed_since_is_refused(digits, finished, change):
    train, test = digits
    images, labels = train.images.clone(), train.labels.clone()
    if change == "pixel":
        images[5, 0, 3, 3] ^= 1
    if change == "label":
        labels[7] = (labels[7] + 1) % 10
    other = cnnzoo.ImageSet(images, labels, train.classes, train.preprocessing)
    other = {"fewer": train[:-1], "test": train}.get(change, other)
    data = (other, test[1:] if change == "test" else test)
    part = "test" if change == "test" else "train"
    before = {path: path.read_bytes() for path in finished.iterdir()}
    with pytest.raises(cnnzoo.CnnzooError, match=rf"The {part} set is not the one .*\(--out\)"):
        cnnzoo.Trainer.resume(finished, epochs=3, progress=False).fit(*data)
    assert {path: path.read_bytes() for path in finished.iterdir()} == before


def test_data_of_others_counts_by_its_length(digits):
    data = TensorDataset(torch.zeros(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64))
    facts = data_facts(data)
    assert facts["sha256"] is None
    assert "TensorDataset has no fingerprint()" in facts["reason"]
    assert data_facts(DataLoader(digits[0]))["sha256"] == digits[0].fingerprint()
    assert data_facts(None) is None


def test_config_comes_back_from_the_checkpoint(digits, run):
    config = (run / "config.json").read_bytes()
    for name in ("config.json", "model.safetensors", "history.csv", "receipt.json", "steps.csv"):
        (run / name).unlink()
    with pytest.raises(cnnzoo.CnnzooError, match="holds a run already"):
        quiet(cnnzoo.build("lenet5"), out=run)
    cnnzoo.Trainer.resume(run, progress=False).fit(*digits)
    assert (run / "config.json").read_bytes() == config
    assert read_receipt(run)["steps"] == 12
    assert (run / "model.safetensors").is_file()


def test_the_hash_is_of_names_types_shapes_and_values():
    one = {"a": torch.arange(6.0).view(2, 3), "b": torch.zeros((), dtype=torch.bfloat16)}
    others = [
        {**one, "a": one["a"].view(3, 2)},
        {**one, "a": one["a"].double()},
        {**one, "a": one["a"] + torch.tensor([0, 0, 1e-6])},
        {**one, "b": -one["b"]},
        {"a": one["a"], "c": one["b"]},
        {"a": one["a"]},
    ]
    assert len({weights_hash(each) for each in (one, *others)}) == 7
    same = {"b": one["b"].clone(), "a": one["a"].t().contiguous().t()}
    assert weights_hash(same) == weights_hash(one)
    images = torch.rand(2, 3, 4, 4)
    assert weights_hash({"x": images}) == weights_hash(
        {"x": images.contiguous(memory_format=torch.channels_last)}
    )


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"a": [1, {"b": torch.tensor([1.0, 3.0])}]}, "a.1.b: 1 of 2 values, by up to 1"),
        ({"a": [1, {"b": torch.tensor([1, 2])}]}, "a.1.b: "),
        ({"a": [1]}, "a: 2 and 1 entries"),
        ({"a": [1.0, {"b": torch.tensor([1.0, 2.0])}]}, "a.0: 1 and 1.0"),
        ({}, "a: only one has it"),
        ({"a": [1, {"b": torch.tensor([1.0, 2.0])}], "seconds": 5}, None),
    ],
)
def test_first_difference(other, sentence):
    found = first_difference({"a": [1, {"b": torch.tensor([1.0, 2.0])}]}, other)
    assert found is None if sentence is None else found.startswith(sentence)


def test_bits_count_and_not_values():
    nan = torch.tensor([float("nan")])
    assert first_difference(nan, nan.clone()) is None
    assert first_difference(torch.tensor([0.0]), torch.tensor([-0.0])) is not None
