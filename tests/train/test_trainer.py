"""The loop: what it computes, what it accepts, how it ends."""

import copy
import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import cnnzoo
from cnnzoo.train import Callback

quiet = functools.partial(cnnzoo.Trainer, progress=False)


def weights_equal(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_is_the_loop_one_would_write_by_hand(digits, make_model):
    train, test = digits
    model = make_model()
    by_hand = copy.deepcopy(model)
    history = quiet(model, epochs=2, batch_size=32, lr=0.02, momentum=0.8, seed=3).fit(train, test)

    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.02, momentum=0.8, fused=True)
    loader = train.batches(32, shuffle=True, seed=3)
    rows = []
    for epoch in range(2):
        losses, right = 0.0, 0
        for images, labels in loader.epoch(epoch):
            optimizer.zero_grad()
            logits = by_hand(images)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            losses += loss.item() * len(labels)
            right += (logits.argmax(1) == labels).sum().item()
        with torch.no_grad():
            images = torch.stack([test[i][0] for i in range(len(test))])
            logits = by_hand(images)
        rows.append(
            (
                losses / len(train),
                right / len(train),
                F.cross_entropy(logits, test.labels).item(),
                (logits.argmax(1) == test.labels).float().mean().item(),
            )
        )
    assert weights_equal(model, by_hand)
    for row, expected in zip(history, rows, strict=True):
        mine = (row.train_loss, row.train_accuracy, row.test_loss, row.test_accuracy)
        assert mine == pytest.approx(expected, rel=1e-5)


def test_same_seed_same_bits_other_seed_other_bits(digits, make_model):
    models = [make_model() for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        quiet(model, epochs=1, seed=seed).fit(digits[0])
    assert weights_equal(models[0], models[1])
    assert not weights_equal(models[0], models[2])


def test_learns_the_digits(make_model):
    train, test = cnnzoo.load_data("digits")
    history = quiet(make_model("mnist_cnn"), epochs=4).fit(train, test)
    assert history[-1].test_accuracy > 0.9
    assert history[-1].train_loss < history[0].train_loss


def test_evaluation_agrees_with_scikit_learn(digits, make_model):
    metrics = pytest.importorskip("sklearn.metrics")
    train, test = digits
    trainer = quiet(make_model(), epochs=1)
    trainer.fit(train, test)
    found = trainer.evaluate(test)
    predictions = trainer.model(torch.stack([test[i][0] for i in range(len(test))])).argmax(1)
    assert torch.equal(found.predictions, predictions)
    confusion = metrics.confusion_matrix(test.labels, predictions, labels=range(10))
    assert found.confusion.tolist() == confusion.tolist()
    assert found.accuracy == pytest.approx(metrics.accuracy_score(test.labels, predictions))
    recall = metrics.recall_score(test.labels, predictions, average=None, labels=range(10))
    assert found.per_class_accuracy.tolist() == pytest.approx(recall.tolist())
    assert trainer.model.training, "evaluate leaves the mode as it was"


def as_tensors(images):
    return TensorDataset(torch.stack([images[i][0] for i in range(len(images))]), images.labels)


def test_takes_any_dataset_and_dataloader(digits, make_model):
    train = as_tensors(digits[0])
    for data in (train, DataLoader(train, batch_size=64, shuffle=True)):
        history = quiet(make_model(), epochs=6).fit(data, as_tensors(digits[1]))
        assert history[-1].test_accuracy > 0.6


def test_a_dataset_gets_a_seeded_order(digits, make_model):
    models = [make_model() for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        quiet(model, epochs=1, seed=seed).fit(as_tensors(digits[0]))
    assert weights_equal(*models[:2])
    assert not weights_equal(*models[1:])


def test_nothing_is_left_of_an_earlier_fit(digits, make_model):
    class StopOnce(Callback):
        def on_epoch_end(self, trainer, row):
            trainer.should_stop = row.epoch == 1

    trainer = quiet(make_model(), epochs=2, callbacks=[StopOnce()])
    assert trainer.fit(*digits)[0].test_accuracy is not None
    history = trainer.fit(digits[0])
    assert len(history) == 2
    assert history[1].test_accuracy is None


def test_takes_objects(digits, make_model):
    class Watch(Callback):
        def __init__(self):
            self.seen, self.rates = [], []

        def on_fit_start(self, trainer, train, test):
            self.seen.append("start")

        def on_epoch_start(self, trainer, steps):
            self.seen.append(f"epoch of {steps}")
            self.rates.append(trainer.optimizer.param_groups[0]["lr"])

        def on_step_end(self, trainer):
            self.seen.append("step")

        def on_epoch_end(self, trainer, row):
            self.seen.append(f"row {row.epoch}")

        def on_fit_end(self, trainer):
            self.seen.append("end")

    watch = Watch()
    trainer = quiet(
        make_model(),
        epochs=2,
        batch_size=256,
        loss=nn.CrossEntropyLoss(label_smoothing=0.1),
        optimizer=functools.partial(torch.optim.AdamW, lr=1e-3),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5),
        callbacks=[watch],
    )
    trainer.fit(digits[0])
    assert isinstance(trainer.optimizer, torch.optim.AdamW)
    assert watch.seen == [
        *("start", "epoch of 2", "step", "step", "row 1"),
        *("epoch of 2", "step", "step", "row 2", "end"),
    ]
    assert watch.rates == pytest.approx([1e-3, 5e-4])


def test_a_callback_can_stop_the_run(digits, make_model):
    class Enough(Callback):
        def on_epoch_end(self, trainer, row):
            trainer.should_stop = True

    assert len(quiet(make_model(), epochs=9, callbacks=[Enough()]).fit(digits[0])) == 1


def test_without_a_test_set_there_are_no_test_columns(digits, make_model):
    row = quiet(make_model(), epochs=1).fit(digits[0])[0]
    assert row.test_loss is row.test_accuracy is None


def test_any_module_can_be_trained(digits):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    assert quiet(model, epochs=3).fit(*digits)[-1].test_accuracy > 0.6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"epochs": -1}, "epochs must be at least 1"),
        ({"lr": 0}, "lr must be more than 0"),
        ({"lr": float("nan")}, "lr must be a finite number"),
        ({"lr": "fast"}, "lr must be a finite number; got 'fast'"),
        ({"momentum": 1.0}, "momentum must be below 1"),
        ({"epochs": 2.5}, "epochs must be a whole number"),
        ({"batchsize": 3}, 'no setting of a run. Did you mean "batch_size"'),
        ({"device": "toaster"}, 'No device "toaster"'),
        ({"device": "cuda:99"}, 'No device "cuda:99"'),
    ],
)
def test_bad_settings(make_model, settings, message):
    with pytest.raises(cnnzoo.CnnzooError, match=message):
        quiet(make_model(), **settings)


def test_classes_must_fit_the_model(digits, make_model):
    with pytest.raises(cnnzoo.CnnzooError, match="3 outputs, the data set 10 classes"):
        quiet(make_model(num_classes=3)).fit(digits[0])
    with pytest.raises(cnnzoo.CnnzooError, match=r"A label is 9, .* num_classes=10"):
        quiet(make_model(num_classes=3)).fit(as_tensors(digits[0]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "image set of cnnzoo.load_data"),
        (TensorDataset(torch.rand(4, 1, 28, 28), torch.rand(4)), "Labels are class numbers"),
        (TensorDataset(torch.rand(4, 1, 28, 28), torch.ones(4, 2).long()), "Labels are class"),
        ([], "empty"),
        (DataLoader([(1, 2)], collate_fn=lambda b: b[0]), r"got \(int, int\)"),
    ],
)
def test_bad_data(make_model, data, message):
    with pytest.raises(cnnzoo.CnnzooError, match=message):
        quiet(make_model()).fit(data)


def test_a_loss_that_is_no_number_stops_with_step_and_causes(digits, make_model):
    model = make_model()
    with pytest.raises(
        cnnzoo.CnnzooError, match=r"became (nan|inf) at step \d+ of epoch 1.*lower|rate"
    ):
        quiet(model, epochs=3, lr=1e6).fit(digits[0])


def test_the_guard_names_the_first_bad_step_on_a_device_that_is_not_waited_for():
    from cnnzoo.train.guard import LossGuard

    guard = LossGuard(torch.device("meta"))
    guard.add(torch.tensor(1.0), 0, 5, 0.1)
    guard.add(torch.tensor(float("inf")), 0, 6, 0.1)
    guard.add(torch.tensor(float("nan")), 0, 7, 0.1)
    with pytest.raises(cnnzoo.CnnzooError, match="became inf at step 7 of epoch 3"):
        guard.flush(2, 0.1)
    guard.flush(2, 0.1)  # forgotten after it was said


def test_lines_without_a_terminal_and_a_bar_on_one(digits, make_model, capsys, monkeypatch):
    cnnzoo.Trainer(make_model(), epochs=1).fit(*digits)
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split()[:3] == ["epoch", "train", "loss"]
    assert len(lines) == 2
    assert shown.err == ""

    from cnnzoo.train.progress import Progress

    quiet(make_model(), epochs=1, callbacks=[Progress(bar=True)]).fit(*digits)
    assert "epoch 1/1" in capsys.readouterr().err
