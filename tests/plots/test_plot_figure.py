"""Files are whole or not there; nothing global changes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from drawing import row
from PIL import Image

from cnnzoo import plots
from cnnzoo.errors import CnnzooError


def test_save_writes_a_readable_picture_and_nothing_else(tmp_path):
    figure = plots.curves([row(1)])
    for _ in range(2):  # the second time over the first
        plots.save(figure, tmp_path / "curves.png")
    assert [each.name for each in tmp_path.iterdir()] == ["curves.png"]
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1350, 540)
        assert np.asarray(picture.convert("L")).std() > 5


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    figure = plots.curves([row(1)])
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")

    def fail(file, **_):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(CnnzooError, match="No space left"):
        plots.save(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["missing/curves.png", "curves.xyz", "curves"])
def test_save_says_where_it_cannot(tmp_path, name):
    with pytest.raises(CnnzooError, match="curves"):
        plots.save(plots.curves([row(1)]), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_no_pyplot_no_backend():
    code = (
        "import sys, matplotlib\n"
        # looking at "backend" itself would choose one
        "settings = lambda: {k: v for k, v in dict.items(matplotlib.rcParams)}\n"
        "before = settings()\n"
        "from cnnzoo import plots; plots.confusion([[1]]).canvas.draw()\n"
        "assert before == settings()\n"
        "assert not {'matplotlib.pyplot', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
