"""Whoever computes something else is refused, not timed."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from benchmarks import answers, blocks, kernels, networks
from benchmarks.answers import WrongAnswerError, check, judged
from benchmarks.contests import contest
from benchmarks.results import Case
from benchmarks.timing import Candidate
from benchmarks.workloads import Layer, Network
from cnnzoo import ops
from cnnzoo.errors import CnnzooError

LAYER = Layer("small", 2, 3, 11, 5, 3)  # an odd size: the pool's floor drops a row
OVERLAP = Layer("overlapping", 1, 4, 12, 3, 5, stride=2, padding=2, pool=3, pool_padding=1)
FOR_ALL = [n for n, way in blocks.WAYS.items() if not way.compiled and n != "native"]


@pytest.mark.parametrize("layer", [LAYER, OVERLAP], ids=lambda layer: layer.name)
@pytest.mark.parametrize("mode", blocks.MODES)
@pytest.mark.parametrize("name", FOR_ALL)
def test_candidates_answer_rightly(name, mode, layer):
    candidate = blocks.candidate(name, judged(layer), mode)
    assert len(candidate.run()) == (1 if mode == blocks.FORWARD else 4)


def test_a_wrong_candidate_is_refused_and_the_others_are_timed(monkeypatch):
    problem = judged(LAYER)

    def without_bias(way, problem):
        sizes = problem.layer.sizes
        pool = (sizes["pool_size"], sizes["pool_stride"])
        return lambda x, w, b: F.max_pool2d(F.relu(F.conv2d(x, w, 0 * b)), *pool)

    def wrong():
        with monkeypatch.context() as patch:
            patch.setattr(blocks, "_block", without_bias)
            return blocks.candidate("eager", problem, blocks.FORWARD)

    def missing():
        raise CnnzooError("It is not installed.")

    case = Case("layers", LAYER.name, blocks.FORWARD, LAYER.batch)
    makers = {
        "right": lambda: blocks.candidate("eager", problem, blocks.FORWARD),
        "wrong": wrong,
        "missing": missing,
    }
    contest(case, makers, rounds=2, turn=0.0)
    assert list(case.turns) == ["right"]
    assert len(case.turns["right"]) == 2
    assert "output is off by" in case.refused["wrong"]
    assert case.skipped == {"missing": "It is not installed."}


def test_a_wrong_kernel_is_refused_for_its_instruction_set(monkeypatch):
    status = ops.status()
    if not status.available:
        pytest.skip(str(status.reason))
    monkeypatch.setattr(kernels.peak, "require", lambda isa: None)
    right = kernels.judged(LAYER)
    bad = dataclasses.replace(right, answers=(right.answers[0] + 0.01, *right.answers[1:]))
    monkeypatch.setattr(kernels, "judged", lambda layer: bad)
    (case,) = kernels.measure([LAYER], [status.isa], rounds=2, turn=0.0)
    assert not case.turns
    assert "output is off by" in case.refused[status.isa]
    assert ops.status().isa == status.isa


@pytest.mark.parametrize("index", range(4))
def test_one_wrong_value_is_seen_in_output_and_gradients(index):
    right = judged(LAYER).answers
    given = [tensor.clone().float() for tensor in right]
    check("same", given, right)
    given[index].view(-1)[-1] += 0.01
    with pytest.raises(WrongAnswerError, match="output" if index == 0 else f"gradient {index}"):
        check("other", given, right)


def test_nan_and_other_shapes_are_refused():
    (right, *_) = judged(LAYER).answers
    with pytest.raises(WrongAnswerError, match="off by nan"):
        check("nan", [torch.full_like(right, torch.nan)], [right])
    with pytest.raises(WrongAnswerError, match="off by nan"):
        check("nan", [torch.full_like(right, torch.nan)], [right], (0.02,))
    with pytest.raises(WrongAnswerError, match="shape"):
        check("cut", [right[:1]], [right])


def test_no_gradient_comes_in_where_there_is_no_clear_winner():
    layer = Layer("tie", 1, 1, 4, 1, 1)
    conv = torch.tensor([[[[1.0, 1, 3, 2], [0, 0, 0, 0], [1e-6, -1, -2, -1], [-1, -1, -3, -4.0]]]])
    # a tie, a winner; a largest value beside 0, and one that is clearly negative
    assert answers._clear_winner(conv, layer).tolist() == [[[[0, 1], [0, 1]]]]
    assert judged(LAYER).grad_y.count_nonzero() > 0.99 * judged(LAYER).grad_y.numel()


@pytest.mark.parametrize("mode", networks.MODES)
@pytest.mark.parametrize("name", ["auto", "channels_last", "bf16 channels_last"])
def test_networks_answer_rightly(name, mode):
    problem = networks.judged(Network("single_layer_cnn", 4))
    candidate = networks.candidate(name, problem, mode, threads=1)
    before = problem.state["conv1.weight"].clone()
    candidate.run()
    assert torch.equal(problem.state["conv1.weight"], before), "all start from the same weights"


def test_another_network_is_refused():
    problem = networks.judged(Network("single_layer_cnn", 4))
    problem.answers[0][0, 0] += 1
    with pytest.raises(WrongAnswerError):
        networks.candidate("eager", problem, networks.INFERENCE, threads=1)


def test_a_layer_that_is_not_there_is_a_sentence():
    with pytest.raises(CnnzooError, match="only: auto, eager"):
        networks.build(Network("mnist_cnn", 1), "cuda")


def test_a_first_layer_gives_no_gradient_of_its_input():
    layer = Layer("first", 2, 1, 8, 4, 3, opens=True)
    candidate = blocks.candidate("eager", judged(layer), blocks.TRAINING)
    assert isinstance(candidate, Candidate)
    assert len(candidate.run()) == 3
