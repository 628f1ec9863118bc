"""What every registered model can do: the registry is the test matrix.

The checks are those of `cnnzoo.conformance`, which plugins run too; here they run on every name of
the zoo and on a sample of the bridged ones. What only the zoo's own promise stands below them.
Pictures are small, whatever size the paper's were: what is special about a family, its full size
included, is tested in the file of its name.
"""

import pytest
import torch

import cnnzoo
from cnnzoo.conformance import checks

MODELS = [name for name in cnnzoo.list_models() if ":" not in name]
BRIDGED = ["tv:squeezenet1_1", "tv:shufflenet_v2_x0_5", "timm:resnet10t", "timm:test_efficientnet"]
# Small ones of different kinds: fused layers, batch norm and shortcuts, layer norm.
COMPILED = ["mnist_cnn", "resnet20", "convnext_micro"]


def build(name, **arguments):
    """Build a model for RGB pictures of 32 × 32 and ten classes, unless told otherwise."""
    return cnnzoo.build(name, **{"in_channels": 3, "num_classes": 10, "image_size": 32} | arguments)


@pytest.mark.parametrize("check", checks("model"), ids=lambda check: check.name)
@pytest.mark.parametrize("name", [*MODELS, *BRIDGED])  # the outer loop: a model is built once
def test_conforms(name, check):
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    check(name)


@pytest.mark.parametrize("name", MODELS)
def test_takes_what_every_model_of_the_zoo_takes(name):
    wanted = ["in_channels", "num_classes", "image_size", "conv_relu_maxpool"]
    assert list(cnnzoo.model_info(name).arguments)[:4] == wanted
    with torch.device("meta"):  # shapes only
        for image_size in (28, (32, 40)):
            model = build(name, image_size=image_size, in_channels=1)
            assert model(torch.randn(2, 1, *model.image_size)).shape == (2, 10)


@pytest.mark.parametrize("name", MODELS)
def test_one_image_can_be_trained_on(name):
    torch.manual_seed(0)
    model = build(name).train()
    model(torch.randn(1, 3, 32, 32)).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_the_message_for_an_image_too_small_says_which_is_not(name):
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        build(name, image_size=1)
    message = str(caught.value)
    assert "nothing left" in message
    smallest = int(message.rpartition(" is ")[2].rstrip("."))
    with torch.device("meta"):
        assert build(name, image_size=smallest).image_size == (smallest, smallest)
        with pytest.raises(cnnzoo.CnnzooError, match=f"image of {smallest - 1} x {smallest - 1}"):
            build(name, image_size=smallest - 1)


@pytest.mark.parametrize("name", MODELS)
def test_stages_shrink_and_wrong_inputs_are_explained(name):
    with torch.device("meta"):
        model = build(name)
        maps = cnnzoo.features(model, torch.randn(2, 3, 32, 32))
        heights = [each.shape[2] for each in maps.values()]
        assert heights == sorted(heights, reverse=True) != []
        with pytest.raises(cnnzoo.CnnzooError, match=r"got one image: use x\[None\]"):
            model(torch.randn(3, 32, 32))
        for shape in [(2, 1, 32, 32), (2, 3, 28, 28), (2, 3 * 32 * 32), (2, 3, 32, 32, 1)]:
            with pytest.raises(cnnzoo.CnnzooError, match=r"built for images \(N, 3, 32, 32\)"):
                model(torch.randn(shape))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("in_channels", 0),
        ("num_classes", -1),
        ("image_size", 2.5),
        ("image_size", (28, 28, 3)),
        ("conv_relu_maxpool", "fsated"),
    ],
)
def test_bad_arguments(name, argument, value):
    with torch.device("meta"), pytest.raises(cnnzoo.CnnzooError, match=argument):
        build(name, **{argument: value})


@pytest.mark.parametrize("name", COMPILED)
def test_compiles_without_a_break_forward_and_backward(name):
    torch.manual_seed(0)
    torch.compiler.reset()
    model = build(name, image_size=16)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 3, 16, 16)
    gradients = []
    for each in (model, compiled):
        model.zero_grad()
        logits = each(x)
        logits.square().sum().backward()
        gradients.append((logits.detach(), [p.grad.clone() for p in model.parameters()]))
    (wanted, expected), (logits, found) = gradients
    torch.testing.assert_close(logits, wanted)
    for gradient, judge in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, judge, rtol=1e-3, atol=1e-4 * float(judge.norm()))
