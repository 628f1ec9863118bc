"""MobileNetV2: torchvision is the judge."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from family_checks import parameters, stage_sizes, with_random_statistics, with_weights_of

import cnnzoo


def test_parameters_are_the_known_number():
    assert parameters("mobilenet_v2") == 3_504_872


def test_torchvision_weights_give_the_same_logits_at_224():
    torch.manual_seed(0)
    judge = with_random_statistics(torchvision.models.mobilenet_v2(weights=None)).eval()
    model = with_weights_of(judge, "mobilenet_v2").eval()
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        expected = judge(x)
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    assert expected.std() > 1e-2, "logits of zero would agree with anything"


def test_training_agrees_with_torchvision():
    torch.manual_seed(0)
    judge = torchvision.models.mobilenet_v2(weights=None, num_classes=10, dropout=0.0)
    model = with_weights_of(judge, "mobilenet_v2", num_classes=10, image_size=64, dropout=0.0)
    x, labels = torch.randn(4, 3, 64, 64), torch.arange(4)
    for each in (judge.double(), model.double()):
        F.cross_entropy(each(x.double()), labels).backward()
    gradients = dict(model.named_parameters())
    for key, expected in judge.named_parameters():
        torch.testing.assert_close(gradients[key].grad, expected.grad, rtol=1e-6, atol=1e-9)


def test_dropout_is_before_the_last_layer_and_only_in_training():
    torch.manual_seed(0)
    model = cnnzoo.build("mobilenet_v2", image_size=32, dropout=0.5).eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(model(x), model(x))
    model.classifier.train()
    assert not torch.equal(model(x), model(x))


@pytest.mark.parametrize(
    ("image_size", "pixels"),
    [(224, (112, 112, 56, 28, 14, 14, 7, 7, 7)), (28, (28, 28, 14, 7, 4, 4, 2, 2, 2))],
)
def test_stages(image_size, pixels):
    sizes = stage_sizes(cnnzoo.build("mobilenet_v2", image_size=image_size, in_channels=1))
    names = ["stem", *[f"stage{i}" for i in range(1, 8)], "head"]
    channels = (32, 16, 24, 32, 64, 96, 160, 320, 1280)
    expected = zip(names, channels, pixels, strict=True)
    assert sizes == {name: (k, n, n) for name, k, n in expected}


def test_smallest_image():
    model = cnnzoo.build("mobilenet_v2", image_size=17).train()
    assert model(torch.randn(1, 3, 17, 17)).isfinite().all()
    with pytest.raises(cnnzoo.CnnzooError, match=r"16 x 16 is too small.* that works is 17\.$"):
        cnnzoo.build("mobilenet_v2", image_size=16)


def test_initialisation():
    torch.manual_seed(0)
    model = cnnzoo.build("mobilenet_v2")
    assert model.get_parameter("classifier.1.weight").std().item() == pytest.approx(0.01, rel=0.02)
    assert not model.get_parameter("classifier.1.bias").any()
    narrow = model.get_parameter("features.17.conv.2.weight")  # (320, 960, 1, 1)
    assert narrow.std().item() == pytest.approx((2 / 320) ** 0.5, rel=0.02)
