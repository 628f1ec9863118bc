"""The library that may be missing, broken or hidden, and what is then said."""

import json
import os
import subprocess
import sys

import pytest
import torch

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _native, conv_relu_maxpool, explain, set_isa

X, WEIGHT = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 3, 3)


def test_status_of_a_library_that_is_there(native):
    status = _native.status()
    assert status.reason is None
    assert status.isa in status.isas
    assert status.isas[-1] == "scalar"
    assert list(status.kernels) == ["float32", "bfloat16"]
    assert set(status.build) == {"compiler", "standard", "flags", "torch", "pybind11"}
    assert "-march=native" not in status.build["flags"]


def test_hidden_library(environment):
    environment(CNNZOO_NATIVE="0")
    status = _native.status()
    assert not status.available
    assert status.reason == "the native library is hidden by CNNZOO_NATIVE=0."
    choice = explain(X, WEIGHT)
    assert choice.implementation == "reference"
    assert choice.declined["native"] == "The native library is hidden by CNNZOO_NATIVE=0."
    assert conv_relu_maxpool(X, WEIGHT).shape == (1, 1, 3, 3)
    with pytest.raises(CnnzooError, match="cannot run: The native library is hidden"):
        conv_relu_maxpool(X, WEIGHT, implementation="native")
    with pytest.raises(CnnzooError, match="cannot be chosen: the native library is hidden"):
        set_isa("scalar")


def test_required_library(environment):
    environment(CNNZOO_NATIVE="0", CNNZOO_REQUIRE_NATIVE="1")
    with pytest.raises(CnnzooError, match="CNNZOO_REQUIRE_NATIVE is set, but the native library"):
        conv_relu_maxpool(X, WEIGHT)
    assert conv_relu_maxpool(X, WEIGHT, implementation="reference").shape == (1, 1, 3, 3)


def test_the_reason_of_a_failed_build_is_kept(environment, monkeypatch, tmp_path):
    monkeypatch.setattr(_native, "PACKAGE", tmp_path)
    environment()
    assert "was not built for this Python" in _native.status().reason
    (tmp_path / "_native_build.json").write_text(json.dumps({"reason": "g++ was out of paper"}))
    environment()
    assert _native.status().reason == "the native library was not built: g++ was out of paper."


def test_a_library_that_does_not_load(environment, monkeypatch):
    def refuse(name):
        raise ImportError("libtorch_cpu.so: undefined symbol: torch_parallel_for\nand more")

    monkeypatch.setattr(_native, "_path", lambda: _native.PACKAGE / "errors.py")
    monkeypatch.setattr(_native.importlib, "import_module", refuse)
    environment()
    reason = _native.status().reason
    assert f"does not load with torch {torch.__version__}: libtorch_cpu.so: undefined" in reason
    assert "\n" not in reason


def test_a_library_that_is_half_written(native, environment, monkeypatch, tmp_path):
    whole = _native._path().read_bytes()
    part = tmp_path / _native._path().name
    for length in (0, 10, 63, 64, 200, 4096, len(whole) // 2):
        part.write_bytes(whole[:length])
        assert _native._is_cut_short(part), length
    part.write_bytes(whole)
    assert not _native._is_cut_short(part)

    part.write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(_native, "PACKAGE", tmp_path)
    environment()
    assert "the file is not complete" in _native.status().reason


def test_choosing_an_instruction_set(native):
    before = native.current_isa()
    try:
        for name in native.isas():
            set_isa(name)
            assert _native.status().isa == name
            for dtype in (torch.float32, torch.bfloat16):
                isa = native.kernels_for(str(dtype).removeprefix("torch."))
                assert _native.status().kernels[str(dtype).removeprefix("torch.")] == isa
                assert isa in native.isas()
                assert explain(X.to(dtype), WEIGHT.to(dtype), implementation="native").isa == isa
        with pytest.raises(CnnzooError, match=r'expected .*scalar, got "avx1024"'):
            set_isa("avx1024")
        assert native.current_isa() == native.isas()[-1]
    finally:
        set_isa(before)


ASK = "import cnnzoo.ops as o, torch; print(o.status()); o.explain({x}, {w})"
ASK = ASK.format(x="torch.zeros(1, 1, 8, 8)", w="torch.zeros(1, 1, 3, 3)")


def run(**environment):
    environment = {**os.environ, "CNNZOO_REQUIRE_NATIVE": "0", **environment}
    command = [sys.executable, "-c", ASK]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_the_environment_names_an_instruction_set(native):
    done = run(CNNZOO_ISA="scalar")
    assert done.returncode == 0, done.stderr
    assert "isa='scalar'" in done.stdout


def test_the_environment_names_one_that_is_missing(native):
    done = run(CNNZOO_ISA="avx1024")
    assert "available=False" in done.stdout
    assert done.returncode != 0
    assert "CnnzooError: CNNZOO_ISA: expected " in done.stderr
    assert 'got "avx1024"' in done.stderr
