"""What a setting of the trainer does, seen from outside."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnzoo
from cnnzoo.train.config import TrainConfig
from cnnzoo.train.guard import out_of_memory


def quiet(model, **kw):
    return cnnzoo.Trainer(model, progress=False, **kw)


def weights(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def trained(make_model, data, **kw):
    model = make_model()
    quiet(model, **{"epochs": 1, "batch_size": 32} | kw).fit(data)
    return weights(model)


def test_accumulated_batches_are_one_large_batch(digits, make_model):
    large = trained(make_model, digits[0], batch_size=96)
    summed = trained(make_model, digits[0], batch_size=32, accumulate=3)
    torch.testing.assert_close(large, summed, rtol=1e-4, atol=1e-5)
    # 481 = 15 × 32 + 1: the last step has one image, and it counts as one of 1, not of 32
    assert not torch.allclose(summed, trained(make_model, digits[0]), rtol=1e-3)


def test_clipping_is_torchs(digits, make_model):
    model = make_model()
    by_hand = copy.deepcopy(model)
    quiet(model, epochs=1, batch_size=64, lr=0.1, clip_norm=0.5).fit(digits[0])
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.1, momentum=0.9, fused=True)
    for images, labels in digits[0].batches(64, shuffle=True, seed=0):
        optimizer.zero_grad()
        F.cross_entropy(by_hand(images), labels).backward()
        nn.utils.clip_grad_norm_(by_hand.parameters(), 0.5)
        optimizer.step()
    assert torch.equal(weights(model), weights(by_hand))


def test_averaged_weights_are_evaluated_and_left_in_the_model(digits, make_model):
    train, test = digits
    model, decay = make_model(), 0.8
    average = []

    class ByHand(cnnzoo.Callback):
        def on_step_end(self, trainer):
            now = weights(trainer.model)
            average[:] = [now if not average else decay * average[0] + (1 - decay) * now]

        def on_epoch_end(self, trainer, row):
            raw = F.cross_entropy(trainer.model(images), test.labels).item()
            assert row.test_loss != pytest.approx(raw, rel=1e-3)

    images = next(iter(test.batches(len(test))))[0]
    trainer = quiet(model, epochs=2, ema=decay, callbacks=[ByHand()])
    history = trainer.fit(train, test)
    torch.testing.assert_close(weights(model), average[0])
    averaged = F.cross_entropy(model(images), test.labels).item()
    assert history[-1].test_loss == pytest.approx(averaged, rel=1e-5)


def test_the_rate_follows_the_schedule_and_the_history_says_so(digits, make_model):
    rates = []

    class Look(cnnzoo.Callback):
        def on_step_end(self, trainer):
            rates.append(trainer.optimizer.param_groups[0]["lr"])

    trainer = quiet(
        make_model(), epochs=2, lr=0.1, scheduler="linear", warmup=0.5, callbacks=[Look()]
    )
    history = trainer.fit(digits[0])
    peak = max(range(len(rates)), key=rates.__getitem__)
    assert len(rates) == 16
    assert peak in (7, 8)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(0.1, rel=0.1)
    assert history[-1].lr == rates[-1] < 0.02


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_torchs_schedulers_are_stepped_when_asked(digits, make_model, every):
    make = lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)  # noqa: E731
    trainer = quiet(make_model(), epochs=2, lr=0.1, scheduler=make, scheduler_every=every)
    trainer.fit(digits[0])
    times = 2 if every == "epoch" else 16
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.9**times)


def test_a_plateau_is_seen_on_the_held_out_part(digits, make_model):
    seen = []

    class Plateau(torch.optim.lr_scheduler.ReduceLROnPlateau):
        def step(self, metrics, epoch=None):
            seen.append(metrics)
            super().step(metrics, epoch)

    history = quiet(make_model(), epochs=2, hold_out=0.2, scheduler=Plateau).fit(digits[0])
    assert seen == [row.val_loss for row in history]
    quiet(make_model(), epochs=1, scheduler=Plateau).fit(digits[0])
    assert len(seen) == 3


def test_held_out_images_are_not_trained_on(digits, make_model):
    seen = []

    class Look(cnnzoo.Callback):
        def on_evaluation_end(self, trainer, part, found):
            seen.append((part, len(found.labels)))

    trainer = quiet(make_model(), epochs=1, hold_out=0.25, callbacks=[Look()])
    row = trainer.fit(*digits)[0]
    assert seen == [("validation", 120), ("test", 119)]
    assert row.val_accuracy is not None
    given = quiet(make_model(), epochs=1).fit(digits[0], validation=digits[1])
    assert given[0].val_loss is not None


def test_the_best_epoch_is_kept_and_evaluated(digits, make_model, tmp_path):
    class Spoil(cnnzoo.Callback):
        """From the second epoch on, training makes it worse."""

        def on_step_end(self, trainer):
            if trainer.epoch:
                with torch.no_grad():
                    for parameter in trainer.model.parameters():
                        parameter += 0.5 * torch.randn(parameter.shape)

    train, test = digits
    trainer = quiet(
        make_model(), epochs=3, keep_best=True, out=tmp_path / "run", callbacks=[Spoil()]
    )
    history = trainer.fit(train, test, validation=train[:100])
    best = max(history, key=lambda row: row.val_accuracy)
    assert best.epoch < 3
    assert trainer.evaluation.accuracy == best.test_accuracy != history[-1].test_accuracy
    saved = cnnzoo.load_model(tmp_path / "run").model
    assert quiet(saved).evaluate(test).accuracy == best.test_accuracy
    with pytest.raises(cnnzoo.CnnzooError, match=r"give hold_out=0\.1, or fit"):
        quiet(make_model(), keep_best=True).fit(train)


def test_a_stop_outlives_the_process(digits, make_model, tmp_path):
    class Stop(cnnzoo.Callback):
        def on_epoch_end(self, trainer, row):
            trainer.should_stop = True

    quiet(make_model(), epochs=3, out=tmp_path / "run", callbacks=[Stop()]).fit(digits[0])
    resume = cnnzoo.Trainer.resume
    assert len(resume(tmp_path / "run", progress=False).fit(digits[0])) == 1
    assert len(resume(tmp_path / "run", epochs=2, progress=False).fit(digits[0])) == 2


def test_augmentation_changes_training_and_not_evaluation(digits, make_model):
    plain = trained(make_model, digits[0])
    moved = trained(make_model, digits[0], augment="shift=2")
    assert not torch.equal(plain, moved)
    assert torch.equal(moved, trained(make_model, digits[0], augment="shift=2"))
    trainer = quiet(make_model(), augment="shift=2")
    assert trainer.evaluate(digits[1]).loss == quiet(make_model()).evaluate(digits[1]).loss


def test_bfloat16_runs_under_autocast(digits):
    class Look(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.dtypes = nn.Linear(784, 10), set()

        def forward(self, x):
            y = self.fc(x.flatten(1))
            self.dtypes.add(y.dtype)
            return y

    model = Look()
    quiet(model, epochs=1, precision="bfloat16").fit(*digits)
    assert model.dtypes == {torch.bfloat16}
    assert model.fc.weight.dtype == torch.float32


def test_channels_last_reaches_the_model(digits):
    class Look(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 10)

        def forward(self, x):
            y = self.conv(x.repeat(1, 1, 1, 1))
            assert self.conv.weight.is_contiguous(memory_format=torch.channels_last)
            return self.fc(y.mean((2, 3)))

    quiet(Look(), epochs=1, channels_last=True).fit(digits[0])


def test_compiled_training_agrees(digits, make_model):
    eager = trained(make_model, digits[0][:64])
    compiled = trained(make_model, digits[0][:64], compile=True)
    torch.testing.assert_close(eager, compiled, rtol=1e-4, atol=1e-5)


def test_profile_covers_the_run(digits, make_model):
    trainer = quiet(make_model(), epochs=1)
    trainer.fit(*digits, profile=True)
    found = trainer.profile.to_json()
    assert found["images"] == len(digits[0])
    assert set(found["seconds"]) == {
        "data", "forward", "backward", "step", "metrics", "evaluation", "logging",
    }  # fmt: skip
    assert all(value > 0 for value in found["seconds"].values())
    trainer = quiet(make_model(), epochs=1)
    trainer.fit(digits[0])
    assert trainer.profile is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "float16"}, "float32 or bfloat16"),
        ({"ema": 1.0}, "ema must be below 1"),
        ({"compile": 1}, "compile must be True or False"),
        ({"nestrov": True}, 'Did you mean "nesterov"'),
        ({"optimizer": "sdg"}, "sgd"),
        ({"scheduler": "cosinus"}, "cosine"),
        ({"loss": "cross-entropy"}, "cross_entropy"),
        ({"augment": "shft=2"}, "shift"),
        ({"scheduler": lambda o: None, "scheduler_every": "batch"}, '"epoch" or "step"'),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_settings_are_refused_before_anything_runs(make_model, settings, message):
    with pytest.raises(cnnzoo.CnnzooError, match=message):
        quiet(make_model(), **settings)


def test_an_impossible_schedule_is_refused_before_the_first_step(digits, make_model):
    with pytest.raises(cnnzoo.CnnzooError, match="step_epochs"):
        quiet(make_model(), epochs=2, scheduler="step", step_epochs=3).fit(digits[0])


def test_too_little_memory_is_one_sentence(digits, tmp_path, make_model):
    class Greedy(cnnzoo.Callback):
        def on_step_end(self, trainer):
            if trainer.epoch == 1:
                torch.empty(1 << 60, dtype=torch.uint8)

    trainer = quiet(make_model(), epochs=2, out=tmp_path / "run", callbacks=[Greedy()])
    with pytest.raises(cnnzoo.CnnzooError, match="try batch_size=32 with accumulate=2"):
        trainer.fit(digits[0])
    again = cnnzoo.Trainer.resume(tmp_path / "run", progress=False)
    assert again.epoch == 1
    assert out_of_memory(RuntimeError("shapes do not match"), TrainConfig()) is None
    assert out_of_memory(torch.OutOfMemoryError("CUDA"), TrainConfig()) is not None


def test_an_object_has_to_be_handed_in_again(digits, make_model, tmp_path):
    quiet(make_model(), epochs=1, loss=F.multi_margin_loss, out=tmp_path / "run").fit(digits[0])
    with pytest.raises(cnnzoo.CnnzooError, match=r"a loss of its own \(torch.nn.functional.multi"):
        cnnzoo.Trainer.resume(tmp_path / "run", epochs=2)
    resume = cnnzoo.Trainer.resume
    again = resume(tmp_path / "run", epochs=2, loss=F.multi_margin_loss, progress=False)
    assert len(again.fit(digits[0])) == 2
