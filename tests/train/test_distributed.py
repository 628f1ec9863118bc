"""Several processes share a run: the same numbers as one, and a sentence when one dies.

The processes are real and started by ``torchrun``; they run `distributed_cases.py`, and this
process runs the same functions alone. Starting them takes longest, so tests share what they did.
"""

import functools
import itertools
import os
import signal
import socket
import subprocess
import sys
import time

import distributed_cases
import pytest
import torch
from torch.utils.data import TensorDataset

import cnnzoo
from cnnzoo.data import ImageSet
from cnnzoo.train.batches import as_batches

TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
CASES = distributed_cases.__file__
PATIENCE = "60"  # CNNZOO_TIMEOUT of these tests in seconds; a busy machine starts slowly


def start(*command, **variables):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CNNZOO_TIMEOUT": PATIENCE} | variables
    return subprocess.Popen(
        [*map(str, command)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def end(process, timeout=60):
    """Return (exit status, stdout, stderr); whatever hangs is killed, and the test fails."""
    try:
        out, said = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its processes, whose sessions are their own
        out, said = process.communicate()
        pytest.fail(f"hung for {timeout} s: {said[-2000:]}")
    return process.returncode, out, said


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def by_hand(rank, port, run, patience=PATIENCE):
    """Start one of two processes that nobody supervises, on a run without an end."""
    return start(
        *(sys.executable, "-m", "cnnzoo", "train", "single_layer_cnn", "--epochs", 9999),
        *("--out", run),
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        CNNZOO_TIMEOUT=patience,
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {world: tmp_path_factory.mktemp(f"world{world}") for world in (1, 2, 3)}


@pytest.fixture(scope="module")
def two(folders):
    """Let two processes do all cases; in the last one dies and is replaced. Return stderr."""
    cases = ["plain", "everything", "pieces", "sizes", "other_weights", "batch_norm", "loader",
             "dropout", "error_of_main", "polite_end", "one_dies"]  # fmt: skip
    status, _, said = end(
        start(
            *(*TORCHRUN, "--standalone", "--nproc-per-node", 2, "--max-restarts", 2),
            *(CASES, folders[2], *cases),
        )
    )
    assert status == 0, said[-3000:]
    return said


@pytest.fixture(scope="module")
def three(folders):
    """Let three machines of a process each do some cases; they meet over the loopback device."""
    port = free_port()
    machines = [
        start(
            *(*TORCHRUN, "--nnodes", 3, "--nproc-per-node", 1, "--node-rank", number),
            *("--master-addr", "127.0.0.1", "--master-port", port),
            *(CASES, folders[3], "everything", "sizes"),
            GLOO_SOCKET_IFNAME="lo",
        )
        for number in range(3)
    ]
    for status, _, said in map(end, machines):
        assert status == 0, said[-3000:]


@pytest.fixture(scope="module")
def alone(folders):
    """Return what this process finds when it does a case alone."""
    return functools.cache(lambda case: getattr(distributed_cases, case)(folders[1], 1, 0))


@pytest.fixture
def did(folders, request):
    """Return what (world, case, rank) found."""

    def found(world, case, rank=0):
        if world == 1:
            return request.getfixturevalue("alone")(case)
        request.getfixturevalue({2: "two", 3: "three"}[world])
        return torch.load(folders[world] / f"{case}-{rank}.pt")

    return found


def assert_same(found, expected, tolerance=5e-5):
    """Compare what `distributed_cases.train` returned, the steps one by one."""
    assert len(found["steps"]) == len(expected["steps"])
    for step, (mine, its) in enumerate(zip(found["steps"], expected["steps"], strict=True)):
        assert torch.allclose(mine, its, rtol=0, atol=tolerance), f"step {step}"
    assert torch.equal(found["labels"], expected["labels"])
    assert torch.equal(found["predictions"], expected["predictions"])
    for name in ("final", "history", "confidences", "numbers"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=tolerance)


# What each process gets ---------------------------------------------------------------------------


def numbered_images(n):
    """Return n images of which each has a class of its own."""
    names = [str(number) for number in range(n)]
    return ImageSet.from_tensors(torch.zeros(n, 1, 8, 8, dtype=torch.uint8), torch.arange(n), names)


@pytest.mark.parametrize("kind", ["images", "dataset"])
@pytest.mark.parametrize(
    ("n", "world", "shuffle"), list(itertools.product((1, 2, 5, 101), (2, 3), (True, False)))
)
def test_every_sample_goes_to_one_process(n, world, shuffle, kind):
    if kind == "images":
        data = numbered_images(n)
    else:
        data = TensorDataset(torch.zeros(n, 1, 8, 8), torch.arange(n))
    shares = [
        as_batches(data, 4, shuffle=shuffle, seed=3, rank=rank, world=world)
        for rank in range(world)
    ]
    assert len({len(each) for each in shares}) == 1
    for epoch in range(2):
        taken = [[labels for _, labels in each.epoch(epoch)] for each in shares]
        assert sorted(torch.cat([*itertools.chain(*taken)]).tolist()) == list(range(n))
        for position, pieces in enumerate(zip(*taken, strict=True)):
            assert sum(map(len, pieces)) == shares[0].total(position)
            assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


@pytest.mark.parametrize("case", ["plain", "everything", "other_weights"])
def test_two_processes_take_the_steps_of_one(did, case):
    assert_same(did(2, case), did(1, case))
    assert torch.equal(did(2, case, 0)["steps"], did(2, case, 1)["steps"])


def test_three_processes_take_the_steps_of_one(did):
    assert_same(did(3, "everything"), did(1, "everything"))


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("n", [1, 2, 5, 101])
def test_a_process_without_images_takes_part(did, n, world):
    for rank in range(world):
        assert_same(did(world, "sizes", rank)[n], did(1, "sizes")[n])
    assert len(did(world, "sizes")[n]["labels"]) == n


def test_a_data_loader_is_shared(did):
    torch.testing.assert_close(did(2, "loader")["final"], did(1, "loader")["final"])


def test_processes_draw_their_own_random_numbers(did):
    assert not torch.equal(did(2, "dropout", 0)["drawn"], did(2, "dropout", 1)["drawn"])


def test_batch_norm_ends_alike_everywhere(did):
    first, second = (did(2, "batch_norm", rank) for rank in range(2))
    assert torch.equal(first["final"], second["final"])
    assert torch.equal(first["confidences"], second["confidences"])


def test_an_error_of_the_main_process_is_everyones(did):
    first, second = (did(2, "error_of_main", rank)["sentence"] for rank in range(2))
    assert first == second
    assert "holds files that are no run" in first


def test_sigterm_stops_all_at_the_same_step(did):
    first, second = (did(2, "polite_end", rank) for rank in range(2))
    assert first["place"] == second["place"]
    assert torch.equal(first["resumed"], first["undisturbed"])


# Pieces -------------------------------------------------------------------------------------------


def test_a_model_in_pieces_takes_the_steps_of_a_whole_one(did):
    found = did(2, "pieces")
    assert found["kinds"] == ["DTensor"]
    assert_same(found, did(1, "everything"))


def test_pieces_go_on_from_the_middle_to_the_same_bits(did):
    assert torch.equal(did(2, "pieces")["resumed"], did(2, "pieces")["final"])


# Ends ---------------------------------------------------------------------------------------------


def test_a_killed_process_is_replaced_and_the_run_ends_as_if_nothing_was(did, two, folders):
    assert "exitcode: -9" in two  # torchrun's report of the first attempt
    found, undisturbed = did(2, "one_dies"), did(2, "plain")
    assert len(found["steps"]) < len(undisturbed["steps"])  # it did go on, and did not begin anew
    assert torch.equal(found["final"], undisturbed["final"])
    assert torch.equal(found["history"], undisturbed["history"])
    weights = cnnzoo.load_model(folders[2] / "run").model
    assert torch.equal(distributed_cases.flat(weights), undisturbed["final"])


def two_by_hand(run, **patience):
    port = free_port()
    both = [by_hand(rank, port, run, **patience) for rank in range(2)]
    deadline = time.monotonic() + 60
    while not (run / "history.csv").exists():
        for each in both:
            assert each.poll() is None, each.communicate()[1]
        assert time.monotonic() < deadline, "no epoch after a minute"
        time.sleep(0.05)
    return both


def assert_sentence(process, sentence):
    """Return what it printed before it ended with a sentence."""
    status, printed, said = end(process, 30)
    assert status == 2
    assert sentence in said
    assert "Traceback" not in said
    assert "frame #" not in said
    return printed


def test_the_other_ends_with_a_sentence_when_one_is_killed(tmp_path):
    first, second = two_by_hand(tmp_path / "run")
    os.kill(second.pid, signal.SIGKILL)
    printed = assert_sentence(first, "Error: Process 1 can no longer be reached")
    assert "in each of 2 processes" in printed
    assert end(second)[1:] == ("", "")  # one voice: this one said nothing while it lived
    assert cnnzoo.Trainer.resume(tmp_path / "run", progress=False).epoch >= 1


def test_the_other_does_not_wait_for_ever_when_one_freezes(tmp_path):
    first, second = two_by_hand(tmp_path / "run", patience="8")
    os.kill(second.pid, signal.SIGSTOP)
    assert_sentence(first, "Error: Process 1 can no longer be reached")
    os.kill(second.pid, signal.SIGCONT)  # now it is this one that is alone
    assert_sentence(second, "Process 0 can no longer be reached")


def test_nobody_comes(tmp_path):
    port = free_port()
    first = by_hand(0, port, tmp_path / "run", patience="2")
    second = by_hand(1, port + 1, tmp_path / "run", patience="2")
    assert_sentence(first, f"did not find all 2 processes at 127.0.0.1:{port} within 2 s")
    assert_sentence(second, f"did not find all 2 processes at 127.0.0.1:{port + 1} within 2 s")
    assert not (tmp_path / "run").exists()
