"""The Python in README and guides runs, from top to bottom of each page, in a folder of its own.

All pages run in one process, each with names of its own. What a page takes for granted is in
`GIVEN`; a picture ``photo.png`` lies in every folder. A block with "…" in it is a sketch and does
not run. A page whose code needs more is named in `LEFT_OUT`, with the reason.
"""

import json
import subprocess
import sys
import textwrap

import pytest
from documents import ROOT, blocks, pages

# Page → what its code takes for granted.
GIVEN = {
    "README.md": """
        import torch
        x, weight, bias = torch.randn(2, 1, 28, 28), torch.randn(4, 1, 3, 3), torch.zeros(4)
    """,
}
# Page → why its code cannot run here.
LEFT_OUT: dict[str, str] = {}

RUNNER = """
import json, os, sys, tempfile, traceback
import cnnzoo
from torchvision.transforms.functional import to_pil_image

photo = to_pil_image(cnnzoo.load_data("digits").test.images[0])
said = {}
for page, sources in json.load(sys.stdin).items():
    os.chdir(tempfile.mkdtemp(dir=sys.argv[1]))
    photo.save("photo.png")
    names = {"__name__": "__main__"}
    try:
        for source in sources:
            exec(compile(source, page, "exec"), names)
        said[page] = ""
    except BaseException:
        said[page] = traceback.format_exc()
with open(os.path.join(sys.argv[1], "said.json"), "w") as file:
    json.dump(said, file)
"""


def code_of(path):
    """The page's blocks, each after so many empty lines that a traceback names its line."""
    name = str(path.relative_to(ROOT))
    found = [b for b in blocks(path) if b.language in ("python", "py") and "…" not in b.text]
    given = [textwrap.dedent(GIVEN[name])] if name in GIVEN else []
    return given + ["\n" * block.line + block.text for block in found] if found else []


CODE = {
    str(path.relative_to(ROOT)): code_of(path) for path in pages() if path.suffix in (".md", ".rst")
}
CODE = {page: code for page, code in CODE.items() if code}


def run(code, folder):
    """Run pages; return what each has to complain about."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(folder)],
        input=json.dumps(code),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "said.json").read_text())


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    return run(
        {p: c for p, c in CODE.items() if p not in LEFT_OUT}, tmp_path_factory.mktemp("pages")
    )


@pytest.mark.parametrize("page", CODE)
def test_code_runs(page, said):
    if page in LEFT_OUT:
        pytest.skip(f"{page}: {LEFT_OUT[page]}")
    assert not said[page], said[page]


def test_pages_with_code_are_found():
    assert {"README.md", "docs/training.md", "docs/index.md"} <= set(CODE)
