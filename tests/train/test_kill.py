"""SIGKILL at random moments, writing included: the run ends with the same bits all the same."""

import multiprocessing
import random
import signal
import sys
import time

import pytest
from kill_runs import SCENARIOS, go_on

from cnnzoo.cli._killed import Moment
from cnnzoo.cli.verify_resume import compare_runs
from cnnzoo.files import is_leftover

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and kills as Linux does")

# A server that has imported everything and forks: a child costs a tenth of a second, not three.
# The test's own process cannot be forked: it may have trained, and torch's threads do not survive.
_FORKS = multiprocessing.get_context("forkserver") if sys.platform == "linux" else None


@pytest.fixture(scope="module", autouse=True)
def _server():
    # torch._dynamo is two seconds that an optimizer takes when it is first made
    _FORKS.set_forkserver_preload(["pytest", "sklearn.datasets", "torch._dynamo", "kill_runs"])
    first = _FORKS.Process(target=int)  # the server starts now, and not on the clock of a test
    first.start()
    first.join()


def session(name, run, moment=None, *, most=None, seconds=None):
    """Let a child train, kill it after some seconds if asked to, and return how it ended."""
    child = _FORKS.Process(target=go_on, args=(name, run, moment, most))
    child.start()
    if seconds is not None:
        time.sleep(seconds)
        child.kill()
    child.join(60)
    return child.exitcode


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a function that gives the folder of an undisturbed run, and how long it took."""
    known = {}

    def find(name):
        if name not in known:
            run = tmp_path_factory.mktemp("whole") / name
            start = time.perf_counter()
            assert session(name, run) == 0
            known[name] = run, time.perf_counter() - start
        return known[name]

    return find


def assert_same(run, other):
    assert compare_runs(run, other) is None
    assert not [path for path in other.rglob("*") if is_leftover(path)]


@pytest.mark.parametrize(
    ("name", "kills"), [("of_the_zoo", 5), ("with_dropout", 5), ("with_workers", 3)]
)
def test_killed_at_random_steps_and_while_writing(whole, tmp_path, name, kills):
    chance = random.Random(name)
    run = tmp_path / "run"
    for number in range(kills):
        steps = chance.randint(1, 7)
        operations = chance.randint(1, 12) if number % 2 else 0
        assert session(name, run, Moment(steps, operations)) == -signal.SIGKILL
        assert (run / "checkpoint.pt").is_file(), "it died before its first step"
    assert session(name, run) == 0
    assert_same(whole(name)[0], run)


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_by_the_clock(whole, tmp_path, name):
    chance = random.Random(name)
    run = tmp_path / "run"
    reference, seconds = whole(name)
    for _ in range(2):
        seconds *= chance.uniform(0.2, 0.9)
        while session(name, run, seconds=seconds) != -signal.SIGKILL:  # it was faster
            seconds /= 2
    assert session(name, run) == 0
    assert_same(reference, run)


@pytest.mark.parametrize("operations", [1, 2, 4, 6, 9, 13])
def test_killed_while_the_folder_is_made(whole, tmp_path, operations):
    run = tmp_path / "run"
    assert session("with_dropout", run, Moment(0, operations)) == -signal.SIGKILL
    assert session("with_dropout", run) == 0
    assert_same(whole("with_dropout")[0], run)
    for operations in (2, 8):  # of a run that has ended: what is derived is written again
        (run / "model.safetensors").unlink()
        assert session("with_dropout", run, Moment(0, operations)) == -signal.SIGKILL
        assert session("with_dropout", run) == 0
        assert_same(whole("with_dropout")[0], run)


@pytest.mark.parametrize("steps", [1, 8, 30])
def test_killed_inside_a_write(whole, tmp_path, steps):
    reference, _ = whole("with_dropout")
    half = (reference / "checkpoint.pt").stat().st_size // 2
    run = tmp_path / "run"
    assert session("with_dropout", run, most=(steps, half)) == -signal.SIGXFSZ
    (leftover,) = (path for path in run.iterdir() if is_leftover(path))
    assert 0 < leftover.stat().st_size <= half
    assert session("with_dropout", run) == 0
    assert_same(reference, run)
