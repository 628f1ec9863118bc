"""Schedules against torch's own schedulers, step by step."""

import math

import pytest
import torch
from torch.optim import lr_scheduler

from cnnzoo.errors import CnnzooError
from cnnzoo.train.schedules import make_schedule, schedules

STEPS, EPOCHS = 25, 4
TOTAL = STEPS * EPOCHS


def factors(name, steps_per_epoch=STEPS, epochs=EPOCHS, **settings):
    factor = make_schedule(name, steps_per_epoch=steps_per_epoch, epochs=epochs, **settings)
    return [factor(step) for step in range(steps_per_epoch * epochs)]


def rates_of_torch(make, total=TOTAL):
    """Return the learning rates that a scheduler of torch gives a base rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = make(optimizer), []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def approximately(rates):
    return pytest.approx(rates, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("final", [0.0, 0.02, 1.0])
def test_cosine(final):
    expected = rates_of_torch(lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=final))
    assert factors("cosine", final_lr=final) == approximately(expected)


@pytest.mark.parametrize(("every", "gamma"), [(1, 0.1), (2, 0.5), (4, 0.1), (3, 1.0)])
def test_step(every, gamma):
    expected = rates_of_torch(lambda o: lr_scheduler.StepLR(o, every * STEPS, gamma))
    assert factors("step", step_epochs=every, gamma=gamma) == approximately(expected)


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_linear(final):
    expected = rates_of_torch(lambda o: lr_scheduler.LinearLR(o, 1.0, final, total_iters=TOTAL))
    assert factors("linear", final_lr=final) == approximately(expected)


@pytest.mark.parametrize(("warmup", "final"), [(0.0, 0.01), (0.3, 0.001), (0.1, 0.04), (0.5, 1.0)])
def test_one_cycle(warmup, final):
    """Torch's ends on its last step, ours a step after: hence one step more, and its peak with it.

    Its peak lies at pct_start × total_steps − 1.
    """
    peak = (warmup or 0.3) * TOTAL
    expected = rates_of_torch(
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=1.0,
            total_steps=TOTAL + 1,
            pct_start=(peak + 1) / (TOTAL + 1),
            div_factor=25,
            final_div_factor=1 / 25 / final,
            cycle_momentum=False,
        )
    )
    assert factors("one_cycle", warmup=warmup, final_lr=final) == approximately(expected)


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "step"])
def test_warm_up(name):
    """A line as torch's LinearLR draws it, then the schedule on what is left of the run."""
    rising = 20
    line = rates_of_torch(lambda o: lr_scheduler.LinearLR(o, 1 / (rising + 1), 1.0, rising), rising)
    found = factors(name, warmup=rising / TOTAL)
    assert found[:rising] == approximately(line)
    rest = {
        "constant": [1.0] * (TOTAL - rising),
        "linear": rates_of_torch(lambda o: lr_scheduler.LinearLR(o, 1, 0, TOTAL - rising), 80),
        "cosine": rates_of_torch(lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL - rising), 80),
        "step": factors("step")[rising:],  # drops stay at the ends of epochs
    }
    assert found[rising:] == approximately(rest[name])


def test_constant_is_constant():
    assert factors("constant") == [1.0] * TOTAL


@pytest.mark.parametrize("name", schedules())
@pytest.mark.parametrize("warmup", [0.0, 0.07, 0.5, 0.999])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 1), (7, 3)], ids=str)
def test_no_step_is_wasted_and_none_exceeds_the_base_rate(name, warmup, shape):
    found = factors(name, *shape, warmup=warmup)
    assert all(0 < factor <= 1 for factor in found)
    if warmup == 0.5:
        assert found[0] < 1


@pytest.mark.parametrize("name", ["linear", "cosine", "one_cycle"])
def test_rises_once_and_falls_once(name):
    found = factors(name, warmup=0.23, final_lr=0.1)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert top == 23


@pytest.mark.parametrize("name", ["linear", "cosine", "one_cycle"])
def test_stays_at_the_end(name):
    factor = make_schedule(name, steps_per_epoch=5, epochs=2, final_lr=0.125)
    assert factor(10) == factor(11) == factor(1000) == 0.125


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"name": "onecycle"}, 'Unknown schedule "onecycle". Did you mean "one_cycle"? Known: con'),
        ({"warmup": 1.0}, "warmup is a fraction of the run, from 0 to below 1; got 1.0"),
        ({"warmup": -0.1}, "warmup is a fraction"),
        ({"warmup": math.nan}, "warmup is a fraction"),
        ({"final_lr": 1.5}, "final_lr is a fraction of lr, from 0 to 1; got 1.5"),
        ({"final_lr": -0.1}, "final_lr is a fraction"),
        ({"name": "step", "gamma": 0.0}, "gamma is the factor of a drop"),
        ({"name": "step", "gamma": 2.0}, "gamma is the factor of a drop"),
        ({"name": "step", "step_epochs": 5}, "how many of the 4 epochs"),
        ({"name": "step", "step_epochs": 0}, "how many of the 4 epochs"),
        ({"steps_per_epoch": 0}, "at least one step an epoch; got 0"),
        ({"epochs": 0}, "at least one epoch; got 0"),
    ],
)
def test_impossible_ones_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(CnnzooError) as error:
        make_schedule(**{"name": "cosine", "steps_per_epoch": STEPS, "epochs": EPOCHS} | settings)
    assert sentence in str(error.value)
