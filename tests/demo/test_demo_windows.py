"""One pixel taken apart: the parts give the network's own number, the outline is right."""

import pytest
import torch
from torch import nn

from cnnzoo.data import Preprocessing
from cnnzoo.demo.networks import Network
from cnnzoo.demo.windows import window
from cnnzoo.errors import CnnzooError
from cnnzoo.feature_maps import features
from cnnzoo.layers import build_layer

LAYERS = {
    "plain": [{"kernel_size": 3}, {"kernel_size": 3}],
    "padded": [{"kernel_size": 5, "padding": 2}, {"kernel_size": 3, "padding": 1}],
    "overlapping": [
        {"kernel_size": 3, "pool_size": 3, "pool_stride": 2, "pool_padding": 1},
        {"kernel_size": (3, 1), "pool_size": (1, 2)},
    ],
    "odd": [
        {"kernel_size": 3, "stride": 2, "padding": 2, "dilation": 2, "pool_size": 2},
        {"kernel_size": 2, "groups": 2, "bias": False, "pool_size": 2, "pool_stride": 1},
    ],
}
GREY = Preprocessing(1, 21, 19, mean=(0.2,), std=(0.4,))


class TwoLayers(nn.Module):
    """Two layers one after the other, with something between them or not."""

    def __init__(self, options, between=None):
        super().__init__()
        self.stages = {"first": "a", "second": "b"}
        self.a = build_layer("conv_relu_maxpool", "eager", 1, 4, **options[0])
        self.between = between or nn.Identity()
        self.b = build_layer("conv_relu_maxpool", "eager", 4, 6, **options[1])

    def forward(self, x):
        return self.b(self.between(self.a(x))).flatten(1)


def network_of(options, between=None):
    torch.manual_seed(5)
    return Network("test", "", TwoLayers(options, between).eval(), (), GREY)


def picture(seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, 21, 19), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("stage", ["first", "second"])
def test_the_parts_give_the_networks_own_number(options, stage):
    network = network_of(options)
    with torch.no_grad():
        maps = features(network.model, GREY(picture()[None]), at=stage)[stage][0]
    for k in range(0, len(maps), 3):
        for row in range(maps.shape[1]):
            for column in range(maps.shape[2]):
                found = window(network, picture(), stage, k, (row, column))
                assert found["value"] == pytest.approx(float(maps[k, row, column]), abs=1e-5)
                kernel, patch = torch.tensor(found["kernel"]), torch.tensor(found["patch"])
                total = float((kernel.double() * patch.double()).sum()) + found["bias"]
                values = torch.tensor(found["pool"]["values"])
                winner = values[tuple(found["pool"]["winner"])]
                assert total == pytest.approx(float(winner), abs=1e-5)
                assert winner == values.max()
                assert sum(found["sums"]) + found["bias"] == pytest.approx(total, abs=1e-5)
                own = {"first": network.model.a, "second": network.model.b}[stage].weight[k]
                assert torch.equal(kernel, own.detach())


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
def test_the_outline_holds_all_that_matters_and_no_more(options):
    network = network_of(options)
    found = window(network, picture(), "second", 1, (1, 1))
    top, left, bottom, right = found["picture_box"]
    patch = torch.tensor(found["patch"])
    other = picture(2)
    other[:, top:bottom, left:right] = picture()[:, top:bottom, left:right]

    # What lies outside may change who wins, but not what lies under the kernel where it was.
    assert torch.allclose(under_kernel(network, other, found), patch, atol=1e-6)
    rows, columns = slice(top, bottom), slice(left, right)
    edges = [(top, columns), (bottom - 1, columns), (rows, left), (rows, right - 1)]
    for edge in edges:  # and every edge of the outline matters
        found_change = False
        for value in (0, 255):
            edited = picture()
            edited[(0, *edge)] = value
            found_change |= not torch.allclose(under_kernel(network, edited, found), patch)
        assert found_change, edge


def under_kernel(network, image, found):
    """Cut the patch that ``found`` names out of the second layer's input."""
    top, left, bottom, right = found["patch_box"]
    with torch.no_grad():
        x = features(network.model, GREY(image[None]), at="first")["first"][0]
    return x[found["first"] :][: len(found["kernel"]), top:bottom, left:right]


def test_the_strongest_pixel_is_taken_without_a_place():
    network = network_of(LAYERS["plain"])
    maps = features(network.model, GREY(picture()[None]), at="first")["first"][0].detach()
    found = window(network, picture(), "first", 2)
    assert (found["row"], found["column"]) == divmod(int(maps[2].argmax()), maps.shape[2])


def test_a_tie_goes_to_the_first_as_in_the_operator():
    network = network_of(LAYERS["plain"])
    blank = torch.zeros(1, 21, 19, dtype=torch.uint8)
    found = window(network, blank, "first", 0, (2, 2))
    assert len({round(value, 9) for row in found["pool"]["values"] for value in row}) == 1
    assert tuple(found["pool"]["winner"]) == (0, 0)


def test_a_layer_between_leaves_no_outline():
    network = network_of(LAYERS["plain"], between=nn.BatchNorm2d(4))
    assert window(network, picture(), "second", 0, (0, 0))["picture_box"] is None
    first = window(network, picture(), "first", 0, (0, 0))
    assert first["picture_box"] == first["patch_box"]


@pytest.mark.parametrize(
    ("stage", "k", "place", "words"),
    [
        ("frist", 0, None, 'Did you mean "first"'),
        ("first", 4, None, "map is a whole number from 0 to 3; got 4"),
        ("first", True, None, "map is a whole number"),
        ("first", "0", None, "map is a whole number"),
        ("first", 0, (9, 0), "row is a whole number from 0 to 8; got 9"),
        ("first", 0, (0, None), "column is a whole number"),
    ],
)
def test_a_wrong_question_is_a_sentence(stage, k, place, words):
    with pytest.raises(CnnzooError, match=words):
        window(network_of(LAYERS["plain"]), picture(), stage, k, place)


def test_a_stage_of_another_kind_is_a_sentence():
    network = network_of(LAYERS["plain"])
    network.model.stages = {"all": "between"}
    with pytest.raises(CnnzooError, match="not one convolution with its pool but a Identity"):
        window(network, picture(), "all", 0)
