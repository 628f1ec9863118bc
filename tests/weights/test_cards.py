"""Cards: made from run folders, and stale as soon as they no longer say what is true."""

import dataclasses
import json
import shutil
import statistics

import pytest
import torch

import cnnzoo
from benchmarks.cards import bundling, checking, facts, table
from benchmarks.cards.bundling import bundle
from cnnzoo.errors import CnnzooError
from cnnzoo.weights import _cards

NAME = "single_layer_cnn-digits"


def train(folder, seed, **settings):
    """Train with the shortest of our recipes on a part of the digits."""
    train_set, test_set = cnnzoo.load_data("digits")
    torch.manual_seed(seed)
    model = cnnzoo.build("single_layer_cnn")
    record = {"data": {"name": "digits", "root": None, "options": {}}}
    trainer = cnnzoo.Trainer(
        model, recipe="fast", seed=seed, out=folder, record=record, progress=False, **settings
    )
    trainer.fit(train_set[::4], test_set[::4])
    return trainer.evaluation.accuracy


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return three finished runs, and the test accuracy of each."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnnzoo.train.run_folder.draw_plots", lambda *args: None)
        return {folder / str(seed): train(folder / str(seed), seed) for seed in (2, 0, 1)}


@pytest.fixture
def bundled(runs, tmp_path, monkeypatch):
    """Bundle them into a folder of the test, whose page and models are few; return the folder."""
    monkeypatch.setattr(checking, "names_of_models", lambda: ["single_layer_cnn", "resnet20"])
    page = tmp_path / "models.md"
    page.write_text(f"# Models\n\n{table.BEGIN}\n{table.END}\n\nThe end.\n")
    folder = tmp_path / "weights"
    folder.mkdir()
    (card,) = bundle(runs, folder)
    speed = {"batch": 128, "cpu": "Abacus 3", "isa": "beads", "threads": 2, "torch": "2.14"}
    card = dataclasses.replace(card, speed={**speed, "training_us": 7.25, "inference_us": 3})
    _cards.write_card(card, folder)
    table.write(table.tables(checking.all_facts(), [card]), page)
    return folder


def stale(folder):
    return checking.stale(folder, folder.parent / "models.md")


def test_a_card_says_what_the_runs_were(bundled, runs):
    (card,) = _cards.read_cards(bundled)
    first = next(run for run in runs if run.name == "0")
    octets = (bundled / f"{NAME}.safetensors").read_bytes()
    assert octets == (first / "model.safetensors").read_bytes(), "the lowest seed, not the best"
    assert card.weights == {
        "seed": 0,
        "sha256": _cards.sha256_of(first / "model.safetensors"),
        "bytes": len(octets),
    }
    accuracies = list(runs.values())
    assert card.accuracy["mean"] == statistics.mean(accuracies)
    assert card.accuracy["deviation"] == statistics.stdev(accuracies)
    assert card.accuracy["seeds"] == {run.name: value for run, value in sorted(runs.items())}
    train_set, test_set = cnnzoo.load_data("digits")
    assert card.data["name"] == "digits"
    assert card.data["train"]["sha256"] == train_set[::4].fingerprint()
    assert card.data["test"]["sha256"] == test_set[::4].fingerprint()
    assert card.recipe == {"name": "fast", "sha256": facts.recipe_hash("fast")}
    assert (card.parameters, card.macs, card.smallest_input) == (54_410, 248_768, 4)
    assert card.trained["torch"] == torch.__version__


def test_the_page_has_the_table_between_its_marks(bundled):
    page = (bundled.parent / "models.md").read_text()
    assert page.startswith("# Models\n")
    assert page.endswith("\n\nThe end.\n")
    assert "| `resnet20` | 269,722 | 40,551,040 | 3 × 32 × 32 | 5 × 5 |" in page
    assert "(3 seeds) | `fast` | 7.2 µs | 3.0 µs | 218 |" in page
    assert "on 2 threads of an Abacus 3 (beads), torch 2.14." in page


def edit(folder, **changes):
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def forget_the_weights(folder):
    (folder / f"{NAME}.safetensors").unlink()


def change_a_bit(folder):
    path = folder / f"{NAME}.safetensors"
    octets = bytearray(path.read_bytes())
    octets[-1] ^= 1
    path.write_bytes(octets)


def change_the_page(folder):
    page = folder.parent / "models.md"
    page.write_text(page.read_text().replace("269,722", "269,723"))


def without_a_card(folder):
    shutil.copy(folder / f"{NAME}.safetensors", folder / "other.safetensors")


def test_fresh_cards_are_not_stale(bundled):
    assert stale(bundled) == []


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (forget_the_weights, f"{NAME}: its weights are missing."),
        (change_a_bit, f"{NAME}: the weights are not those of the card."),
        (change_the_page, "models.md: the table is not what cards and models say."),
        (without_a_card, "other.safetensors has no card"),
        (lambda f: edit(f, parameters=5), f"{NAME}: parameters is 5 on the card and 54,410 now."),
        (lambda f: edit(f, macs=5), f"{NAME}: macs is 5 on the card and 248,768 now."),
        (
            lambda f: edit(f, smallest_input=5),
            f"{NAME}: smallest_input is 5 on the card and 4 now.",
        ),
        (lambda f: edit(f, speed=None), f"{NAME}: it has not been timed."),
        (
            lambda f: edit(f, recipe={"name": "fast", "sha256": "0"}),
            f"{NAME}: the recipe fast has changed since.",
        ),
        (lambda f: edit(f, recipe={"name": "fats", "sha256": "0"}), 'Did you mean "fast"?'),
        (lambda f: edit(f, accuracy={"mean": 1, "deviation": 0, "seeds": {"0": 1}}), "models.md"),
    ],
)
def test_what_is_no_longer_true_is_said(bundled, damage, sentence):
    damage(bundled)
    assert sentence in " ".join(stale(bundled))


def test_runs_that_cannot_be_bundled(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("cnnzoo.train.run_folder.draw_plots", lambda *args: None)
    first = next(iter(runs))

    def refused(sentence, *paths):
        with pytest.raises(CnnzooError, match=sentence):
            bundle(paths, tmp_path)
        assert not list(tmp_path.glob("*.safetensors"))

    train(tmp_path / "other", 5, lr=0.2)
    refused("No recipe of cnnzoo .* has the settings", tmp_path / "other")
    refused("they differ in config", first, tmp_path / "other")
    refused("they differ in nothing", first, first)
    copy = shutil.copytree(first, tmp_path / "copy")
    shutil.copy(tmp_path / "other" / "model.safetensors", copy)
    refused("does not hold the weights that the run ended with", copy)
    (copy / "receipt.json").unlink()
    refused("no receipt.json", copy)
    monkeypatch.setattr(bundling, "LARGEST", 1000)
    with pytest.raises(CnnzooError, match="at most 1,000 ship"):
        bundle([first], tmp_path)
