"""Layers and networks against everyone: answers first, then turns.

Whoever cannot run here is noted with the sentence that says why, and whoever answers wrongly is
refused; neither stops the others.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import blocks, networks, timing
from benchmarks.answers import WrongAnswerError
from benchmarks.answers import judged as judged_layer
from benchmarks.default_malloc import DefaultMalloc
from benchmarks.results import Case
from benchmarks.workloads import Layer, Network
from cnnzoo.errors import CnnzooError

LAYERS, NETWORKS = "layers", "networks"
NOT_COMPILED = "--quick leaves torch.compile out: it compiles longer than everything else runs."


def contest(
    case: Case,
    makers: dict[str, Callable[[], timing.Contender]],
    rounds: int,
    turn: float,
) -> Case:
    """Make the candidates, refuse those with wrong answers, and time the rest."""
    ready: dict[str, timing.Contender] = {}
    for name, make in makers.items():
        try:
            ready[name] = make()
        except WrongAnswerError as error:
            case.refused[name] = str(error)
        except CnnzooError as error:
            case.skipped[name] = str(error)
    if ready:
        case.turns = timing.alternate(ready, rounds, turn)
    return case


def layer(
    each: Layer, mode: str, rounds: int, turn: float, child: DefaultMalloc, quick: bool
) -> Case:
    """Everyone on a layer."""
    case = Case(LAYERS, each.name, mode, each.batch, sizes={"x": each.x_shape, **each.sizes})
    problem = judged_layer(each)
    makers: dict[str, Callable[[], timing.Contender]] = {}
    for name in blocks.WAYS:
        makers[name] = lambda name=name: blocks.candidate(name, problem, mode)
    makers[blocks.DEFAULT_MALLOC] = lambda: child.prepare(each, mode)
    _leave_out_compiled(case, makers, quick)
    return contest(case, makers, rounds, turn)


def network(
    each: Network, mode: str, rounds: int, turn: float, child: DefaultMalloc, threads: int,
    quick: bool,
) -> Case:  # fmt: skip
    """Everyone on a network."""
    case = Case(NETWORKS, each.name, mode, each.batch)
    problem = networks.judged(each)
    makers: dict[str, Callable[[], timing.Contender]] = {}
    for name in networks.names(mode):
        makers[name] = lambda name=name: networks.candidate(name, problem, mode, threads)
    makers[networks.DEFAULT_MALLOC] = lambda: child.prepare(each, mode)
    _leave_out_compiled(case, makers, quick)
    return contest(case, makers, rounds, turn)


def _leave_out_compiled(case: Case, makers: dict, quick: bool) -> None:
    if quick:
        del makers["compiled"]
        case.skipped["compiled"] = NOT_COMPILED
