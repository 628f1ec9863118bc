"""The build: what it reports, and that nothing but a wish for it stops an install."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnnzoo.ops import _native

ROOT = Path(__file__).parents[1]
pytest.importorskip("pybind11")
pytest.importorskip("setuptools")


def build(folder, **environment):
    """Run the build into a folder of its own; return the process and the report it left."""
    library, objects = str(folder / "lib"), str(folder / "objects")
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", library]
    command += ["build_ext", "--build-lib", library, "--build-temp", objects]
    clean = {name: v for name, v in os.environ.items() if not name.startswith("CNNZOO_")}
    done = subprocess.run(
        command, cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True
    )
    report = folder / "lib" / "cnnzoo" / "_native_build.json"
    return done, json.loads(report.read_text()) if report.exists() else None


def test_report_of_the_library_in_use():
    if _native._path() is None:
        pytest.skip("cnnzoo was installed without its native library")
    report = json.loads((_native.PACKAGE / "_native_build.json").read_text())
    assert report["built"] is True
    assert report["reason"] is None
    assert report["torch"] == _native.status().build["torch"]


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        ("/nonexistent/c++", "the compiler /nonexistent/c++ cannot be run"),
        ("false", "false stopped with exit code 1: no message"),
    ],
    ids=["missing", "failing"],
)
def test_a_build_that_fails_is_reported(tmp_path, compiler, reason):
    left = tmp_path / "lib" / "cnnzoo" / "_C.cpython-311-x86_64-linux-gnu.so"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of an earlier build")
    os.utime(left, (0, 0))
    done, report = build(tmp_path, CXX=compiler)
    assert done.returncode == 0, done.stderr
    assert report["built"] is False
    assert report["reason"].startswith(reason)
    assert "WARNING: cnnzoo goes without its native library: " + reason in done.stderr
    assert not left.exists()


def test_a_forced_build_that_fails_stops(tmp_path):
    done, report = build(tmp_path, CXX="/nonexistent/c++", CNNZOO_BUILD_NATIVE="1")
    assert done.returncode != 0
    assert "the compiler /nonexistent/c++ cannot be run" in done.stderr
    assert report is None


def test_pure_python_on_request(tmp_path):
    done, report = build(tmp_path, CXX="/nonexistent/c++", CNNZOO_BUILD_NATIVE="0")
    assert done.returncode == 0, done.stderr
    assert report["reason"] == "it was installed with CNNZOO_BUILD_NATIVE=0"
    assert (tmp_path / "lib" / "cnnzoo" / "errors.py").exists()
    assert not list((tmp_path / "lib" / "cnnzoo").glob("_C.*"))


def test_an_unknown_wish_is_refused(tmp_path):
    done, _ = build(tmp_path, CNNZOO_BUILD_NATIVE="yes")
    assert done.returncode != 0
    assert 'CNNZOO_BUILD_NATIVE: expected auto, 1 or 0, got "yes"' in done.stderr


@pytest.fixture
def setup_py(monkeypatch):
    monkeypatch.setenv("CNNZOO_BUILD_NATIVE", "auto")
    spec = importlib.util.spec_from_file_location("setup_py", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_torch_is_found_without_importing_it(setup_py, monkeypatch, tmp_path):
    import torch

    found = setup_py.find_torch()
    assert found.root == Path(torch.__file__).parent
    assert found.version == torch.__version__

    # Behind pip's isolation it cannot be imported, and lies where the environment installs to.
    monkeypatch.setattr(setup_py.importlib.util, "find_spec", lambda name: None)
    assert setup_py.find_torch() == found

    old = tmp_path / "torch"
    (old / "include/torch/csrc/stable").mkdir(parents=True)
    monkeypatch.setattr(setup_py.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(setup_py.site, "getsitepackages", lambda: [])
    monkeypatch.setattr(setup_py.site, "getusersitepackages", lambda: str(tmp_path))
    for version, accepted in (("2.9.1", False), ("2.10.0+cpu", True), ("3.0", True)):
        (old / "version.py").write_text(f"__version__ = '{version}'\n")
        assert (setup_py.find_torch() is not None) is accepted
    (old / "version.py").unlink()
    assert setup_py.find_torch() is None


def test_a_younger_header_makes_everything_stale(setup_py, monkeypatch, tmp_path):
    source, header, built = (tmp_path / name for name in ("a.cpp", "a.h", "a.o"))
    for age, path in ((30, source), (20, header), (10, built)):
        path.write_text("")
        os.utime(path, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(setup_py, "files", lambda patterns: [str(header)])
    assert not setup_py.is_stale(str(built), str(source))
    os.utime(header, (1e9, 1e9))
    assert setup_py.is_stale(str(built), str(source))
