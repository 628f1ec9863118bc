"""What bench_train says of bfloat16 and of labels; nothing is trained here but on digits."""

import doctest

import pytest
import torch

import cnnzoo
from benchmarks import bfloat16_training, same_labels
from cnnzoo.errors import CnnzooError


class Data:
    """A pair of sets."""

    train, test = cnnzoo.load_data("digits")


def test_examples():
    found = doctest.testmod(bfloat16_training)
    assert found.attempted
    assert not found.failed


def test_seeds_are_paired_and_both_precisions_trained(capsys):
    asked = []

    def train(data, model, recipe, seed, **settings):
        asked.append((seed, settings["precision"], settings["epochs"]))
        low = 0.003 if settings["precision"] == "bfloat16" else 0.0
        return {"seed": seed, "seconds": 1.0, "accuracy": 0.99 - low * seed}

    found = bfloat16_training.accuracies(train, Data, seeds=2, epochs=4)
    assert asked == [(seed, name, 4) for seed in (0, 1) for name in ("float32", "bfloat16")]
    assert found["difference"] == pytest.approx(-0.15)
    assert found["standard_error"] == pytest.approx(0.15)
    assert found["met"] is False
    assert "-0.150 points" in capsys.readouterr().out


def test_a_mean_that_is_better_by_more_is_no_agreement_either():
    assert bfloat16_training.agreement([0.98], [0.99])["met"] is False
    assert bfloat16_training.agreement([0.99, 0.98], [0.98, 0.99])["met"] is True


def test_time_is_that_of_seeds_that_all_got_there():
    runs = [{"seconds": 1.9, "accuracy": 0.99}, {"seconds": 2.0, "accuracy": 0.993}]
    assert bfloat16_training.reached(runs) == {"reached": 2, "met": True}
    runs[0]["seconds"] = 2.2
    assert bfloat16_training.reached(runs)["met"] is False


def test_training_is_in_bfloat16_and_the_test_set_is_not_seen(monkeypatch, capsys):
    seen = []
    whole = cnnzoo.Trainer

    class Trainer(whole):
        def __init__(self, model, **settings):
            super().__init__(model, **settings)
            seen.append(self.config.precision)

        def fit(self, train, test=None, **more):
            assert test is None
            return super().fit(train, test, **more)

    monkeypatch.setattr(bfloat16_training.cnnzoo, "Trainer", Trainer)
    found = bfloat16_training.soonest(Data, seeds=1)
    assert seen == ["bfloat16"] * 2, "a run that warms up, and one that counts"
    (run,) = found["runs"]
    assert 0 < run["seconds"] < run["seconds_with_evaluation"]
    assert found["reached"] == int(run["accuracy"] >= 0.99)
    assert "0 of 1 seeds" in capsys.readouterr().out


def test_labels_and_logits_are_counted():
    wide = torch.tensor([[1.0, 2.0], [2.0, 1.0], [0.0, 3.0]]).double()
    own = torch.tensor([[1.0, 2.0], [1.5, 1.6], [0.0, 3.5]]).double()
    got = torch.tensor([[1.0, 2.0], [1.7, 1.6], [0.0, 3.5]]).double()
    row = same_labels.compared(got, own, wide, torch.tensor([1, 0, 0]))
    assert row["accuracy"] == pytest.approx(2 / 3)
    assert row["other_labels"] == 1
    assert row["other_labels_than_float32"] == 0
    assert row["largest_difference"] == pytest.approx(0.2)
    assert row["largest_difference_to_float32"] == pytest.approx(0.6)
    assert row["largest_logit"] == 3.5


def test_forms_are_held_against_plain_layers(monkeypatch, capsys):
    ways = same_labels.ways

    def without_exports(model, dtype):
        few = {name: run for name, run in ways(model, dtype).items() if name not in ("pt2", "onnx")}

        def refuses(x):
            raise CnnzooError("/tmp/folder/net.onnx was not written.")

        return {**few, "shifted": lambda x: model(x).roll(1, 1), "refuses": refuses}

    monkeypatch.setattr(same_labels, "ways", without_exports)
    images = torch.stack([image for image, _ in (Data.test[i] for i in range(40))])
    labels = torch.tensor([Data.test[i][1] for i in range(40)])
    found = same_labels.measure(images, labels)
    rows = {(row["dtype"], row["what"]): row for row in found["rows"]}
    assert [name for dtype, name in rows if dtype == "bfloat16"] == [
        "cnnzoo", "frozen", "autocast", "shifted", "refuses",
    ]  # fmt: skip
    for (dtype, name), row in rows.items():
        if name == "shifted":
            assert row["other_labels"] == 40
        elif name == "refuses":
            assert row["missing"] == "net.onnx was not written."
        else:
            limit = 1e-4 if dtype == "float32" else 0.05
            assert row["largest_difference"] <= limit * row["largest_logit"]
            assert row["accuracy"] > 0.6
    same_labels.show(found)
    assert "net.onnx was not written" in capsys.readouterr().out


def test_an_export_is_one_of_the_forms():
    model = cnnzoo.build("mnist_cnn", weights="mnist").eval()
    run = same_labels.ways(model, torch.float32)["pt2"]
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(run(x), model(x))
