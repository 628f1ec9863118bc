"""The clock of ``fit(profile=True)``, with a time that is made up."""

import json

import pytest
import torch

from cnnzoo.train.profile import SECTIONS, NoClock, StepClock


class FakeTime:
    """Counts nanoseconds; whoever works says how long it took."""

    def __init__(self):
        self.now = 10**15

    def __call__(self):
        return self.now

    def pass_by(self, milliseconds):
        self.now += milliseconds * 10**6


@pytest.fixture
def time():
    return FakeTime()


@pytest.fixture
def clock(time):
    return StepClock("cpu", now=time)


def two_steps(clock, time):
    clock.start()
    for data, forward in ((3, 20), (5, 40)):
        time.pass_by(data)
        clock("data")
        time.pass_by(forward)
        clock("forward")
    time.pass_by(32)
    clock("backward")


def test_each_call_closes_a_section(clock, time):
    two_steps(clock, time)
    assert clock.nanoseconds == {"data": 8 * 10**6, "forward": 60 * 10**6, "backward": 32 * 10**6}


def test_time_before_start_belongs_to_no_section(clock, time):
    time.pass_by(1000)
    two_steps(clock, time)
    time.pass_by(1000)  # between two fits
    clock.start()
    time.pass_by(1)
    clock("data")
    assert clock.nanoseconds["data"] == 9 * 10**6


def test_without_start_the_first_call_begins(clock, time):
    time.pass_by(7)
    clock("data")
    time.pass_by(5)
    clock("forward")
    assert clock.nanoseconds == {"forward": 5 * 10**6}


def test_table(clock, time):
    two_steps(clock, time)
    clock.images = 200
    assert clock.table().splitlines() == [
        "section     seconds   share  µs/image",
        "data          0.008    8.0%      40.0",
        "forward       0.060   60.0%     300.0",
        "backward      0.032   32.0%     160.0",
        "total         0.100  100.0%     500.0",
    ]


def test_table_lists_sections_in_the_order_of_a_step_and_strangers_last(clock, time):
    clock.start()
    for section in ("own", *reversed(SECTIONS)):
        time.pass_by(1)
        clock(section)
    names = [line.split()[0] for line in clock.table().splitlines()]
    assert names == ["section", *SECTIONS, "own", "total"]
    assert len({len(line) for line in clock.table().splitlines()}) == 1  # the columns are straight


def test_table_of_nothing(clock):
    assert clock.table().splitlines()[1:] == ["total         0.000       -         -"]


def test_json(clock, time):
    two_steps(clock, time)
    clock.images = 200
    expected = {"images": 200, "seconds": {"data": 0.008, "forward": 0.06, "backward": 0.032}}
    assert json.loads(json.dumps(clock.to_json())) == expected


def test_an_accelerator_is_waited_for_before_the_time_is_read(monkeypatch):
    """Kernels in flight belong to the section that launched them."""
    events = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: events.append(str(device)))

    def now():
        events.append("now")
        return 0

    clock = StepClock("cuda:1", now=now)
    clock.start()
    clock("forward")
    assert events == ["cuda:1", "now"] * 2


def test_the_cpu_is_not_waited_for(monkeypatch, clock, time):
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: 1 / 0)
    two_steps(clock, time)


def test_real_time_passes():
    clock = StepClock("cpu")
    clock.start()
    sum(range(1000))
    clock("other")
    assert clock.nanoseconds["other"] > 0


def test_no_clock_takes_the_same_calls(clock):
    silent = NoClock()
    silent.start()
    silent("forward")
    silent.images += 64
    assert silent.table() == ""
    assert set(silent.to_json()) == set(clock.to_json())
    public = {name for name in dir(StepClock) if not name.startswith("_")}
    assert public <= set(dir(NoClock))
