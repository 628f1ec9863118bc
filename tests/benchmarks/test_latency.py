"""One image and page faults: candidates answer rightly, figures and targets are what they say."""

import json
import mmap
import os
import sys

import pytest
import torch

import cnnzoo
from benchmarks import answers, bench_latency, latency_ways, page_faults, peers
from benchmarks.latency_ways import BFLOAT16, FLOAT32, OURS
from cnnzoo import ops
from cnnzoo.errors import CnnzooError

needs_library = pytest.mark.skipif(
    not ops.status().available, reason=f"nothing is frozen: {ops.status().reason}"
)


@pytest.fixture
def engine(monkeypatch):
    """An engine of plain PyTorch in place of ONNX Runtime, and no OpenVINO."""

    def runs(model, images, threads):
        assert images.dtype == torch.float32
        return lambda: (model(images),)

    def missing(model, images, threads):
        raise CnnzooError("It is not installed.")

    for name, call in {"onnxruntime": runs, "openvino": missing, "bf16 openvino": missing}.items():
        monkeypatch.setitem(peers.PEERS, name, call)


@needs_library
@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
def test_candidates_answer_rightly_in_their_dtype(dtype, engine):
    torch.manual_seed(0)
    model = cnnzoo.build("mnist_cnn").eval()
    images = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        expected = model.double()(images.double())
        model.float()
        ready, missing = latency_ways.candidates(model, images, 1, True, dtype)
        limit = answers.BFLOAT16_OUTPUT if dtype == BFLOAT16 else answers.NETWORK
        low = set()
        for name, call in ready.items():
            logits = call()
            answers.check(name, (logits,), (expected,), (limit,))
            low |= {name} if logits.dtype == torch.bfloat16 else set()
    everyone = {"eager", "eager channels_last", OURS, latency_ways.NOT_FROZEN}
    assert low == (everyone if dtype == BFLOAT16 else set())
    others = {"onnxruntime, float32", f"{OURS}, float32"} if low else {"onnxruntime"}
    assert set(ready) == everyone | others
    assert missing["openvino"] == "It is not installed."
    assert next(model.parameters()).dtype == torch.float32, "the caller's model stays as it was"


@needs_library
def test_whoever_is_wrong_is_left_out(engine, monkeypatch):
    monkeypatch.setitem(peers.PEERS, "onnxruntime", lambda m, x, t: lambda: (1.1 * m(x),))
    case = bench_latency.measure("single_layer_cnn", 1, 1, 1, 0.0, True, FLOAT32)
    assert "output is off by" in case["missing"]["onnxruntime"]
    assert OURS in case["rows"]
    assert "onnxruntime" not in case["rows"]


def test_figures_of_calls():
    seconds = [1e-6] * 98 + [5e-6, 9e-6]
    row = bench_latency.figures(seconds, turns=[2e-6, 2e-6], ours=[1e-6, 1e-6], batch=4)
    assert row["median_us"] == pytest.approx(1)
    assert row["us_an_image"] == pytest.approx(0.25)
    assert row["p99_us"] == pytest.approx(9, rel=0.05)
    assert row["times_as_long"] == [2, 2, 2]


def case_of(median, times, dtype=BFLOAT16, batch=1):
    """Ours, and two peers, the second of them the best."""
    rows = {
        OURS: {"median_us": median, "times_as_long": [1, 1, 1]},
        f"{OURS}, float32": {"median_us": 1, "times_as_long": [0.1, 0.1, 0.1]},
        "eager": {"median_us": 99, "times_as_long": [9, 9, 9]},
        "openvino": {"median_us": 20, "times_as_long": [times] * 3},
    }
    return {"rows": rows, "dtype": dtype, "batch": batch, "threads": 2}


def test_targets_are_held_against_the_best_peer():
    assert [one.met for one in bench_latency.verdicts(case_of(7.9, 2.6))] == [True, True]
    found = bench_latency.verdicts(case_of(8.1, 2.4))
    assert [one.met for one in found] == [False, False]
    assert found[1].note == "against openvino"
    assert [one.goal for one in bench_latency.verdicts(case_of(1, 1, FLOAT32))] == [17, 1.6]
    assert not bench_latency.verdicts(case_of(1, 1, batch=128))


def test_tables_are_printed(capsys):
    case = case_of(7.9, 2.6) | {"model": "mnist_cnn", "missing": {"AOTInductor": "It is slow."}}
    for row in case["rows"].values():
        row |= {"p99_us": 100.0, "us_an_image": 7.0}
    bench_latency.show(case)
    printed = capsys.readouterr().out
    assert "AOTInductor: It is slow." in printed
    assert "one image, bfloat16, 2 threads: ≥ 2.5× the best peer: 2.60, met" in printed


@pytest.mark.skipif(sys.platform != "linux", reason="counts of page faults differ elsewhere")
def test_page_faults_are_those_of_fresh_pages():
    def fresh():
        with mmap.mmap(-1, 50 * mmap.PAGESIZE) as pages:
            for page in range(50):
                pages[page * mmap.PAGESIZE] = 1

    kept = bytearray(50 * mmap.PAGESIZE)

    def again():
        for page in range(50):
            kept[page * mmap.PAGESIZE] = 1

    assert page_faults.count(again) < 1
    # Fewer where the system hands out huge pages: one at least.
    assert 1 <= page_faults.count(fresh) <= 60


def told(*task):
    """In place of a count: what was asked, and in which process."""
    return [*task, os.getpid()]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_page_faults_of_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(page_faults, "TRAINED", ("channels_last", "native and more"))
    monkeypatch.setattr(page_faults, "ASKED", ("channels_last",))
    monkeypatch.setattr(page_faults, "_one", told)
    *tasks, processes = zip(*page_faults.measure(1, (3, 1)), strict=True)
    assert list(zip(*tasks, strict=True)) == [
        ("channels_last", "training step", 3, 1),
        ("native and more", "training step", 3, 1),
        ("channels_last", "inference", 3, 1),
        ("channels_last", "inference", 1, 1),
    ]
    assert len({*processes, os.getpid()}) == 5, "each in a process of its own"


def test_a_step_is_judged_after_it_was_counted(monkeypatch):
    made = []

    def candidate(name, problem, mode, threads):
        made.append(bool(problem.answers))
        if problem.answers:
            raise answers.WrongAnswerError("It is wrong.")
        return type("Candidate", (), {"run": staticmethod(lambda: None)})

    from benchmarks import networks

    monkeypatch.setattr(networks, "candidate", candidate)
    row = page_faults._one("eager", "inference", 1, torch.get_num_threads())
    assert made == [False, True]
    assert row == {"mode": "inference", "batch": 1, "who": "eager", "missing": "It is wrong."}


def test_page_faults_are_printed_with_their_sentence(capsys):
    what = {"mode": "inference", "batch": 1}
    rows = [what | {"who": "native", "faults": 0.5}, what | {"who": "x", "missing": "No library."}]
    page_faults.show(json.loads(json.dumps(rows)), "tuned")
    assert "0.50\n" in (printed := capsys.readouterr().out)
    assert "No library." in printed
