"""Run folders → weights in the package, each with its card.

The runs of one model on one data set are told apart by their seeds alone. The lowest seed is the
one that is bundled: chosen before anybody saw a test accuracy.
"""

from __future__ import annotations

import shutil
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cards.facts import facts_of, recipe_hash, recipe_of
from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write
from cnnzoo.model_file import ModelFile, read_model_file
from cnnzoo.train.hashes import weights_hash
from cnnzoo.train.history import History
from cnnzoo.train.receipt import read_receipt
from cnnzoo.weights import Card
from cnnzoo.weights._cards import FOLDER, sha256_of, write_card

LARGEST = 3_000_000  # bytes of all bundled weights together


@dataclass(frozen=True)
class Run:
    """A run that has ended."""

    path: Path
    receipt: dict[str, Any]
    file: ModelFile
    accuracy: float

    @classmethod
    def read(cls, path: Path) -> Run:
        """Read a run folder.

        Raises:
            CnnzooError: it has not ended, has no test accuracy, or its weights are not those of its
                receipt.
        """
        receipt, file = read_receipt(path), read_model_file(path)
        accuracy = History.from_csv(path / "history.csv")[-1].test_accuracy
        if accuracy is None or not file.classes or file.preprocessing is None:
            raise CnnzooError(f"{path} lacks a test accuracy, class names or preprocessing.")
        if weights_hash(file.weights) != receipt["weights"]["final"]:
            raise CnnzooError(f"{file.path} does not hold the weights that the run ended with.")
        return cls(path, receipt, file, accuracy)

    @property
    def seed(self) -> int:
        seed: int = self.receipt["config"]["seed"]
        return seed

    @property
    def what(self) -> dict[str, Any]:
        """What runs of one card must have in common."""
        settings = {k: v for k, v in self.receipt["config"].items() if k != "seed"}
        data = {"name": self.receipt["record"]["data"]["name"], **self.receipt["data"]}
        return {"spec": self.receipt["spec"], "config": settings, "data": data}


def bundle(paths: Iterable[Path], folder: Path = FOLDER) -> list[Card]:
    """Write weights and cards; return the cards.

    Raises:
        CnnzooError: runs of one card differ in more than their seed, or the files become too large.
    """
    groups: dict[str, list[Run]] = defaultdict(list)
    for path in paths:
        run = Run.read(path)
        groups[f"{run.what['spec']['model']}-{run.what['data']['name']}"].append(run)
    cards = [_card(name, sorted(runs, key=lambda run: run.seed)) for name, runs in groups.items()]
    for card, runs in zip(cards, groups.values(), strict=True):
        first = min(runs, key=lambda run: run.seed)
        with atomic_write(folder / f"{card.name}.safetensors") as temporary:
            shutil.copyfile(first.file.path, temporary)
        write_card(card, folder)
    total = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if total > LARGEST:
        raise CnnzooError(f"The bundled weights are {total:,} bytes; at most {LARGEST:,} ship.")
    return cards


def _card(name: str, runs: list[Run]) -> Card:
    first, what = runs[0], runs[0].what
    for other in runs[1:]:
        different = [key for key in what if other.what[key] != what[key]]
        if different or other.seed == first.seed:
            raise CnnzooError(
                f"{other.path} and {first.path} must differ in their seeds alone; they differ in "
                f"{', '.join(different) or 'nothing'}."
            )
    facts, recipe = facts_of(what["spec"]), recipe_of(first.receipt["config"])
    found = [run.accuracy for run in runs]
    session = first.receipt["sessions"][-1]
    return Card(
        name=name,
        model=what["spec"]["model"],
        data=what["data"],
        recipe={"name": recipe, "sha256": recipe_hash(recipe)},
        accuracy={
            "mean": statistics.mean(found),
            "deviation": statistics.stdev(found) if len(found) > 1 else 0.0,
            "seeds": {str(run.seed): run.accuracy for run in runs},
        },
        weights={
            "seed": first.seed,
            "sha256": sha256_of(first.file.path),
            "bytes": first.file.path.stat().st_size,
        },
        trained={key: session[key] for key in ("cnnzoo", "torch", "cpu", "threads")},
        parameters=facts.parameters,
        macs=facts.macs,
        smallest_input=facts.smallest_input,
    )
