"""Every public name stands in the reference, and every name in the reference exists."""

import importlib
import re
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[2] / "docs/reference"
MODULES = (
    "cnnzoo",
    "cnnzoo.data",
    "cnnzoo.exporting",
    "cnnzoo.freezing",
    "cnnzoo.fusing",
    "cnnzoo.layers",
    "cnnzoo.ops",
    "cnnzoo.pictures",
    "cnnzoo.plots",
    "cnnzoo.summary",
    "cnnzoo.train",
    "cnnzoo.train.augment",
    "cnnzoo.weights",
)
# Types and constants that are explained where they are used.
NO_ENTRY = {"ImageLike", "MAX_PIXELS", "Pixels", "SUFFIXES"}


def documented():
    text = "\n".join(page.read_text() for page in sorted(REFERENCE.glob("*.rst")))
    return re.findall(r"^\.\. auto(?:function|class|exception):: ([\w.]+)", text, re.MULTILINE)


def find(name):
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def public_names(module):
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None)
    if names is None:  # `cnnzoo.ops` re-exports with `import … as …`
        names = [name for name in vars(found) if not name.startswith("_")]
        names = [
            n for n in names if getattr(getattr(found, n), "__module__", "").startswith(module)
        ]
    return sorted(set(names) - NO_ENTRY)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_documented(module):
    # By identity: `cnnzoo.train.Trainer` stands under `cnnzoo.Trainer`.
    there = [find(name) for name in documented()]
    names = public_names(module)
    assert names, f"{module} has no public names: is the list above right?"
    missing = [n for n in names if not any(find(f"{module}.{n}") is each for each in there)]
    assert not missing, f"docs/reference/*.rst lack {', '.join(f'{module}.{n}' for n in missing)}"


def test_nothing_is_documented_twice():
    names = documented()
    objects = [id(find(name)) for name in names if not name.startswith("cnnzoo.register_")]
    assert len(set(objects)) == len(objects)
    assert len(set(names)) == len(names)
