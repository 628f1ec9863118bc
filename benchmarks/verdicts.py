"""A target beside what was measured, and how one becomes the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.results import Case
from benchmarks.timing import Spread


@dataclass(frozen=True)
class Verdict:
    """A target beside what was measured.

    Attributes:
        what: the target, with its number.
        goal: the number.
        measured: with its spread; None where it was not measured.
        at_most: the number is a ceiling, not a floor.
        note: who it was measured against, or why it was not.
    """

    what: str
    goal: float
    measured: Spread | None
    at_most: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        median = self.measured.median
        return median <= self.goal if self.at_most else median >= self.goal

    def as_dict(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "met": self.met}


def against(
    what: str, goal: float, case: Case | None, peers: Iterable[str], ours: str = "native"
) -> Verdict:
    """The best of ``peers`` against ours."""
    best = case.best(peers) if case else None
    if case is None or best is None or ours not in case.turns:
        return Verdict(what, goal, None, note=why_missing(case, [ours, *peers]))
    return Verdict(what, goal, case.ratio(best, ours), note=f"against {best}")


def why_missing(case: Case | None, names: Iterable[str]) -> str:
    if case is None:
        return "not in this run"
    gone = {**case.skipped, **case.refused}
    return next((gone[name] for name in names if name in gone), "not in this run")


def micro_an_image(what: str, goal: float, case: Case | None, names: Iterable[str]) -> Verdict:
    """Microseconds an image of the fastest of ``names``, which must not be more than the goal."""
    names = list(names)
    best = case.best(names) if case else None
    if case is None or best is None:
        return Verdict(what, goal, None, at_most=True, note=why_missing(case, names))
    spread = case.per_image(best)
    micro = Spread(*(1e6 * value for value in dataclasses.astuple(spread)))
    return Verdict(what, goal, micro, at_most=True, note=best)
