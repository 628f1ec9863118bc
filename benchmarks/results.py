"""What was measured, and the JSON it is kept in.

A `Case` is one comparison: everyone's turns in the same rounds. Figures and ratios are derived from
the turns; the file has both, so that it can be read without this code, and reading takes the turns.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import timing
from benchmarks.timing import Spread
from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write

VERSION = 1


@dataclass
class Case:
    """One workload in one mode.

    Attributes:
        section: of the report: layers, networks, kernels, memory, threads, batch, channels, call.
        workload: its name.
        mode: as "forward + backward".
        images: in a call, so that figures can be given an image.
        turns: candidate → one figure a round, in ``unit``.
        skipped: candidate → the sentence that says why it has no figures.
        refused: candidate → what was wrong with its answer.
        unit: of turns: seconds a call, or bytes a call.
        sizes: what the workload is made of.
    """

    section: str
    workload: str
    mode: str
    images: int
    turns: dict[str, list[float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unit: str = "seconds"
    sizes: dict[str, Any] = field(default_factory=dict)

    def per_image(self, name: str) -> Spread:
        """Seconds (or bytes) an image."""
        return Spread.of([turn / self.images for turn in self.turns[name]])

    def ratio(self, name: str, to: str) -> Spread | None:
        """How many times the figure of ``to`` that of ``name`` is; None where one is missing."""
        if name not in self.turns or to not in self.turns:
            return None
        return timing.ratio(self.turns[name], self.turns[to])

    def best(self, names: Iterable[str]) -> str | None:
        """Who of ``names`` has the smallest median; None where none was measured."""
        there = [name for name in names if name in self.turns]
        return min(there, key=lambda name: self.per_image(name).median, default=None)


@dataclass
class Results:
    """A run of the suite: the machine, how it was measured, and the cases."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    cases: list[Case] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # section → why it is missing

    def section(self, name: str) -> list[Case]:
        return [case for case in self.cases if case.section == name]

    def find(self, section: str, workload: str, mode: str) -> Case | None:
        for case in self.section(section):
            if (case.workload, case.mode) == (workload, mode):
                return case
        return None

    def save(self, path: Path, targets: list[dict[str, Any]]) -> None:
        """Write everything, with the verdicts on the targets."""
        content = {
            "version": VERSION,
            "machine": self.machine,
            "settings": self.settings,
            "targets": targets,
            "skipped": self.skipped,
            "cases": [
                {**dataclasses.asdict(case), "derived": derived(case)} for case in self.cases
            ],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote.

        Raises:
            CnnzooError: the file is not one of these.
        """
        try:
            content = json.loads(path.read_text())
            if content["version"] != VERSION:
                raise CnnzooError(f"{path}: version {content['version']}, expected {VERSION}.")
            names = {each.name for each in dataclasses.fields(Case)}
            cases = [
                Case(**{name: value for name, value in case.items() if name in names})
                for case in content["cases"]
            ]
            return cls(content["machine"], content["settings"], cases, content["skipped"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, CnnzooError):
                raise
            raise CnnzooError(f"{path} is no file of results: {error}.") from error


def derived(case: Case) -> dict[str, Any]:
    """Figures an image, and how many times longer than the first candidate each takes."""
    subject = next(iter(case.turns), None)
    figures = {}
    for name in case.turns:
        ratio = case.ratio(name, subject) if subject else None
        figures[name] = {
            f"{case.unit} an image": dataclasses.asdict(case.per_image(name)),
            f"times {subject}": dataclasses.asdict(ratio) if ratio else None,
            "rounds": len(case.turns[name]),
        }
    return figures
