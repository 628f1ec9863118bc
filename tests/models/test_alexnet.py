"""AlexNet: torchvision is the judge from 63 pixels on; below that it has a form of its own."""

import pytest
import torch
import torchvision
from family_checks import parameters, stage_sizes, with_weights_of

import cnnzoo
from cnnzoo.layers import ConvReluMaxPool


def test_parameters_are_the_known_number():
    assert parameters("alexnet") == 61_100_840
    assert parameters("alexnet", in_channels=1) == 61_100_840 - 2 * 64 * 11 * 11


def test_torchvision_weights_give_the_same_logits():
    torch.manual_seed(0)
    judge = torchvision.models.alexnet(weights=None, num_classes=20).eval()
    for image_size in (224, (63, 100)):
        model = with_weights_of(judge, "alexnet", num_classes=20, image_size=image_size).eval()
        x = torch.randn(1, 3, *model.image_size)
        with torch.no_grad():
            logits = judge(x)
            atol = float(1e-5 * logits.abs().max())
            torch.testing.assert_close(model(x), logits, rtol=0, atol=atol)


def test_large_form_starts_as_torchvisions():
    torch.manual_seed(0)
    model = cnnzoo.build("alexnet", num_classes=10)
    for key, parameter in model.named_parameters():
        if key.endswith("weight"):  # torch.nn draws from ±1/√fan-in
            bound = parameter[0].numel() ** -0.5
            assert 0.98 * bound < parameter.abs().max() <= bound, key


def test_all_three_pools_overlap_and_are_fused():
    for image_size in (28, 224):
        with torch.device("meta"):
            model = cnnzoo.build("alexnet", image_size=image_size)
        fused = [m for m in model.modules() if isinstance(m, ConvReluMaxPool)]
        assert [(m.pool_size, m.pool_stride) for m in fused] == [((3, 3), (2, 2))] * 3


def test_stages_of_large_and_small_images():
    channels = {"conv1": 64, "conv2": 192, "conv3": 384, "conv4": 256, "conv5": 256}
    for image_size, pixels in ((224, (27, 13, 13, 13, 6)), (28, (13, 6, 6, 6, 2))):
        sizes = stage_sizes(cnnzoo.build("alexnet", image_size=image_size, num_classes=10))
        assert sizes == {
            stage: (k, n, n) for (stage, k), n in zip(channels.items(), pixels, strict=True)
        }


@pytest.mark.parametrize(("image_size", "kernel"), [(62, 3), ((62, 99), 3), (63, 11)])
def test_the_small_stem_is_taken_where_the_papers_would_use_the_picture_up(image_size, kernel):
    with torch.device("meta"):
        model = cnnzoo.build("alexnet", image_size=image_size)
    assert model.features[0].kernel_size == (kernel, kernel)


def test_a_pixel_too_few_is_shown_in_a_table():
    assert cnnzoo.build("alexnet", image_size=15, num_classes=2).image_size == (15, 15)
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        cnnzoo.build("alexnet", image_size=14)
    lines = str(caught.value).splitlines()
    assert lines[0] == "alexnet: an image of 14 x 14 is too small."
    assert " ".join(lines[-2].split()) == "conv5 max-pool 3 x 3 0 x 0 <- nothing left"
    assert lines[-1] == "The smallest image_size that works is 15."
