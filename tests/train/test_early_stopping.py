"""When a run ends early, judged by histories written by hand."""

import math
from types import SimpleNamespace

import pytest

from cnnzoo.errors import CnnzooError
from cnnzoo.train.early_stopping import EarlyStopping, epochs_without_improvement
from cnnzoo.train.history import Row


def row(epoch, train_loss, val_loss=None, test_loss=None):
    return Row(
        epoch=epoch,
        lr=0.1,
        train_loss=train_loss,
        train_accuracy=0.5,
        val_loss=val_loss,
        val_accuracy=None if val_loss is None else 0.5,
        test_loss=test_loss,
        test_accuracy=None if test_loss is None else 0.5,
        seconds=1.0,
    )


def epochs_run(callback, rows, done=0):
    """Play the epochs to the callback as the trainer does; return how many there were."""
    trainer = SimpleNamespace(history=list(rows[:done]), should_stop=False)
    callback.on_fit_start(trainer, None, None)
    while not trainer.should_stop and len(trainer.history) < len(rows):
        trainer.history.append(rows[len(trainer.history)])
        callback.on_epoch_end(trainer, trainer.history[-1])
    return len(trainer.history)


def rows_of(losses, **others):
    return [row(epoch, loss, **others) for epoch, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(
    ("losses", "patience", "expected"),
    [
        ([5, 4, 3, 2, 1], 1, 5),  # always better
        ([5, 6, 4, 3, 2], 1, 2),
        ([5, 6, 4, 5, 6, 3], 2, 5),  # an improvement starts the count anew
        ([5, 5, 5, 5], 2, 3),  # as good is not better
        ([5, 6, 7, 4, 8], 3, 5),  # better in the last epoch of patience
        ([math.nan, math.nan, math.nan], 2, 2),  # NaN never counts as better
        ([5, math.nan, 4, math.nan, math.nan], 2, 5),
    ],
)
def test_stops_after_patience_epochs_without_improvement(losses, patience, expected):
    assert epochs_run(EarlyStopping(patience), rows_of(losses)) == expected


def test_the_held_out_part_decides_where_there_is_one():
    rows = [row(1, 5, val_loss=1), row(2, 4, val_loss=2), row(3, 3, val_loss=3)]
    assert epochs_run(EarlyStopping(2), rows) == 3
    rows = [row(1, 3, val_loss=3), row(2, 4, val_loss=2), row(3, 5, val_loss=1), row(4, 6, 0)]
    assert epochs_run(EarlyStopping(2), rows) == 4


def test_the_test_set_never_decides():
    worse = [row(1, 5, test_loss=1), row(2, 4, test_loss=2), row(3, 3, test_loss=3)]
    assert epochs_run(EarlyStopping(1), worse) == 3
    better = [row(1, 5, test_loss=3), row(2, 6, test_loss=2), row(3, 7, test_loss=1)]
    assert epochs_run(EarlyStopping(1), better) == 2


@pytest.mark.parametrize("done", range(6))
def test_a_resumed_run_stops_where_an_uninterrupted_one_does(done):
    """Also when it was killed after the epoch that ended it (``done=5``): no epoch is added."""
    rows = rows_of([5, 6, 4, 5, 6, 3, 2])
    assert epochs_run(EarlyStopping(2), rows, done=done) == 5


def test_one_callback_can_serve_two_runs():
    callback = EarlyStopping(2)
    assert epochs_run(callback, rows_of([1, 2, 3, 4])) == 3
    assert epochs_run(callback, rows_of([9, 8, 7, 6])) == 4


def test_no_history_is_no_reason_to_stop():
    assert epochs_without_improvement([]) == 0


@pytest.mark.parametrize("patience", [0, -1])
def test_patience_is_at_least_one(patience):
    with pytest.raises(CnnzooError, match="patience is a number of epochs, at least 1; got"):
        EarlyStopping(patience)
