"""AOTInductor: compiled packages give the model's answers, in Python and in the C++ example.

The first compilation takes 20 s on one core, since headers are precompiled; the others a few. All
share a cache in a temporary folder.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from exported import assert_answers, run_without_cnnzoo, trained
from torch._inductor.config import aot_inductor

import cnnzoo
from cnnzoo.cli.export import command as export_command

COMPILER = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
EXAMPLE = Path(__file__).parents[2] / "docs/cpp_example"
pytestmark = [
    pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"there is no compiler {COMPILER}"),
    pytest.mark.skipif(sys.platform == "win32", reason="the example is built by a shell script"),
]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        # What calls the kernels goes without optimization: a fifth less time, the same answers.
        patch.setattr(aot_inductor, "compile_wrapper_opt_level", "O0")
        yield


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A portable package of mnist_cnn, made on the command line."""
    path = tmp_path_factory.mktemp("package") / "net.aoti.pt2"
    words = ["mnist_cnn", str(path), "--weights", "mnist", "--portable"]
    export_command.main(words, standalone_mode=False)
    return path


def test_portable_package(package):
    model, x = trained("mnist_cnn")
    run = torch._inductor.aoti_load_package(str(package))
    assert_answers(run, model, x)
    facts = run.loader.get_metadata()
    assert facts["cnnzoo.classes"].split("\n") == list(model.classes)
    assert facts["cnnzoo.size"] == "1 28 28"


def test_portable_package_without_cnnzoo(package, tmp_path):
    model, x = trained("mnist_cnn")
    done, answers = run_without_cnnzoo(package, x, tmp_path)
    assert done.returncode == 0, done.stderr
    answers = {len(y): y for y in answers}
    assert_answers(lambda x: answers[len(x)], model, x)


# resnet20 has none of our blocks: the same with and without.
@pytest.mark.parametrize("name", ["single_layer_cnn", "lenet5", "resnet20"])
def test_answers(name, tmp_path):
    model, x = trained(name)
    path = tmp_path / "net.pt2"
    report = cnnzoo.export(model, path, format="aoti", portable=name == "single_layer_cnn")
    assert report.format == "aoti"
    has_block = name == "lenet5" and cnnzoo.ops.status().available
    assert report.operators == (("cnnzoo::conv_relu_maxpool",) if has_block else ())
    assert_answers(torch._inductor.aoti_load_package(str(path)), model, x)


@pytest.fixture(scope="module")
def classify(tmp_path_factory):
    """The C++ example, built as its script says."""
    binary = tmp_path_factory.mktemp("example") / "classify"
    done = subprocess.run(
        ["sh", EXAMPLE / "build.sh", binary],
        env={**os.environ, "PYTHON": sys.executable, "CXX": COMPILER},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return binary


def run_example(classify, *words):
    command = [classify, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_cpp_example(classify, package, tmp_path):
    test = cnnzoo.load_data("digits").test
    model, _ = trained("mnist_cnn")
    for index in (0, 5, 77):
        pixels = test.images[index]
        (tmp_path / "digit.raw").write_bytes(pixels.numpy().tobytes())
        done = run_example(classify, package, tmp_path / "digit.raw")
        assert done.returncode == 0, done.stderr
        label, probability = done.stdout.split()
        wanted = cnnzoo.predict(model, pixels)
        assert label == wanted.label
        assert float(probability) == pytest.approx(wanted.probability, abs=1e-4)


def test_cpp_example_refuses(classify, package, tmp_path):
    short = tmp_path / "short.raw"
    short.write_bytes(bytes(100))
    for words, says in {
        (package, short): "Expected an image of 784 bytes; got 100.",
        (package, tmp_path / "none.raw"): "Cannot read",
        (tmp_path / "none.pt2", short): "Error: ",
        (package,): "usage: classify PACKAGE.pt2 IMAGE.raw",
    }.items():
        done = run_example(classify, *words)
        assert done.returncode == 2
        assert says in done.stderr
        assert not done.stdout


def test_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(cnnzoo.CnnzooError, match="there is no no-such-compiler: install it"):
        cnnzoo.export(trained("lenet5")[0], tmp_path / "net.aoti.pt2")
    assert not list(tmp_path.iterdir())
