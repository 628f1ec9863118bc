"""bfloat16 against everyone's bfloat16: the tutorial's blocks, its training step, its inference.

    tutorial conv1, conv2    forward + backward, each alone
    both blocks              the same, one after the other, as inside `mnist_cnn`
    mnist_cnn                training step with optimizer, and inference

Everyone computes under autocast with float32 weights, which is how bfloat16 is trained. In
inference there are also models whose weights are bfloat16 ("weights"), ours as one call ("frozen"),
OpenVINO in bfloat16, and ONNX Runtime, which has float32 only. Ours in float32 is shown beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import answers, blocks, kernels, networks, peers, timing
from benchmarks.answers import Problem
from benchmarks.contests import NOT_COMPILED, contest
from benchmarks.results import Case
from benchmarks.workloads import NETWORKS, TUTORIAL_1, TUTORIAL_2, Layer, Network

SECTION = "bf16"
OURS = "bf16 native"  # the ratios in tables and picture are to it
FLOAT32 = "native"
BOTH = "both blocks"
# Instruction sets with kernels of their own for bfloat16, and the one that most machines compute
# it in float32 with; best first.
ISAS = ("amx", "avx512_bf16", "avx512")
BLOCK_NAMES = (OURS, "bf16 auto", "bf16 eager", "bf16 channels_last", "bf16 compiled", FLOAT32)


def measure(
    rounds: int,
    turn: float,
    threads: int,
    quick: bool,
    layers: Sequence[Layer] = (TUTORIAL_1, TUTORIAL_2),
    network: Network = NETWORKS[0],
) -> Iterator[Case]:
    """Everyone on the blocks and the network; ``layers`` follow one another."""
    for layer in layers:
        problem = answers.judged(layer)

        def block(name: str, problem: Problem = problem) -> timing.Candidate:
            return blocks.candidate(name, problem, blocks.TRAINING)

        case = Case(SECTION, layer.name, blocks.TRAINING, layer.batch)
        yield _everyone(case, BLOCK_NAMES, block, rounds, turn, quick)
    pair = judged_pair(*layers)
    case = Case(SECTION, BOTH, blocks.TRAINING, layers[0].batch)
    yield _everyone(case, BLOCK_NAMES, lambda name: both(name, pair), rounds, turn, quick)
    whole = networks.judged(network)
    for mode in (networks.TRAINING, networks.INFERENCE):

        def one(name: str, mode: str = mode) -> timing.Candidate:
            return networks.candidate(name, whole, mode, threads)

        case = Case(SECTION, network.name, mode, network.batch)
        yield _everyone(case, names(mode), one, rounds, turn, quick)


def measure_kernels(rounds: int, turn: float, isas: Sequence[str]) -> Iterator[Case]:
    """The kernels in bfloat16 beside the peak of bfloat16, on one thread."""
    there = [isa for isa in ISAS if isa in isas] or list(isas[:1])
    layers = (TUTORIAL_1, TUTORIAL_2)
    return kernels.measure(layers, there, rounds, turn, torch.bfloat16)


def names(mode: str) -> list[str]:
    """Who competes on the network."""
    if mode == networks.TRAINING:
        return [*BLOCK_NAMES]
    engines = [name for name in peers.PEERS if name != "openvino"]
    return [*networks.BFLOAT16_INFERENCE, *BLOCK_NAMES, *engines]


def shown(name: str) -> str:
    """Name a candidate among those of bfloat16.

    >>> shown("bf16 eager"), shown("native")
    ('bf16 eager', 'native, float32')
    """
    return name if name.startswith("bf16 ") else f"{name}, float32"


def judged_pair(first: Layer, second: Layer) -> tuple[Problem, Problem, tuple[Tensor, ...]]:
    """Two blocks in a row, and the right answers in float64: y, then weight and bias of each."""
    one, two = answers.unjudged(first), answers.unjudged(second)
    leaves = [leaf.double().requires_grad_() for p in (one, two) for leaf in (p.weight, p.bias)]
    y = one.x.double()
    for problem, weight, bias in ((one, *leaves[:2]), (two, *leaves[2:])):
        layer = problem.layer
        y = F.relu(F.conv2d(y, weight, bias, layer.stride, layer.padding))
        y = F.max_pool2d(y, layer.pool, layer.pool_stride, layer.pool_padding)
    return one, two, (y.detach(), *torch.autograd.grad(y, leaves, two.grad_y.double()))


def both(name: str, pair: tuple[Problem, Problem, tuple[Tensor, ...]]) -> timing.Candidate:
    """Both blocks one after the other, the gradient of four parameters, judged.

    Raises:
        WrongAnswerError: it computes something else.
        CnnzooError: it cannot run here, a sentence says why.
    """
    one, two, right = pair
    way = blocks.EVERY_WAY[name]
    of_weight = torch.channels_last if way.channels_last else torch.contiguous_format
    if way.implementation:  # our kernels repack the weights themselves
        of_weight = torch.contiguous_format
    leaves = [
        leaf.clone(memory_format=of_weight) if leaf.dim() == 4 else leaf.clone()
        for problem in (one, two)
        for leaf in (problem.weight, problem.bias)
    ]
    for leaf in leaves:
        leaf.requires_grad_()
    dtype = torch.bfloat16 if way.bfloat16 else torch.float32
    inner = torch.channels_last if way.channels_last else torch.contiguous_format
    grad_y = two.grad_y.to(dtype, memory_format=inner)
    first, second = blocks._block(way, one), blocks._block(way, two)

    def training() -> tuple[Tensor, ...]:
        with torch.autocast("cpu", torch.bfloat16, enabled=way.bfloat16):
            y = second(first(one.x, *leaves[:2]), *leaves[2:])
        return y.detach(), *torch.autograd.grad(y, leaves, grad_y)

    limits = (answers.NETWORK,) * 5
    if way.bfloat16:
        limits = (answers.BFLOAT16_OUTPUT, *[answers.BFLOAT16_GRADIENT] * 4)
    answers.check(name, training(), right, limits)
    return timing.Candidate(training)


def _everyone(
    case: Case,
    who: Sequence[str],
    make: Callable[[str], timing.Contender],
    rounds: int,
    turn: float,
    quick: bool,
) -> Case:
    makers: dict[str, Any] = {name: lambda name=name: make(name) for name in who}
    for name in who:
        if quick and name.endswith("compiled"):
            del makers[name]
            case.skipped[name] = NOT_COMPILED
    return contest(case, makers, rounds, turn)
