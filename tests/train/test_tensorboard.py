"""What TensorBoard shows of a run, read back with its own reader."""

import sys
from types import SimpleNamespace

import pytest

from cnnzoo.errors import CnnzooError
from cnnzoo.train.config import TrainConfig
from cnnzoo.train.history import Row
from cnnzoo.train.tensorboard import TensorBoard

ROWS = [Row(n, 0.1 / n, 1.0 / n, 0.5, 2.0 / n, 0.6, 3.0 / n, 0.7, 0.25 * n) for n in range(1, 6)]


@pytest.fixture
def needs_tensorboard():
    pytest.importorskip("tensorboard", reason='needs pip install "cnnzoo[tensorboard]"')


def start(folder, done=(), epochs=5):
    """Return (callback, trainer) of a run that has the rows ``done`` behind it."""
    trainer = SimpleNamespace(
        history=list(done), epoch=len(done), config=TrainConfig(epochs=epochs), is_main=True
    )
    callback = TensorBoard(folder)
    callback.on_fit_start(trainer, None, None)
    return callback, trainer


def read(folder):
    """Return tag → {step: value}; a step that stands there twice is an error."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder)).Reload()
    found = {}
    for tag in reader.Tags()["scalars"]:
        events = [(event.step, event.value) for event in reader.Scalars(tag)]
        assert len(dict(events)) == len(events), f"{tag}: {events}"
        found[tag] = dict(events)
    return found


def expected_of(rows):
    columns = {
        "lr": "lr",
        "loss/train": "train_loss",
        "accuracy/train": "train_accuracy",
        "loss/val": "val_loss",
        "accuracy/val": "val_accuracy",
        "loss/test": "test_loss",
        "accuracy/test": "test_accuracy",
        "seconds": "seconds",
    }
    return {
        tag: {row.epoch: pytest.approx(getattr(row, name)) for row in rows}
        for tag, name in columns.items()
    }


@pytest.mark.usefixtures("needs_tensorboard")
def test_every_column_is_a_curve(tmp_path):
    callback, trainer = start(tmp_path / "deep" / "board")
    for row in ROWS:
        callback.on_epoch_end(trainer, row)
    callback.on_fit_end(trainer)
    assert read(tmp_path / "deep" / "board") == expected_of(ROWS)


@pytest.mark.usefixtures("needs_tensorboard")
def test_columns_without_numbers_are_left_out(tmp_path):
    callback, trainer = start(tmp_path)
    callback.on_epoch_end(trainer, Row(1, 0.1, 1.0, 0.5, None, None, None, None, 2.0))
    callback.on_fit_end(trainer)
    assert set(read(tmp_path)) == {"lr", "loss/train", "accuracy/train", "seconds"}


@pytest.mark.usefixtures("needs_tensorboard")
def test_settings_are_there_as_text(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    callback, trainer = start(tmp_path, epochs=123)
    callback.on_fit_end(trainer)
    reader = EventAccumulator(str(tmp_path)).Reload()
    (event,) = reader.Tensors("settings/text_summary")
    (text,) = event.tensor_proto.string_val
    assert '"epochs": 123' in text.decode()


@pytest.mark.usefixtures("needs_tensorboard")
def test_an_epoch_can_be_seen_while_the_run_goes_on(tmp_path):
    callback, trainer = start(tmp_path)
    callback.on_epoch_end(trainer, ROWS[0])
    assert read(tmp_path) == expected_of(ROWS[:1])
    callback.on_exception(trainer, KeyboardInterrupt())


@pytest.mark.usefixtures("needs_tensorboard")
@pytest.mark.parametrize("written", [0, 1, 2, 3, 4])
def test_a_resumed_run_continues_its_curves(tmp_path, monkeypatch, written):
    """Killed when the checkpoint held 2 or 3 epochs, a little before or after this callback."""
    checkpoint = min(written + 1, 3) if written < 3 else written - 1
    clock = iter(range(1_700_000_000, 1_800_000_000))
    monkeypatch.setattr("time.time", lambda: next(clock))  # files are read in order of their time
    callback, trainer = start(tmp_path)
    for row in ROWS[:written]:
        callback.on_epoch_end(
            trainer, Row(**vars(row) | {"seconds": 99.0}) if row.epoch > checkpoint else row
        )
    callback.on_exception(trainer, KeyboardInterrupt())

    callback, trainer = start(tmp_path, done=ROWS[:checkpoint])
    for row in ROWS[checkpoint:]:
        callback.on_epoch_end(trainer, row)
    callback.on_fit_end(trainer)
    assert read(tmp_path) == expected_of(ROWS)


@pytest.mark.usefixtures("needs_tensorboard")
def test_a_new_run_in_the_same_folder_starts_anew(tmp_path, monkeypatch):
    clock = iter(range(1_700_000_000, 1_800_000_000))
    monkeypatch.setattr("time.time", lambda: next(clock))
    for rows in (ROWS, ROWS[:2]):
        callback, trainer = start(tmp_path)
        for row in rows:
            callback.on_epoch_end(trainer, row)
        callback.on_fit_end(trainer)
    assert read(tmp_path) == expected_of(ROWS[:2])


@pytest.mark.usefixtures("needs_tensorboard")
def test_only_the_main_process_writes(tmp_path):
    trainer = SimpleNamespace(history=[], epoch=0, config=TrainConfig(), is_main=False)
    callback = TensorBoard(tmp_path / "board")
    callback.on_fit_start(trainer, None, None)
    callback.on_epoch_end(trainer, ROWS[0])
    callback.on_fit_end(trainer)
    assert not (tmp_path / "board").exists()


@pytest.mark.usefixtures("needs_tensorboard")
def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CnnzooError, match=r"Cannot write TensorBoard's files in .*file.board"):
        start(tmp_path / "file" / "board")


def test_a_missing_package_is_said_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as if not installed
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard.writer", raising=False)
    with pytest.raises(CnnzooError, match=r'pip install "cnnzoo\[tensorboard\]"'):
        TensorBoard(tmp_path)
