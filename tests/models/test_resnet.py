"""ResNet-18, -34, -50: torchvision is the judge."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from family_checks import parameters, stage_sizes, with_random_statistics, with_weights_of

import cnnzoo

NAMES = ["resnet18", "resnet34", "resnet50"]


@pytest.mark.parametrize(
    ("name", "known"),
    [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032)],
)
def test_parameters_are_the_known_number(name, known):
    assert parameters(name) == known


@pytest.mark.parametrize(("name", "size"), [("resnet18", 224), ("resnet34", 64), ("resnet50", 64)])
def test_torchvision_weights_give_the_same_logits(name, size):
    torch.manual_seed(0)
    judge = with_random_statistics(torchvision.models.get_model(name, weights=None)).eval()
    model = with_weights_of(judge, name, image_size=size).eval()
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        torch.testing.assert_close(model(x), judge(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_training_agrees_with_torchvision(name):
    torch.manual_seed(0)
    judge = torchvision.models.get_model(name, weights=None, num_classes=10)
    model = with_weights_of(judge, name, num_classes=10, image_size=64)
    x, labels = torch.randn(3, 3, 64, 64), torch.arange(3)
    for each in (judge, model):
        F.cross_entropy(each(x), labels).backward()
    gradients = dict(model.named_parameters())
    for key, expected in judge.named_parameters():
        error = (gradients[key].grad - expected.grad).norm() / expected.grad.norm()
        assert error < 1e-3, key
    for key, expected in judge.named_buffers():
        torch.testing.assert_close(model.get_buffer(key), expected, rtol=1e-4, atol=1e-5)


def test_stages_of_large_and_small_images():
    large = stage_sizes(cnnzoo.build("resnet18", image_size=224))
    small = stage_sizes(cnnzoo.build("resnet18", image_size=28))
    channels = {"stem": 64, "stage1": 64, "stage2": 128, "stage3": 256, "stage4": 512}
    for sizes, pixels in ((large, (56, 56, 28, 14, 7)), (small, (28, 28, 14, 7, 4))):
        assert list(sizes) == list(channels)
        for (stage, k), n in zip(channels.items(), pixels, strict=True):
            assert sizes[stage] == (k, n, n)


@pytest.mark.parametrize(
    ("image_size", "kernel"), [(63, 3), ((63, 200), 3), ((200, 63), 3), (64, 7), ((64, 200), 7)]
)
def test_the_stem_for_small_images_is_taken_below_64(image_size, kernel):
    with torch.device("meta"):
        model = cnnzoo.build("resnet18", image_size=image_size)
    assert model.conv1.kernel_size == (kernel, kernel)
    assert isinstance(model.maxpool, torch.nn.MaxPool2d) == (kernel == 7)


@pytest.mark.parametrize("image_size", [9, (1, 9), (8, 64)])
def test_one_image_can_be_trained_on_at_the_smallest_size(image_size):
    model = cnnzoo.build("resnet18", image_size=image_size, num_classes=10)
    logits = model.train()(torch.randn(1, 3, *model.image_size))
    logits.sum().backward()
    assert model.conv1.weight.grad.isfinite().all()


@pytest.mark.parametrize("image_size", [8, (1, 8)])
def test_a_pixel_less_is_one_sentence(image_size):
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        cnnzoo.build("resnet18", image_size=image_size)
    message = str(caught.value)
    assert message.startswith("resnet18: an image of ")
    assert message.endswith("The smallest image_size that works is 9.")


@pytest.mark.parametrize("name", [*NAMES, "resnet20", "mobilenet_v2", "convnext_micro"])
def test_a_misspelt_implementation_is_found_though_it_is_not_used(name):
    with pytest.raises(cnnzoo.CnnzooError, match=r"conv_relu_maxpool='eagre'.*\"eager\""):
        cnnzoo.build(name, conv_relu_maxpool="eagre")


def test_the_check_draws_no_random_numbers():
    from cnnzoo.models._no_site import check_implementation

    before = torch.get_rng_state()
    check_implementation("reference")
    assert torch.equal(torch.get_rng_state(), before)


def test_initialisation_is_the_papers():
    torch.manual_seed(0)
    model = cnnzoo.build("resnet18")
    for key in ("conv1", "layer2.0.conv2", "layer4.0.downsample.0"):
        weight = model.get_parameter(f"{key}.weight")
        expected = (2 / (weight.shape[0] * weight.shape[2] * weight.shape[3])) ** 0.5
        assert weight.std().item() == pytest.approx(expected, rel=0.05), key
