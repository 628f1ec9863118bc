"""Cards and facts → the tables in docs/models.md, between two marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.cards.facts import Facts
from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write
from cnnzoo.weights import Card

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- made by `make cards`: begin -->", "<!-- made by `make cards`: end -->"


def tables(models: Mapping[str, Facts], cards: Sequence[Card]) -> str:
    """Return the text between the marks."""
    return "\n".join(
        [
            "## Trained weights",
            *_markdown(
                ["weights", "test accuracy", "recipe", "training", "inference", "kB"],
                [_weights_row(card) for card in cards],
            ),
            "",
            _where(cards),
            "",
            "## All models",
            *_markdown(
                ["model", "parameters", "MACs", "input", "smallest", "weights"],
                [_model_row(name, facts, cards) for name, facts in models.items()],
            ),
            "",
            "Input is channels × height × width at the default arguments, and what the MACs",
            "(multiply-adds of one image) are counted for; smallest is the height and width, in",
            "pixels, of the smallest image that the model can be built for.",
        ]
    )


def read(page: Path = PAGE) -> str:
    """Return the text between the marks as it is now.

    Raises:
        CnnzooError: the page has no such marks.
    """
    return _split(page)[1]


def write(text: str, page: Path = PAGE) -> None:
    """Put the text between the marks."""
    before, _, after = _split(page)
    with atomic_write(page) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _split(page: Path) -> tuple[str, str, str]:
    before, found, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    text, ended, after = rest.partition(END)
    if not (found and ended):
        raise CnnzooError(f"{page} has lost its marks, {BEGIN} and {END}: put them back.")
    return before, text.strip("\n"), after


def _weights_row(card: Card) -> list[str]:
    speed, seeds = card.speed or {}, len(card.accuracy["seeds"])
    return [
        f"`{card.name}`",
        f"{card.accuracy_in_words} ({seeds} seed{'s' if seeds > 1 else ''})",
        f"`{card.recipe['name']}`",
        *(
            f"{speed[key]:.1f} µs" if key in speed else "–"
            for key in ("training_us", "inference_us")
        ),
        f"{card.weights['bytes'] / 1000:.0f}",
    ]


def _where(cards: Sequence[Card]) -> str:
    """Say where the times are from; cards of several machines are several sentences."""
    known = [card.speed for card in cards if card.speed]
    machines = dict.fromkeys(
        f"Times are per image in batches of {speed['batch']}, float32, on {speed['threads']} "
        f"thread{'s' if speed['threads'] > 1 else ''} of an {speed['cpu']} ({speed['isa']}), "
        f"torch {speed['torch']}."
        for speed in known
    )
    return "\n".join(machines) or "Times have not been measured."


def _model_row(name: str, facts: Facts, cards: Sequence[Card]) -> list[str]:
    side = facts.smallest_input
    return [
        f"`{name}`",
        f"{facts.parameters:,}",
        f"{facts.macs:,}",
        " × ".join(map(str, facts.input)),
        f"{side} × {side}",
        ", ".join(f"`{card.data['name']}`" for card in cards if card.model == name),
    ]


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows)]
