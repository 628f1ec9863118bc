"""Each figure of a tutorial is readable on a light page and on a dark one."""

import numpy as np
import pytest

pytest.importorskip("sphinx", reason="needs the extra `docs`")
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from PIL import Image
from zoodocs import light_dark


def grey(colour):
    return sum(to_rgb(colour)) / 3


@pytest.fixture
def figure():
    made = plt.figure()
    yield made
    plt.close(made)


def test_words_and_frames_change_places(figure):
    axes = figure.subplots()
    axes.set_title("x")
    (line,) = axes.plot([0, 1], [0, 1], color="black")
    (coloured,) = axes.plot([0, 1], [1, 0], color="tab:blue")
    figure.canvas.draw()
    light_dark.turn(figure)
    assert grey(axes.title.get_color()) > 0.8
    assert grey(line.get_color()) > 0.8
    assert grey(axes.spines["left"].get_edgecolor()) > 0.8
    assert grey(axes.xaxis.get_ticklabels()[0].get_color()) > 0.8
    assert grey(axes.get_facecolor()) < 0.2
    assert coloured.get_color() == "tab:blue"


def test_what_lies_on_a_picture_stays(figure):
    axes = figure.subplots()
    axes.imshow(np.eye(3), cmap="gray")
    on_picture = axes.text(0, 0, "1", color="black")
    axes.set_title("x")
    figure.canvas.draw()
    light_dark.turn(figure)
    assert on_picture.get_color() == "black"
    assert grey(axes.title.get_color()) > 0.8


def test_what_lies_on_a_coloured_patch_stays(figure):
    axes = figure.subplots()
    axes.add_patch(plt.Rectangle((0, 0), 0.4, 1, facecolor="yellow"))
    on_yellow, beside = axes.text(0.2, 0.5, "1"), axes.text(0.8, 0.5, "1")
    figure.canvas.draw()
    light_dark.turn(figure)
    assert grey(on_yellow.get_color()) < 0.2
    assert grey(beside.get_color()) > 0.8


def test_a_block_gives_both_files_and_closes_its_figures(tmp_path):
    plt.close("all")
    images = tmp_path / "learn/images"
    images.mkdir(parents=True)
    plt.figure(figsize=(3, 2)).subplots().plot([0, 1])
    plt.figure(figsize=(4, 2)).subplots().plot([1, 0])
    paths = iter([str(images / f"sphx_glr_plot_01_x_00{n}.png") for n in (1, 2)])
    rst = light_dark.scrape(
        (), {"image_path_iterator": paths, "src_file": "plot_01_x.py"}, {"src_dir": str(tmp_path)}
    )
    assert not plt.get_fignums()
    assert rst.count("only-light") == rst.count("only-dark") == 2
    assert ".. image:: /learn/images/sphx_glr_plot_01_x_002_dark.png" in rst
    assert ":width: 400px" in rst
    for number in (1, 2):
        pair = [images / f"sphx_glr_plot_01_x_00{number}{end}.png" for end in ("", "_dark")]
        light, dark = (np.asarray(Image.open(path).convert("LA"), dtype=float) for path in pair)
        drawn = light[..., 1] > 200  # not the ground, which lets the page through
        assert 0.0 < drawn.mean() < 0.5
        assert dark[drawn, 0].mean() > light[drawn, 0].mean() + 50


def test_no_figure_no_words():
    plt.close("all")
    assert light_dark.scrape((), {"src_file": "plot_01_x.py"}, {}) == ""
