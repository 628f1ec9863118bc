"""Candidates take turns, and ratios pair the turns of a round. Nothing is timed here."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import environment, timing
from benchmarks.default_malloc import DefaultMalloc
from benchmarks.workloads import Layer, Network

ROOT = Path(__file__).parents[2]


class Clockwork:
    """Takes as long as it is told, in no time."""

    def __init__(self, name, seconds, log):
        self.name, self.seconds, self.log = name, seconds, log

    def measure(self, calls):
        self.log.append(self.name)
        return [self.seconds] * calls


def test_everyone_has_a_turn_a_round():
    log = []
    contenders = {name: Clockwork(name, s, log) for name, s in [("a", 0.3), ("b", 0.1), ("c", 1)]}
    turns = timing.alternate(contenders, rounds=5, turn=0.01, warm_up=0)
    assert turns == {"a": [0.3] * 5, "b": [0.1] * 5, "c": [1] * 5}
    rounds = [log[-15:][i : i + 3] for i in range(0, 15, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1, "the order is not always the same"


def test_ratios_pair_the_turns_of_a_round():
    # The machine was ten times slower in the second round: no ratio shows it.
    spread = timing.ratio([2.0, 20.0, 2.2], [1.0, 10.0, 1.0])
    assert spread.median == 2.0
    assert (spread.low, spread.high) == pytest.approx((2.0, 2.1))


def test_the_first_call_of_a_turn_is_not_timed():
    calls, set_up = [], []
    candidate = timing.Candidate(lambda: calls.append(1), before=lambda: set_up.append(len(calls)))
    assert len(candidate.measure(4)) == 4
    assert len(calls) == 5
    assert set_up == [0]


def test_the_environment_of_a_process_that_measures(monkeypatch):
    wanted = environment.wanted("avx2", 2)
    assert wanted["CNNZOO_ISA"] == "avx2"
    assert wanted["ONEDNN_MAX_CPU_ISA"] == "AVX2", "PyTorch is held to the same instruction set"
    assert wanted["OMP_NUM_THREADS"] == "2"
    for name, value in environment.MALLOC.items():
        assert wanted[name] == value
        monkeypatch.setenv(name, value)
    assert not set(environment.MALLOC) & set(environment.with_default_malloc())


@pytest.mark.skipif(sys.platform != "linux", reason="the malloc settings are glibc's")
def test_a_process_starts_itself_again_once():
    code = (
        "from benchmarks import environment as e\n"
        "e.start_again(e.wanted(threads=3))\n"
        "print(e.os.environ['MALLOC_TOP_PAD_'], e.os.environ['OMP_NUM_THREADS'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == [environment.MALLOC["MALLOC_TOP_PAD_"], "3"]


def test_a_process_with_the_default_malloc_takes_turns():
    layer = Layer("small", 2, 1, 8, 4, 3, opens=True)
    child = DefaultMalloc(threads=1)
    try:
        assert len(child.prepare(layer, "forward + backward").measure(3)) == 3
        assert len(child.prepare(Network("single_layer_cnn", 2), "inference").measure(2)) == 2
    finally:
        child.close()
    assert child.process.returncode == 0
