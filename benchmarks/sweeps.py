"""How the operator's lead changes with threads, batch and channels; and what a call costs at all.

Each sweep compares our operator with eager PyTorch in both layouts, answers asserted first. In the
sweep of threads a candidate is "name, threads": all are in one comparison, so that the scaling of
each can be read from the same rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from benchmarks import answers, blocks, timing
from benchmarks.answers import Problem, WrongAnswerError
from benchmarks.results import Case
from benchmarks.workloads import TINY, TUTORIAL_1, TUTORIAL_2, Layer, batch_sweep, channels_sweep
from cnnzoo.errors import CnnzooError

THREADS, BATCH, CHANNELS, CALL = "threads", "batch", "channels", "call"
NAMES = ("native", blocks.EAGER, "channels_last")
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
WIDTHS = (1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 512)


def batch(batches: Sequence[int], rounds: int, turn: float) -> Iterator[Case]:
    """The tutorial's second layer at other batches."""
    for each in batches:
        for mode in blocks.MODES:
            yield _case(BATCH, batch_sweep(each), mode, rounds, turn)


def channels(widths: Sequence[int], rounds: int, turn: float) -> Iterator[Case]:
    """C to C channels at 14 px."""
    for each in widths:
        for mode in blocks.MODES:
            yield _case(CHANNELS, channels_sweep(each), mode, rounds, turn)


def call(rounds: int, turn: float) -> Iterator[Case]:
    """One image of 4 px: what a call costs when there is nothing to compute."""
    for mode in blocks.MODES:
        yield _case(CALL, TINY, mode, rounds, turn, ("native", "auto", blocks.EAGER))


def threads(most: int, rounds: int, turn: float) -> Iterator[Case]:
    """The tutorial's layers on 1 thread, 2, 4 … up to ``most``.

    Raises:
        CnnzooError: there is one thread only.
    """
    counts = [n for n in (1, 2, 4, 8, 16, 32, 64) if n < most] + [most]
    if len(counts) < 2:
        raise CnnzooError("Scaling needs at least two threads: --threads 2.")
    try:
        for layer in (TUTORIAL_1, TUTORIAL_2):
            for mode in blocks.MODES:
                yield _thread_case(layer, mode, counts, rounds, turn)
    finally:
        torch.set_num_threads(most)


def _thread_case(layer: Layer, mode: str, counts: Sequence[int], rounds: int, turn: float) -> Case:
    case = Case(THREADS, layer.name, mode, layer.batch, sizes={"threads": list(counts)})
    ready = _contenders(case, answers.judged(layer), mode, NAMES)
    contenders: dict[str, timing.Contender] = {}
    for name, one in ready.items():
        for count in counts:

            def use(count: int = count) -> None:
                torch.set_num_threads(count)

            contenders[f"{name}, {count}"] = timing.Candidate(one.run, before=use)
    case.turns = timing.alternate(contenders, rounds, turn, warm_up=turn)
    return case


def _case(
    section: str,
    layer: Layer,
    mode: str,
    rounds: int,
    turn: float,
    names: Sequence[str] = NAMES,
) -> Case:
    case = Case(section, layer.name, mode, layer.batch)
    contenders = _contenders(case, answers.judged(layer), mode, names)
    case.turns = timing.alternate(contenders, rounds, turn, warm_up=turn)
    return case


def _contenders(
    case: Case, problem: Problem, mode: str, names: Sequence[str]
) -> dict[str, timing.Candidate]:
    """Those that can run and answer rightly; the others are noted in ``case``."""
    ready = {}
    for name in names:
        try:
            ready[name] = blocks.candidate(name, problem, mode)
        except WrongAnswerError as error:
            case.refused[name] = str(error)
        except CnnzooError as error:
            case.skipped[name] = str(error)
    return ready
