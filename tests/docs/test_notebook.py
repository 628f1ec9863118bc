"""A tutorial becomes a notebook by the site's own converter, and its cells run in turn."""

import json
import subprocess
import sys

import pytest
from documents import ROOT

TUTORIALS = sorted((ROOT / "docs/tutorials").glob("plot_*.py"))
RUNNER = """
import json, sys
import matplotlib
matplotlib.use("agg")
space = {"__name__": "__main__"}
for number, cell in enumerate(json.load(open(sys.argv[1]))["cells"]):
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), space)
        print("ran", number)
"""


def notebook_of(script, folder):
    pytest.importorskip("sphinx_gallery", reason="needs the extra `docs`")
    from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF
    from sphinx_gallery.notebook import jupyter_notebook, save_notebook
    from sphinx_gallery.py_source_parser import split_code_and_text_blocks

    _, found = split_code_and_text_blocks(script)
    conf = {**DEFAULT_GALLERY_CONF, "src_dir": str(folder)}
    path = folder / f"{script.stem}.ipynb"
    save_notebook(jupyter_notebook(found, conf, str(folder)), path)
    return path


@pytest.mark.skipif(not TUTORIALS, reason="no tutorials")
def test_the_first_tutorial_runs_as_a_notebook(tmp_path):
    path = notebook_of(TUTORIALS[0], tmp_path)
    cells = json.loads(path.read_text())["cells"]
    code = [number for number, cell in enumerate(cells) if cell["cell_type"] == "code"]
    assert code
    assert len(cells) > len(code), "the text is lost"
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    ran = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert ran == code


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda path: path.stem)
def test_every_tutorial_converts(script, tmp_path):
    cells = json.loads(notebook_of(script, tmp_path).read_text())["cells"]
    kinds = {cell["cell_type"] for cell in cells}
    assert kinds == {"markdown", "code"}
