"""Tables of the site hold what is registered, lies in a folder, or was measured."""

import doctest
import json
import re

import pytest

pytest.importorskip("sphinx", reason="needs the extra `docs`")
from documents import ROOT
from test_architecture import ARROWS
from zoodocs import commands, fresh, light_dark, results, rst, tables

from cnnzoo import registry
from cnnzoo.train.recipes import list_recipes


def first_cells(text):
    return re.findall(r"^   \* - ``([^`]+)``", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("write", "shelf"),
    [
        (tables.models, registry.models),
        (tables.layers, registry.layers),
        (tables.data, registry.datasets),
    ],
)
def test_everything_registered_has_a_row(write, shelf):
    own = [name for name in shelf.names() if shelf.info(name).plugin is None]
    assert first_cells(write()) == own


def test_what_a_tutorial_registers_is_gone_before_the_next():
    fresh.forget({}, "one.py")
    registry.models.register("of_a_tutorial")(lambda: None)
    assert "of_a_tutorial" in registry.models
    assert "of_a_tutorial" not in first_cells(tables.models())
    fresh.forget({}, "two.py")
    assert "of_a_tutorial" not in registry.models


def test_recipes_arrows_and_instruction_sets_have_rows():
    assert first_cells(tables.recipes()) == list_recipes()
    assert first_cells(tables.arrows())[: len(ARROWS)] == list(ARROWS)
    isas = first_cells(tables.isas())
    assert set(isas) == {p.stem.removeprefix("isa_") for p in (ROOT / "csrc/cpu").glob("isa_*.cpp")}
    assert isas[-1] == "scalar"  # the best first


def test_every_command_has_a_section_with_its_options():
    text = commands.commands()
    for file in (ROOT / "cnnzoo/cli").glob("[a-z]*.py"):
        assert f".. _command-{file.stem.replace('_', '-')}:" in text
    assert "``--batch-size INTEGER``" in text
    assert "\b" not in text


def page_of(tmp_path, content):
    file = tmp_path / "some-machine.json"
    file.write_text(json.dumps(content))
    return "\n".join(results.page_of(file))


MACHINE = {
    "cpu": "A_processor",
    "threads": 2,
    "cores": 2,
    "isa": "avx2",
    "versions": {"torch": "2"},
}


def test_comparison_becomes_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "PICTURES", tmp_path)
    turns = {"native": [0.001] * 3, "eager": [0.004] * 3}
    case = {"section": "networks", "workload": "mnist_cnn", "mode": "inference", "images": 100}
    kept = {"section": "memory", "workload": "conv1", "mode": "kept", "images": 1, "unit": "bytes"}
    page = page_of(
        tmp_path,
        {
            "version": 1,
            "machine": MACHINE | {"interruptions_a_second": 99},
            "settings": {"rounds": 3},
            "targets": [
                {"what": "x *2", "measured": {"median": 4.0, "low": 4.0, "high": 4.0}, "met": True}
            ],
            "skipped": {},
            "cases": [
                case | {"turns": turns},
                kept | {"turns": {"native": [10.0], "eager": [99.0]}},
            ],
        },
    )
    assert "A\\_processor" in page
    assert "busy" in page
    assert "- 10.0\n     - 4.00 (4.00\u2060–\u20604.00)" in page  # µs an image, and the ratio
    assert "- 99\n     - 10\n" in page
    assert "x \\*2" in page
    assert (tmp_path / "some-machine.png").stat().st_size > 1000


def test_training_becomes_a_table(tmp_path):
    runs = [
        {"seed": 0, "seconds": 2.0, "accuracy": 0.99},
        {"seed": 1, "seconds": 4.0, "accuracy": 0.98},
    ]
    part = {"model": "mnist_cnn", "recipe": "fast", "data": "mnist", "runs": runs}
    page = page_of(tmp_path, {"machine": MACHINE, "fast": part, "tutorial": {"ratios": [4, 5, 6]}})
    assert "3.0 ± 1.4" in page
    assert "98.50 ± 0.71 %" in page
    assert "98.00 %" in page
    assert "5.0 times (4.0–6.0)" in page


def test_every_committed_result_has_a_section(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "PICTURES", tmp_path)
    monkeypatch.setattr("benchmarks.picture.draw", lambda found, path: None)
    text = results.results()
    files = sorted(file.stem for file in (ROOT / "benchmarks/results").glob("*.json"))
    assert sorted(re.findall(r"^\.\. _results-(.+):$", text, re.MULTILINE)) == files


@pytest.mark.parametrize("module", [rst, light_dark])
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
