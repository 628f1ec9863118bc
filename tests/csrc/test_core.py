"""The torch-free kernels against a slow reference in C++, on every instruction set there is."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMPILER = os.environ.get("CXX", "g++")

pytestmark = pytest.mark.skipif(
    shutil.which(COMPILER) is None, reason=f"needs a C++ compiler, and {COMPILER} is not there"
)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Return where the objects go: one folder a mode, compiled once."""
    return tmp_path_factory.mktemp("csrc")


def start(build, mode, cases, **environment):
    """Build the driver in one mode and let it run that many cases."""
    inherited = {name: value for name, value in os.environ.items() if name != "CNNZOO_ISA"}
    return subprocess.run(
        ["sh", str(HERE / "run.sh"), mode, str(cases)],
        env={**inherited, "CXX": COMPILER, "BUILD": str(build / mode), **environment},
        capture_output=True,
        text=True,
    )


def run(build, mode, cases, **environment):
    """Expect that the cases pass; return what was printed."""
    done = start(build, mode, cases, **environment)
    missing = re.search(r"cannot find .*lib(asan|ubsan|tsan)", done.stderr)
    if missing:
        pytest.skip(f"needs the compiler's lib{missing[1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("mode", "cases"), [("plain", 1200), ("asan", 60)])
def test_kernels_agree_with_the_reference(build, mode, cases):
    output = run(build, mode, cases)
    assert re.search(rf"^{cases} cases on .*scalar: all right$", output, re.MULTILINE), output


def test_the_instruction_set_is_chosen_strictly(build):
    printed = run(build, "plain", 5, CNNZOO_ISA="scalar")
    assert printed == "5 cases on scalar: all right\n5 heads on scalar: all right\n"
    done = start(build, "plain", 5, CNNZOO_ISA="avx1024")
    assert done.returncode == 2
    assert re.fullmatch(
        r'CNNZOO_ISA: expected (.+, )?(.+ or )?scalar, got "avx1024"\n', done.stdout
    ), done.stdout


def test_an_unknown_mode_is_refused():
    done = subprocess.run(["sh", str(HERE / "run.sh"), "fast"], capture_output=True, text=True)
    assert done.returncode == 2
    assert 'expected plain, asan, tsan or bench, got "fast"' in done.stderr
