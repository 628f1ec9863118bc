"""Weights for other channels, classes and sizes: what stays, what is new, what is refused."""

import pytest
import torch
from PIL import Image

import cnnzoo
from cnnzoo.data import Preprocessing
from cnnzoo.errors import CnnzooError

# Every family, in sizes that take no time.
SMALL = "cifar_fast convnext_micro fashion_cnn lenet5 mnist_cnn mobilenet_v2 nin resnet20 vgg_small"


def logits(model, x):
    with torch.no_grad():
        return model.eval()(x)


def save(path, name, **arguments):
    """Save a new model, batch norm's statistics included; return it."""
    torch.manual_seed(1)
    model = cnnzoo.build(name, **arguments)
    model(torch.randn(4, model.in_channels, *model.image_size))  # as if it had been trained
    cnnzoo.save(model.eval(), path, classes=[f"class {n}" for n in range(model.num_classes)])
    return model


def test_grey_to_rgb_gives_the_same_answers_for_grey_pictures():
    grey = cnnzoo.build("mnist_cnn", weights="mnist")
    rgb = cnnzoo.build("mnist_cnn", weights="mnist", in_channels=3, adapt=True)
    x = torch.randn(8, 1, 28, 28)
    torch.testing.assert_close(logits(rgb, x.repeat(1, 3, 1, 1)), logits(grey, x))
    assert rgb.adapted == ("conv1.weight is divided among three colours",)
    assert rgb.classes == grey.classes
    assert (rgb.preprocessing.channels, grey.preprocessing.channels) == (3, 1)
    page = Image.new("RGB", (28, 28))
    page.paste((255, 255, 255), (13, 4, 16, 24))
    answers = [cnnzoo.predict(model, page) for model in (grey, rgb)]
    assert answers[0].label == answers[1].label == "1"
    assert answers[0].probability == pytest.approx(answers[1].probability, abs=1e-4)


def test_rgb_to_grey_sums_the_colours(tmp_path):
    rgb = save(tmp_path / "m.safetensors", "resnet20")
    grey = cnnzoo.build("resnet20", weights=tmp_path / "m.safetensors", in_channels=1, adapt=True)
    x = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(logits(grey, x), logits(rgb, x.repeat(1, 3, 1, 1)))
    assert grey.adapted == ("conv1.weight is summed over the colours",)


def test_statistics_of_rgb_become_their_mean(tmp_path):
    model = cnnzoo.build("resnet20")
    three = Preprocessing(3, 32, 32, (0.2, 0.4, 0.6), (0.1, 0.2, 0.3))
    cnnzoo.save(model, tmp_path / "m.safetensors", preprocessing=three)
    grey = cnnzoo.build("resnet20", weights=tmp_path / "m.safetensors", in_channels=1, adapt=True)
    assert grey.preprocessing.mean == pytest.approx((0.4,))
    assert grey.preprocessing.std == pytest.approx((0.2,))


def test_other_classes_draw_the_head_anew_and_keep_the_rest():
    trained = cnnzoo.build("mnist_cnn", weights="mnist")
    torch.manual_seed(5)
    model = cnnzoo.build("mnist_cnn", weights="mnist", num_classes=3, adapt=True)
    torch.manual_seed(5)
    fresh = cnnzoo.build("mnist_cnn", num_classes=3).state_dict()
    for key, value in model.state_dict().items():
        wanted = fresh if key.startswith("fc2") else trained.state_dict()
        assert torch.equal(value, wanted[key]), key
    assert model.classes == ()
    assert model.adapted == ("fc2 is drawn anew for 3 classes of grey images of 28 × 28",)
    assert cnnzoo.build(model.spec).fc2.out_features == 3


@pytest.mark.parametrize("name", SMALL.split())
def test_every_family_keeps_all_but_the_first_kernel_and_the_head(name, tmp_path):
    path = tmp_path / "m.safetensors"
    then = save(path, name, in_channels=1, num_classes=10, image_size=32).state_dict()
    model = cnnzoo.build(name, weights=path, in_channels=3, num_classes=4, adapt=True)
    now = model.state_dict()
    changed = [key for key in now if not torch.equal(now[key].float(), then[key].float())]
    heads = {key.rpartition(".")[0] for key in changed[1:]}
    assert now[changed[0]].shape[1] == 3, "the first kernel"
    assert len(heads) == 1, changed
    assert len(now[changed[-1]]) == 4
    assert len(model.adapted) == 2
    assert logits(model, torch.randn(1, 3, 32, 32)).shape == (1, 4)


def test_other_sizes(tmp_path):
    small = cnnzoo.build("single_layer_cnn", weights="mnist", image_size=32, adapt=True)
    assert small.adapted == (
        "fc1 is drawn anew for 10 classes of grey images of 32 × 32",
        "images are 32 × 32 in place of 28 × 28",
    )
    assert small.preprocessing.height == 32
    trained = cnnzoo.build("single_layer_cnn", weights="mnist")
    assert torch.equal(small.conv1.weight, trained.conv1.weight)
    assert not torch.equal(small.fc1.bias, trained.fc1.bias), "an old bias beside a new weight"
    assert small.classes[9] == "9"  # the classes are the same, what they look like is to be learnt
    old = save(tmp_path / "m.safetensors", "resnet20")
    wide = cnnzoo.build(
        "resnet20", weights=tmp_path / "m.safetensors", image_size=(40, 48), adapt=True
    )
    assert wide.adapted == ("images are 40 × 48 in place of 32 × 32",)
    assert all(torch.equal(v, old.state_dict()[k]) for k, v in wide.state_dict().items())
    with pytest.raises(CnnzooError, match=r"fc1.weight is 100×800 in them and 100×1152 .* 28 × 28"):
        cnnzoo.build("mnist_cnn", weights="mnist", image_size=32, adapt=True)


def test_a_saved_size_is_the_default_of_its_weights(tmp_path):
    save(tmp_path / "m.safetensors", "resnet20", image_size=28, in_channels=1, num_classes=3)
    model = cnnzoo.build("resnet20", weights=tmp_path / "m.safetensors")
    assert (model.in_channels, model.num_classes, model.image_size) == (1, 3, (28, 28))


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({"num_classes": 3}, "3 classes of grey images of 28 × 28"),
        ({"in_channels": 3}, "10 classes of RGB images of 28 × 28"),
        ({"image_size": 32}, "10 classes of grey images of 32 × 32"),
        ({"in_channels": 2}, "10 classes of 2-channel images of 28 × 28"),
    ],
)
def test_nothing_is_adapted_without_being_asked(arguments, asked):
    with pytest.raises(CnnzooError, match=f"asked for is for {asked}. adapt=True keeps"):
        cnnzoo.build("mnist_cnn", weights="mnist", **arguments)


def test_what_cannot_be_adapted(tmp_path):
    with pytest.raises(CnnzooError, match="cannot be adapted to 2 channels: only grey"):
        cnnzoo.build("mnist_cnn", weights="mnist", in_channels=2, adapt=True)
    with pytest.raises(CnnzooError, match="give weights="):
        cnnzoo.build("mnist_cnn", adapt=True)
    with pytest.raises(CnnzooError, match=r"do not fit \"lenet5\": missing: conv1\.conv\.weight"):
        cnnzoo.build("lenet5", weights="mnist", form="classic", num_classes=3, adapt=True)
    with pytest.raises(CnnzooError, match="do not fit"):
        cnnzoo.build("lenet5", weights="mnist", form="classic")
    assert cnnzoo.build("lenet5", weights="mnist", image_size=[28, 28]).adapted == ()
