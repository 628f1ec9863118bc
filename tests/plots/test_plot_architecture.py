"""The picture of a network: every box and label is there, to scale, none on another."""

import pytest
from matplotlib.patches import Polygon

from cnnzoo import CnnzooError, plots

STEPS = [("input", (3, 32, 16)), ("conv1", (8, 16, 8)), ("a$b", (16, 4, 4)), ("fc", (10,))]


def fronts(figure):
    """Return the (width, height) of the front of each box, and where it starts, once each."""
    patches = [p for p in figure.axes[0].patches if isinstance(p, Polygon)]
    boxes = []
    for patch in patches:
        corners = patch.get_xy()[:4]
        if corners[0][1] == corners[1][1] and corners[1][0] == corners[2][0]:
            x, y = corners[0]
            box = (float(x), float(corners[1][0] - x), float(corners[2][1] - y))
            if box not in boxes:
                boxes.append(box)
    return boxes


def test_boxes_are_to_scale_from_left_to_right():
    boxes = fronts(plots.architecture(STEPS))
    assert [x for x, _, _ in boxes] == sorted(x for x, _, _ in boxes)
    assert len(boxes) == 4
    heights = [high for _, _, high in boxes[:3]]
    assert heights[0] / heights[1] == pytest.approx(2)
    assert heights[0] / heights[2] == pytest.approx(8)
    depths = [deep for _, deep, _ in boxes[:3]]
    assert depths[2] / depths[1] == pytest.approx(2)


def test_labels_have_names_and_sizes_and_do_not_touch():
    long = [(f"layer{i}.with.a.long.name", (2, 2, 2)) for i in range(2)]
    figure = plots.architecture([*STEPS, *long], title="A network with a title that is long")
    figure.canvas.draw()
    texts = figure.axes[0].texts
    assert [t.get_text() for t in texts][:8] == [
        *("input", "3 × 32 × 16", "conv1", "8 × 16 × 8"),
        *(r"a\$b", "16 × 4 × 4", "fc", "10"),
    ]
    frames = [t.get_window_extent() for t in texts]
    for i, frame in enumerate(frames):
        assert not any(frame.overlaps(other) for other in frames[i + 1 :])
        for patch in figure.axes[0].patches:
            assert not frame.overlaps(patch.get_window_extent())
        assert figure.bbox.containsx(frame.x0)
        assert figure.bbox.containsx(frame.x1)


def test_a_network_of_linear_layers_only():
    assert len(fronts(plots.architecture([("a", (5,)), ("b", (3,))]))) == 2


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], "nothing to show"),
        ([("x", (1, 2))], r'"x" has the shape \(1, 2\)'),
        ([("y", (0,))], "y"),
    ],
)
def test_bad_steps(steps, said):
    with pytest.raises(CnnzooError, match=said):
        plots.architecture(steps)
