"""The build of the CUDA library: who gets it, for which architectures, and why others do not."""

import json
import os
import subprocess
import sys

import pytest
from cuda_toolkit import ROOT, required_toolkit, setup_py

pytest.importorskip("pybind11")
KNOWN = {"75", "80", "86", "89", "90", "100", "120"}


def started(folder, **environment):
    """Run the build into a folder of its own, with a C++ compiler that is not there."""
    library, objects = str(folder / "lib"), str(folder / "objects")
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", library]
    command += ["build_ext", "--build-lib", library, "--build-temp", objects]
    gone = ("CNNZOO_", "FORCE_CUDA", "CUDA_", "TORCH_CUDA")
    clean = {name: v for name, v in os.environ.items() if not name.startswith(gone)}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**clean, "CXX": "/nonexistent/c++", **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def build(monkeypatch):
    """Return a function: the build's module, as it is under these variables."""

    def under(**environment):
        for name in ("CNNZOO_BUILD_NATIVE", "CNNZOO_BUILD_CUDA", "FORCE_CUDA"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return setup_py()

    return under


def test_architectures_are_those_that_nvcc_knows(build):
    gencode = build().gencode
    assert gencode("7.5 8.0+PTX", KNOWN) == [
        "-gencode=arch=compute_75,code=sm_75",
        "-gencode=arch=compute_80,code=sm_80",
        "-gencode=arch=compute_80,code=compute_80",
    ]
    assert gencode("5.0;9.0a,13.0", KNOWN) == ["-gencode=arch=compute_90a,code=sm_90a"]
    with pytest.raises(build().CompileError, match=r'architectures "3\.5" is known'):
        gencode("3.5", KNOWN)


def test_the_usual_architectures(build):
    flags = " ".join(build().gencode(build().CUDA_ARCHITECTURES, KNOWN))
    for number in KNOWN:
        assert f"code=sm_{number}" in flags
    assert flags.endswith("code=compute_120")


@pytest.mark.parametrize(
    ("variables", "mode"),
    [
        ({}, "auto"),
        ({"FORCE_CUDA": "1"}, "1"),
        ({"FORCE_CUDA": "0"}, "0"),
        ({"CNNZOO_BUILD_CUDA": "0", "FORCE_CUDA": "1"}, "0"),
        ({"CNNZOO_BUILD_CUDA": "1", "FORCE_CUDA": "0"}, "1"),
    ],
)
def test_who_asks_for_it(build, variables, mode):
    got = build(**variables).MODE_CUDA
    assert got == mode


def test_why_it_is_not_built(build, monkeypatch, tmp_path):
    assert build(CNNZOO_BUILD_CUDA="0").why_no_cuda() == "it was not asked for"
    module = build(FORCE_CUDA="1")
    monkeypatch.setattr(module, "TORCH", module.Torch(tmp_path, "2.14.0+cpu", None))
    assert module.why_no_cuda() == "this torch has no CUDA"
    monkeypatch.setattr(module, "TORCH", module.Torch(tmp_path, "2.14.0+cu130", "13.0"))
    old = module.Toolkit(tmp_path, tmp_path / "nvcc", "12.8")
    monkeypatch.setattr(module, "find_toolkit", lambda: old)
    assert module.why_no_cuda() == "torch was built with CUDA 13.0, and the toolkit is 12.8"
    monkeypatch.setattr(module, "find_toolkit", lambda: None)
    assert module.why_no_cuda().startswith("there is no CUDA toolkit")
    with pytest.raises(SystemExit, match="was asked for, but there is no CUDA toolkit"):
        module.libraries()


def test_nobody_gets_it_unasked(build, monkeypatch):
    module = build()
    monkeypatch.setattr(module, "TORCH", module.Torch(ROOT, "2.14.0+cu130", "13.0"))
    monkeypatch.setattr(module.Path, "exists", lambda self: False)
    assert module.why_no_cuda() == "no GPU is visible; FORCE_CUDA=1 builds it nevertheless"
    assert [one.name for one in module.libraries()] == ["cnnzoo._C"]


def test_an_unknown_wish_is_refused(tmp_path):
    done = started(tmp_path, CNNZOO_BUILD_CUDA="yes")
    assert done.returncode != 0
    assert 'CNNZOO_BUILD_CUDA: expected auto, 1 or 0, got "yes"' in done.stderr


def test_a_forced_build_without_a_toolkit_stops(tmp_path):
    if setup_py().TORCH.cuda is None:
        pytest.skip("needs a torch with CUDA")
    done = started(tmp_path, FORCE_CUDA="1", CUDA_HOME=str(tmp_path))
    assert done.returncode != 0
    assert "asked for, but there is no CUDA toolkit: set CUDA_HOME" in done.stderr


def test_the_report_says_why_there_is_no_cuda(tmp_path):
    done = started(tmp_path, CNNZOO_BUILD_CUDA="0")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "lib" / "cnnzoo" / "_native_build.json").read_text())
    assert report["cuda_reason"] == "it was not asked for"


def test_kernels_compile_without_spills(tmp_path):
    toolkit = required_toolkit()
    sources = sorted((ROOT / "csrc" / "cuda").glob("*.cu"))
    assert len(sources) == 3
    for source in sources:
        command = [str(toolkit.nvcc), "-std=c++17", "-arch=sm_80", "-cubin", str(source)]
        command += ["-Xptxas=-warn-spills,-Werror", "-Werror=all-warnings"]
        done = subprocess.run(
            [*command, "-o", str(tmp_path / "out")], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
