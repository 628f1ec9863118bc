"""The arrows between the modules: who may import whom, and what `import cnnzoo` may cost.

The table below is the one of the design: data flows data → model → trainer → artifacts, and what
is general never depends on what is special. An import anywhere in a file counts, inside functions
too.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cnnzoo"

# Area → areas of cnnzoo it may import from. Its own files are always allowed.
ARROWS = {
    "errors": set(),
    "lazy": set(),
    "machine": set(),
    "modes": set(),
    "seeds": set(),
    "files": {"errors"},
    "plugins": {"errors"},
    "registry": {"errors", "plugins"},
    "ops": {"errors", "files", "machine"},
    "layers": {"ops", "registry", "errors"},
    "models": {"layers", "registry", "errors"},
    "data": {"seeds", "registry", "errors", "files", "pictures"},
    # a trained model as a file: writing needs nothing, reading rebuilds by name
    "filling": {"errors"},
    "model_file": {"errors", "files", "filling", "registry", "data"},
    # trained weights come with the model they are of: by name, path or address
    "weights": {"errors", "files", "lazy", "filling", "model_file", "registry", "data"},
    "building": {"errors", "registry", "weights"},
    "plots": {"errors", "files"},
    # receives objects; what it imports beyond errors only writes artifacts
    "train": {"seeds", "errors", "lazy", "files", "machine", "model_file", "plots"},
    "explanation": {"errors", "layers", "ops"},
    "freezing": {"errors", "fusing", "layers", "ops"},
    "fusing": {"errors", "layers", "ops"},
    "exporting": {"errors", "lazy", "files", "ops", "data"},
    "feature_maps": {"errors"},
    "summary": {"modes", "errors", "ops"},
    "swapping": {"modes", "errors", "layers"},
    "pictures": {"errors"},
    "prediction": {"errors", "model_file", "pictures", "data"},
    # one page that shows the whole of a network at work
    "demo": {
        "errors",
        "feature_maps",
        "layers",
        "lazy",
        "model_file",
        "pictures",
        "prediction",
        "weights",
    },
    # what a plugin is held to: it looks at all that can be registered
    "conformance": {
        "errors",
        "registry",
        "plugins",
        "lazy",
        "layers",
        "ops",
        "data",
        "model_file",
        "feature_maps",
        "fusing",
    },
}
EVERYTHING = {"__init__", "__main__", "cli"}  # the one place where everything meets

FILES = sorted(PACKAGE.rglob("*.py"))


def area_of(module: str) -> str:
    """``cnnzoo.train.config`` → ``train``; ``cnnzoo`` → ``__init__``."""
    return [*module.split("."), "__init__"][1]


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or path.is_dir()


def cnnzoo_imports(source: str, module: str) -> set[str]:
    """Return the cnnzoo modules a source imports anywhere, those for type checking excepted."""
    tree = ast.parse(source)
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written out in full"
            # `from cnnzoo import plots` names a module, `from cnnzoo import build` a public name
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if is_module(name) else node.module or "" for name in names}
    return {name for name in found if name.split(".")[0] == "cnnzoo"}


@pytest.mark.parametrize("file", FILES, ids=[module_of(file) for file in FILES])
def test_arrows_point_one_way(file):
    module = module_of(file)
    area = area_of(module)
    if area in EVERYTHING:
        return
    assert area in ARROWS, f"{area}: a new area needs its line in ARROWS"
    wrong = {
        name
        for name in cnnzoo_imports(file.read_text(), module)
        if area_of(name) not in ARROWS[area] | {area}
    }
    assert not wrong, f"{module} must not import {wrong}"


def test_a_wrong_arrow_is_seen():
    source = "def f():\n    from cnnzoo.train import Trainer\n"
    assert cnnzoo_imports(source, "cnnzoo.models.x") == {"cnnzoo.train"}
    assert area_of("cnnzoo.train") not in ARROWS["models"]
    assert cnnzoo_imports("from cnnzoo import build", "x") == {"cnnzoo"}
    assert cnnzoo_imports("from cnnzoo import plots", "x") == {"cnnzoo.plots"}


def test_arrows_have_no_circle():
    done: set[str] = set()
    while ready := {a for a, to in ARROWS.items() if a not in done and to <= done}:
        done |= ready
    assert done == set(ARROWS), f"a circle among {set(ARROWS) - done}"


def test_import_loads_no_torch():
    code = "import sys, cnnzoo; print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"


def test_help_loads_no_torch():
    code = (
        "import sys; from click.testing import CliRunner; from cnnzoo.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "assert CliRunner().invoke(main, ['train', '--help']).exit_code == 0\n"
        "print('torch' in sys.modules)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "False"


def test_the_kernel_core_knows_no_framework():
    # The bindings lie at the top of csrc, the core in its folders.
    suffixes = {".h", ".inl", ".cpp", ".cu", ".cuh"}
    core = [p for p in (ROOT / "csrc").glob("*/**/*") if p.suffix in suffixes]
    assert core, "csrc holds no kernel core"
    for file in core:
        headers = re.findall(r'#\s*include\s*[<"]([^>"]+)', file.read_text())
        wrong = [h for h in headers if re.match(r"(\.\./)*(torch|ATen|c10|pybind11|Python\.h)", h)]
        assert not wrong, f"{file.name} includes {wrong}"
