"""Whose weights a run ends with."""

import math
from types import SimpleNamespace

import pytest
import torch

import cnnzoo
from cnnzoo.train.best_model import BestModel
from cnnzoo.train.checkpoint import load_checkpoint, save_checkpoint
from cnnzoo.train.history import Row


def epoch_of(number, *, train_loss=1.0, val=(None, None), test=(None, None)):
    return Row(number, 0.1, train_loss, 0.5, *val, *test, 1.0)


def make_trainer(module, evaluated=None):
    return SimpleNamespace(
        model=module,
        evaluated=evaluated or module,
        history=[],
        epoch=99,
        should_stop=False,
        is_main=True,
    )


def play(callback, trainer, rows):
    """Play epochs to the callback; the weights after epoch n are all n."""
    callback.on_fit_start(trainer, None, None)
    for row in rows:
        fill(trainer.evaluated, row.epoch)
        trainer.history.append(row)
        callback.on_epoch_end(trainer, row)
    return trainer


def fill(module, value):
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.fill_(value)


def value_of(module):
    """Return the number that all weights and buffers are."""
    (value,) = {x for tensor in module.state_dict().values() for x in tensor.flatten().tolist()}
    return value


@pytest.fixture
def module():
    """Return a model with a buffer, which belongs to its state as well."""
    return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))


VALIDATED = [  # (val_loss, val_accuracy) → best epoch
    ([(0.5, 0.7), (0.6, 0.9), (0.4, 0.8)], 2),  # accuracy counts first
    ([(0.5, 0.9), (0.4, 0.9), (0.6, 0.9)], 2),  # of equals the lower loss
    ([(0.4, 0.9), (0.4, 0.9)], 1),  # of equals the earlier
    ([(0.4, 0.1), (math.nan, 0.9), (math.nan, 0.9), (9.0, 0.9)], 4),
    ([(0.4, 0.9), (math.nan, 0.9)], 1),
    ([(math.nan, 0.0)], 1),
]


@pytest.mark.parametrize(("found", "best"), VALIDATED)
def test_the_held_out_part_decides(module, found, best):
    rows = [epoch_of(n, val=val, train_loss=n) for n, val in enumerate(found, 1)]
    callback = BestModel()
    trainer = play(callback, make_trainer(module), rows)
    assert callback.best_epoch == best
    fill(module, 99)  # training goes on in place: the copy must be a copy
    callback.on_train_end(trainer)
    assert value_of(module) == best


def test_without_one_the_training_loss_decides_and_never_the_test_set(module):
    tests = [(0.1, 0.99), (0.9, 0.1), (0.9, 0.1)]
    rows = [
        epoch_of(n, train_loss=loss, test=test)
        for n, loss, test in zip((1, 2, 3), (3.0, 1.0, 2.0), tests, strict=True)
    ]
    callback = BestModel()
    callback.on_train_end(play(callback, make_trainer(module), rows))
    assert value_of(module) == 2


def test_averaged_weights_are_what_is_kept(module):
    averaged = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    callback = BestModel()
    rows = [epoch_of(1, train_loss=1.0), epoch_of(2, train_loss=2.0)]
    trainer = play(callback, make_trainer(module, averaged), rows)
    fill(module, 50)
    callback.on_train_end(trainer)
    assert (value_of(module), value_of(averaged)) == (1, 1)


@pytest.mark.parametrize("killed_after", [0, 1, 2, 3])
def test_a_resumed_run_ends_with_the_same_weights(module, tmp_path, killed_after):
    rows = [epoch_of(n, train_loss=loss) for n, loss in ((1, 3.0), (2, 1.0), (3, 2.0))]
    first = BestModel()
    trainer = play(first, make_trainer(module), rows[:killed_after])
    save_checkpoint(tmp_path / "checkpoint.pt", {"callback": first.state_dict()})

    second = BestModel()
    second.load_state_dict(load_checkpoint(tmp_path / "checkpoint.pt")["callback"])
    assert second.best_epoch == first.best_epoch
    play(second, trainer, rows[killed_after:])
    second.on_train_end(trainer)
    assert second.best_epoch == 2
    assert value_of(module) == 2


def test_a_state_that_was_handed_out_does_not_change_later(module):
    callback = BestModel()
    trainer = play(callback, make_trainer(module), [epoch_of(1, train_loss=2.0)])
    state = callback.state_dict()
    play(callback, trainer, [epoch_of(2, train_loss=1.0)])
    assert state["best_epoch"] == 1
    assert {x for t in state["weights"].values() for x in t.flatten().tolist()} == {1}


def test_one_callback_can_serve_two_runs(module):
    callback = BestModel()
    play(callback, make_trainer(module), [epoch_of(1, train_loss=0.1)])
    callback.on_train_end(play(callback, make_trainer(module), [epoch_of(7, train_loss=0.9)]))
    assert callback.best_epoch == 7
    assert value_of(module) == 7


def test_a_run_without_epochs_keeps_its_weights(module):
    fill(module, 4)
    callback = BestModel()
    callback.on_train_end(play(callback, make_trainer(module), []))
    assert value_of(module) == 4


def test_writes_the_best_so_far_from_the_main_process_only(make_model, tmp_path):
    model = make_model()
    model.classes = tuple("0123456789")
    rows = [epoch_of(n, train_loss=loss) for n, loss in ((1, 3.0), (2, 1.0), (3, 2.0))]
    play(BestModel(tmp_path), make_trainer(model), rows)
    loaded = cnnzoo.load_model(tmp_path / "best.safetensors")
    assert value_of(loaded.model) == 2
    assert loaded.classes == model.classes

    other = make_trainer(model)
    other.is_main = False
    play(BestModel(tmp_path / "other"), other, rows)
    assert not (tmp_path / "other").exists()
