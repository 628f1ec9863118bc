"""Who competes on whole networks: models of the zoo, built with each implementation of the layer.

A training step is forward, cross entropy, backward and SGD with momentum. Everyone gets torch's
fused SGD; only "eager, default malloc", the network as everyone writes it, has the optimizer's
default. In inference ONNX Runtime and OpenVINO compete too (`benchmarks.peers`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import cnnzoo
from benchmarks import answers, peers
from benchmarks.timing import Candidate
from benchmarks.workloads import Network
from cnnzoo.errors import CnnzooError
from cnnzoo.layers import implementations

INFERENCE, TRAINING = "inference", "training step"
MODES = (INFERENCE, TRAINING)
LEARNING_RATE = 1e-4  # small: the thousandth step on the same batch should still be like the first


@dataclass(frozen=True)
class Way:
    """As `benchmarks.blocks.Way`, for a model."""

    layer: str = "eager"
    channels_last: bool = False
    compiled: bool = False
    bfloat16: bool = False  # under autocast
    fused_optimizer: bool = True
    bfloat16_weights: bool = False  # by model.bfloat16(): inference only
    frozen: bool = False  # by cnnzoo.freeze: inference only

    @property
    def low(self) -> bool:
        """Whether answers are those of bfloat16."""
        return self.bfloat16 or self.bfloat16_weights


EAGER, DEFAULT_MALLOC = "eager", "eager, default malloc"
WAYS = {
    "native": Way("native"),
    "auto": Way("auto"),
    EAGER: Way(),
    "channels_last": Way(channels_last=True),
    "compiled": Way(channels_last=True, compiled=True),
    "bf16 auto": Way("auto", bfloat16=True),
    "bf16 channels_last": Way(channels_last=True, bfloat16=True),
}
AS_EVERYONE_WRITES_IT = Way(fused_optimizer=False)
# Who competes in `benchmarks.bfloat16` besides.
BFLOAT16_WAYS = {
    "bf16 native": Way("native", bfloat16=True),
    "bf16 eager": Way(bfloat16=True),
    "bf16 compiled": Way(channels_last=True, compiled=True, bfloat16=True),
}
BFLOAT16_INFERENCE = {
    "frozen": Way("auto", frozen=True),
    "bf16 frozen": Way("auto", bfloat16_weights=True, frozen=True),
    "bf16 weights native": Way("native", bfloat16_weights=True),
    "bf16 weights auto": Way("auto", bfloat16_weights=True),
    "bf16 weights channels_last": Way(channels_last=True, bfloat16_weights=True),
}
EVERY_WAY = WAYS | BFLOAT16_WAYS | BFLOAT16_INFERENCE


@dataclass(frozen=True)
class Problem:
    """A batch, the weights that all start from, and the answers in float64."""

    network: Network
    images: Tensor
    labels: Tensor
    state: dict[str, Tensor]
    answers: tuple[Tensor, ...] = ()  # logits, then the gradient of every parameter


def unjudged(network: Network) -> Problem:
    """Draw a batch and weights, always the same ones."""
    draw = torch.Generator().manual_seed(0)
    shape = (network.batch, network.channels, network.size, network.size)  # (N, C, H, H)
    images = torch.rand(shape, generator=draw)
    labels = torch.randint(network.classes, (network.batch,), generator=draw)
    torch.manual_seed(0)
    return Problem(network, images, labels, build(network, "eager").state_dict())


def judged(network: Network) -> Problem:
    """The same with the answers."""
    raw = unjudged(network)
    model = build(network, "eager").double()
    model.load_state_dict(raw.state)
    logits = model(raw.images.double())
    F.cross_entropy(logits, raw.labels).backward()
    grads = [p.grad for p in model.parameters()]
    return Problem(network, raw.images, raw.labels, raw.state, (logits.detach(), *grads))


def build(network: Network, layer: str) -> nn.Module:
    """Build the model.

    Raises:
        CnnzooError: there is no such implementation of the layer, or it cannot run here.
    """
    known = implementations("conv_relu_maxpool")
    if layer not in known:
        raise CnnzooError(
            f'No implementation "{layer}" of the layer conv_relu_maxpool is installed, only: '
            f"{', '.join(known)}."
        )
    return cnnzoo.build(network.name, conv_relu_maxpool=layer)


def names(mode: str) -> list[str]:
    """Who competes: the inference engines in inference only."""
    return [*WAYS, *(peers.PEERS if mode == INFERENCE else ())]


def candidate(name: str, problem: Problem, mode: str, threads: int) -> Candidate:
    """Make a candidate, and judge it where the problem has answers.

    Raises:
        WrongAnswerError: it computes something else.
        CnnzooError: it cannot run here, a sentence says why.
    """
    if name in peers.PEERS:
        model = build(problem.network, "eager")
        model.load_state_dict(problem.state)
        call = peers.PEERS[name](model.eval(), problem.images, threads)
        low = name.startswith("bf16")
    else:
        way = EVERY_WAY[name]
        call, low = prepare(way, problem, mode), way.low
    if problem.answers:
        given = call()
        first, rest = answers.NETWORK, answers.NETWORK
        if low:
            first, rest = answers.BFLOAT16_OUTPUT, answers.BFLOAT16_GRADIENT
        answers.check(name, given, problem.answers, (first, *[rest] * (len(given) - 1)))
    return Candidate(call)


def prepare(way: Way, problem: Problem, mode: str) -> Callable[[], tuple[Tensor, ...]]:
    """Build model and optimizer, and return the call that is timed.

    Raises:
        CnnzooError: this way does not run here.
    """
    model = build(problem.network, way.layer)
    model.load_state_dict(problem.state)
    inner = torch.channels_last if way.channels_last else torch.contiguous_format
    model = model.to(memory_format=inner)
    images, labels = problem.images.to(memory_format=inner), problem.labels
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(
        parameters, LEARNING_RATE, momentum=0.9, fused=way.fused_optimizer or None
    )
    run: Callable[[Tensor], Tensor] = model
    if way.compiled:
        torch._dynamo.reset()
        run = torch.compile(model, dynamic=False, fullgraph=True)

    def inference() -> tuple[Tensor, ...]:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=way.bfloat16):
            return (run(images),)

    def inference_without_autocast() -> tuple[Tensor, ...]:
        with torch.no_grad():  # a loader gives float32: its conversion is part of the work
            return (run(images.bfloat16() if way.bfloat16_weights else images),)

    def training() -> tuple[Tensor, ...]:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=way.bfloat16):
            logits = run(images)
            loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        return logits.detach(), *[p.grad for p in parameters]

    if mode == INFERENCE:
        model.eval()
        if way.bfloat16_weights:
            model.bfloat16()
        if way.frozen:
            run = _frozen(model, images.bfloat16() if way.bfloat16_weights else images)
        return inference_without_autocast if way.frozen or way.bfloat16_weights else inference
    model.train()
    return training


def _frozen(model: nn.Module, images: Tensor) -> nn.Module:
    """The whole model as one call.

    Raises:
        CnnzooError: it is not one call here.
    """
    frozen = cnnzoo.freeze(model, images)
    if not frozen.freeze_report.whole:
        raise CnnzooError(f"cnnzoo.freeze: {frozen.freeze_report.message}")
    return frozen
