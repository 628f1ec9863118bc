"""A run from the command line to its files, where what it wants is not there."""

import json

import pytest
import torch

from benchmarks import compare, peak
from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _native


@pytest.fixture
def no_library(monkeypatch):
    """The native library, hidden for a test."""
    monkeypatch.setenv("CNNZOO_NATIVE", "0")
    monkeypatch.delenv("CNNZOO_REQUIRE_NATIVE", raising=False)
    _native.reload()
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    monkeypatch.undo()
    _native.reload()


def test_a_run_without_the_native_library_is_sentences(no_library, tmp_path, capsys):
    line = "--quick --only call kernels memory --rounds 2 --turn 0.0001 --threads 1 --name bare"
    options = compare.parse([*line.split(), "--out", str(tmp_path)])
    assert compare.run(options) == 0
    printed = capsys.readouterr().out
    assert "hidden by CNNZOO_NATIVE=0" in printed
    content = json.loads((tmp_path / "bare.json").read_text())
    assert content["machine"]["isa"].startswith("none")
    assert content["settings"]["rounds"] == 2
    case = content["cases"][0]
    assert "hidden" in case["skipped"]["native"]
    assert "No kernels to measure" in content["skipped"]["kernels"]
    assert content["skipped"]["layers"] == "--only left it out."
    call = next(case for case in content["cases"] if case["section"] == "call")
    assert set(call["turns"]) == {"auto", "eager"}
    assert (tmp_path / "bare.png").stat().st_size > 10_000

    assert compare.main(["--show", str(tmp_path / "bare.json")]) == 0
    assert "Kept for backward" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_a_sentence(tmp_path, capsys):
    assert compare.main(["--show", str(tmp_path / "none.json")]) == 2
    assert "no file of results" in capsys.readouterr().err


def test_a_peak_that_cannot_be_measured_is_a_sentence(monkeypatch):
    with pytest.raises(CnnzooError, match="not for neon"):
        peak.require("neon")
    peak._library.cache_clear()
    monkeypatch.setattr(peak.shutil, "which", lambda name: None)
    with pytest.raises(CnnzooError, match=r"C\+\+ compiler|x86-64"):
        peak.require("avx2")
