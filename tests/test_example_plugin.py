"""The example package of the docs: installed as anyone would, found, trained, and checked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "docs" / "example_plugin"
CONFORMANCE = ("-m", "pytest", "-p", "no:cacheprovider", "--cnnzoo-conformance")


def run(*arguments, folder, cwd):
    """Run ``python …`` with a folder of packages on the path."""
    path = filter(None, [str(folder), os.environ.get("PYTHONPATH")])
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        cwd=cwd,
    )


def list_and_plugins(pattern, folder, cwd):
    """Return what ``cnnzoo list PATTERN`` and ``cnnzoo plugins`` print, both from one process."""
    code = (
        "from cnnzoo.cli import main\n"
        f"for command in (['list', {pattern!r}], ['plugins']):\n"
        "    main(command, standalone_mode=False)\n"
        "    print('-' * 9)"
    )
    done = run("-c", code, folder=folder, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("-" * 9 + "\n")[:2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the folder that pip put the package into: no network, nothing else touched."""
    copy = tmp_path_factory.mktemp("source") / "example_plugin"  # the build leaves files behind
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    folder = tmp_path_factory.mktemp("packages")
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    options += ["--no-build-isolation", "--target", str(folder)]
    done = run("-m", "pip", "install", *options, str(copy), folder=folder, cwd=copy)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def broken(installed, tmp_path):
    """Return a function: the installed package with one piece of text replaced in one file."""

    def make(file, old, new):
        folder = tmp_path / "packages"
        shutil.copytree(installed, folder)
        path = folder / "exampleplugin" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return folder

    return make


def test_its_names_are_listed_and_its_version_is_shown(installed, tmp_path):
    listed, shown = list_and_plugins("exampleplugin:*", installed, tmp_path)
    assert "exampleplugin:shape_cnn" in listed
    assert "exampleplugin:shapes_net" in listed, "its alias"
    (row,) = [line for line in shown.splitlines() if "1.0.0" in line]
    assert row.split()[:2] == ["exampleplugin", "exampleplugin"], "its prefix and its package"
    names = ("shape_cnn", "conv_relu_maxpool.unfold", "shapes")
    assert ", ".join(f"exampleplugin:{name}" for name in names) in " ".join(shown.split())


def test_its_model_is_trained_on_its_data_with_its_layer(installed, tmp_path):
    trained = run(
        *("-m", "cnnzoo", "train", "exampleplugin:shape_cnn", "--data", "exampleplugin:shapes"),
        *("--set", "conv_relu_maxpool=exampleplugin:unfold", "--epochs", "1", "--out", "run"),
        folder=installed,
        cwd=tmp_path,
    )
    assert trained.returncode == 0, trained.stderr
    assert "900 training and 300 test images of shapes" in trained.stdout
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_it_passes_the_zoos_checks_and_its_own(installed, tmp_path):
    shutil.copytree(SOURCE / "tests", tmp_path / "tests")
    shutil.copy(SOURCE / "pyproject.toml", tmp_path)
    done = run("-m", "pytest", "-p", "no:cacheprovider", folder=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "test_shapes.py ..." in done.stdout
    for subject in (
        "plugin exampleplugin",
        "model exampleplugin:shape_cnn",
        "layer exampleplugin:conv_relu_maxpool.unfold",
        "data set exampleplugin:shapes",
    ):
        assert f"conformance of {subject} ." in done.stdout
    assert "skipped" not in done.stdout


def test_one_that_cannot_be_imported_breaks_nothing_and_shows_why(broken, tmp_path):
    folder = broken("data.py", "import os\n", "import os\nimport no_such_library\n")
    listed, shown = list_and_plugins("*", folder, tmp_path)
    assert "mnist_cnn" in listed
    assert "shape_cnn" not in listed
    assert "1.0.0" in shown
    assert "failed to load" in shown
    assert "No module named 'no_such_library'" in shown
    assert 'exampleplugin/data.py", line' in shown, "the traceback says where"
    checked = run(*CONFORMANCE, "exampleplugin:", folder=folder, cwd=tmp_path)
    assert checked.returncode == 1
    assert "No module named 'no_such_library'" in checked.stdout
    assert "FAILED conformance of plugin exampleplugin::loads" in checked.stdout
    assert "1 failed in" in checked.stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "test", "words"),
    [
        (
            "model.py",
            "nn.Linear(_CHANNELS[1], num_classes)",
            "nn.Linear(_CHANNELS[1], 10)",
            "model exampleplugin:shape_cnn::grey_images_of_three_classes",
            "Expected logits (3, 3) of a model built with num_classes=3; got (3, 10).",
        ),
        (
            "model.py",
            "torch.mean(x, (2, 3))",
            "(lambda y: y + y.detach())(torch.mean(x, (2, 3)))",
            "model exampleplugin:shape_cnn::gradients_agree_with_finite_differences",
            "by finite differences; backward gives",
        ),
    ],
    ids=["ignores num_classes", "wrong backward"],
)
def test_a_broken_model_fails_the_right_check(broken, tmp_path, file, old, new, test, words):
    folder = broken(file, old, new)
    checked = run(
        *CONFORMANCE,
        "exampleplugin:shape_cnn",
        "-k",
        "images or gradients",
        folder=folder,
        cwd=tmp_path,
    )
    assert checked.returncode == 1
    assert f"FAILED conformance of {test}" in checked.stdout
    assert words in checked.stdout
    assert "1 failed, 2 passed" in checked.stdout
