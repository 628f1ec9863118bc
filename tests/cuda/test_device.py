"""The CUDA kernels on a GPU, through torch: the same properties as on the CPU.

Skipped where there is no GPU; what runs without one stands in test_emulated.py and test_ptx_*.py.
"""

import pytest
import torch
import torch.nn.functional as F

from cnnzoo.ops import _cuda, conv_relu_maxpool, explain
from cnnzoo.ops._geometry import Window

if not torch.cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)
if _cuda.library() is None:
    pytest.skip(f"needs the CUDA library: {_cuda._load()[1]}", allow_module_level=True)

DEVICE = "cuda"
TYPES = (torch.float32, torch.bfloat16, torch.float16)
LAYERS = {
    "tutorial's first": ((4, 1, 28, 28), (32, 1, 3, 3), {}),
    "tutorial's second": ((4, 32, 13, 13), (32, 32, 3, 3), {}),
    "LeNet": ((3, 6, 14, 14), (16, 6, 5, 5), {}),
    "AlexNet's first": (
        (2, 3, 63, 63),
        (64, 3, 11, 11),
        {"stride": 4, "padding": 2, "pool_size": 3, "pool_stride": 2},
    ),
    "ResNet's stem": (
        (2, 3, 64, 64),
        (64, 3, 7, 7),
        {"stride": 2, "padding": 3, "pool_size": 3, "pool_stride": 2, "pool_padding": 1},
    ),
    "VGG": ((2, 64, 20, 20), (96, 64, 3, 3), {"padding": 1}),
    "tails": ((1, 17, 9, 11), (33, 17, 2, 3), {"pool_size": (3, 1), "pool_stride": (1, 2)}),
    "empty": ((0, 3, 8, 8), (4, 3, 3, 3), {}),
}
CONV = ("stride", "padding")


def composition(x, weight, bias, options):
    conv = {name: value for name, value in options.items() if name in CONV}
    y = F.relu(F.conv2d(x, weight, bias, **conv))
    size = options.get("pool_size", 2)
    return F.max_pool2d(y, size, options.get("pool_stride", size), options.get("pool_padding", 0))


def native(x, weight, bias, options):
    return conv_relu_maxpool(x, weight, bias, **options, implementation="native")


def tensors(layer, dtype, seed=0, integers=True):
    """Return x, weight, bias on the device, and the layer's options."""
    x, weight, options = LAYERS[layer]
    random = torch.Generator().manual_seed(seed)
    made = []
    for shape in (x, weight, weight[:1]):
        if integers:
            made.append(torch.randint(-2, 3, shape, generator=random).to(DEVICE, dtype))
        else:
            made.append(torch.randn(shape, generator=random).to(DEVICE, dtype))
    return made, options


def outcome(function, inputs, options, seed=1):
    """Y and the three gradients, for a gradient of small integers."""
    leaves = [one.detach().clone().requires_grad_() for one in inputs]
    y = function(*leaves, options)
    random = torch.Generator().manual_seed(seed)
    grad_y = torch.randint(-2, 3, y.shape, generator=random).to(y.device, y.dtype)
    return [y.detach(), *torch.autograd.grad(y, leaves, grad_y)]


@pytest.fixture(autouse=True)
def _exact_float32():
    conv = torch.backends.cudnn.conv
    before, conv.fp32_precision = conv.fp32_precision, "ieee"
    yield
    conv.fp32_precision = before


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("layer", LAYERS)
def test_integers_bit_for_bit(layer, dtype):
    inputs, options = tensors(layer, dtype)
    got = outcome(native, inputs, options)
    if dtype == torch.float32:
        want = outcome(composition, [one.cpu().double() for one in inputs], options)
    else:  # ties are those of the rounded values: compare with the CPU's composition in that dtype
        want = outcome(composition, [one.cpu().float() for one in inputs], options)
        if float(want[0].abs().max() if want[0].numel() else 0) > 256:
            pytest.skip("sums of this layer are rounded, so its ties are not those of float32")
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one.cpu(), other.to(one.dtype), rtol=0, atol=0)


@pytest.mark.parametrize("layer", [name for name in LAYERS if name != "empty"])
@pytest.mark.parametrize(("dtype", "tolerance"), zip(TYPES, (3e-6, 2e-2, 3e-3), strict=True))
def test_reals_near_float64(layer, dtype, tolerance):
    inputs, options = tensors(layer, dtype, integers=False)
    got = native(*inputs, options)
    want = composition(*[one.cpu().double() for one in inputs], options)
    scale = float(want.abs().max())
    torch.testing.assert_close(got.cpu().double(), want, rtol=0, atol=tolerance * scale)


def test_tf32_only_where_torch_allows_it():
    inputs, options = tensors("VGG", torch.float32, integers=False)
    want = composition(*[one.cpu().double() for one in inputs], options)
    error = {}
    for precision in ("ieee", "tf32"):
        torch.backends.cudnn.conv.fp32_precision = precision
        error[precision] = float((native(*inputs, options).cpu() - want).abs().max() / want.max())
    assert error["ieee"] < 3e-6
    if torch.cuda.get_device_capability() >= (8, 0):
        assert 1e-5 < error["tf32"] < 3e-3


@pytest.mark.parametrize("layer", ["tutorial's first", "VGG"])
def test_layouts_give_the_same_bits(layer):
    (x, weight, bias), options = tensors(layer, torch.float32, integers=False)
    wide = torch.empty(*x.shape[:3], 2 * x.shape[3], device=DEVICE)[..., ::2].copy_(x)
    first = outcome(native, [x, weight, bias], options)
    for other in (x.contiguous(memory_format=torch.channels_last), wide):
        y = native(other, weight, bias, options)
        assert torch.equal(y, first[0])
    again = outcome(native, [x, weight, bias], options)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_nan_and_ties_as_on_the_cpu():
    (x, weight, bias), options = tensors("tutorial's second", torch.float32)
    x[0, 0, 3, 3], x[1, 2, 5, 5] = float("nan"), float("inf")
    got = outcome(native, [x, weight, bias], options)
    want = outcome(composition, [one.cpu().double() for one in (x, weight, bias)], options)
    torch.testing.assert_close(got[0].cpu().double(), want[0], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(dtype):
    (x, weight, bias), options = tensors("VGG", torch.float32)
    leaf = weight.clone().requires_grad_()
    with torch.autocast(DEVICE, dtype=dtype):
        y = native(x, leaf, bias, options)
    assert y.dtype == dtype
    y.float().sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.dtype == torch.float32
    assert torch.equal(y, native(x.to(dtype), weight.to(dtype), bias.to(dtype), options))


def test_a_cuda_graph_holds_a_training_step():
    inputs, options = tensors("tutorial's second", torch.float32)
    want = outcome(native, inputs, options)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # autograd and the allocator warm up outside of the capture
        outcome(native, inputs, options)
    torch.cuda.current_stream().wait_stream(side)
    leaves = [one.detach().clone().requires_grad_() for one in inputs]
    random = torch.Generator().manual_seed(1)
    grad_y = torch.randint(-2, 3, want[0].shape, generator=random).to(DEVICE, torch.float32)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = native(*leaves, options)
        grads = torch.autograd.grad(y, leaves, grad_y)
    for tensor in (y, *grads):
        tensor.detach().fill_(float("nan"))
    graph.replay()
    for one, other in zip((y.detach(), *grads), want, strict=True):
        assert torch.equal(one, other)


def test_work_goes_to_the_current_stream():
    inputs, options = tensors("VGG", torch.float32)
    want = native(*inputs, options)
    stream = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        late = inputs[0].clone()  # on this stream, after the pause
        y = native(late, *inputs[1:], options)
        assert not stream.query()  # nothing has waited for the device
    stream.synchronize()
    assert torch.equal(y, want)


@pytest.mark.parametrize("training", [False, True])
def test_opcheck(training):
    (x, weight, bias), _ = tensors("tutorial's first", torch.float32)
    window = list(Window(1, 1, 0, 0, 2, 2, 2, 2, 0, 0))
    if training:
        weight = weight.requires_grad_()
    torch.library.opcheck(torch.ops.cnnzoo.conv_relu_maxpool.default, (x, weight, bias, window))
    torch.library.opcheck(
        torch.ops.cnnzoo.conv_relu_maxpool_train.default, (x, weight, bias, window)
    )


def test_compiled_programs_agree():
    inputs, options = tensors("VGG", torch.float32)
    compiled = torch.compile(lambda x, w, b: native(x, w, b, options), fullgraph=True)
    assert torch.equal(compiled(*inputs), native(*inputs, options))


def test_tensors_on_two_devices_are_refused():
    (x, weight, bias), _ = tensors("tutorial's first", torch.float32)
    window = list(Window(1, 1, 0, 0, 2, 2, 2, 2, 0, 0))
    with pytest.raises(RuntimeError, match="weight: expected on the CUDA device of x"):
        torch.ops.cnnzoo.conv_relu_maxpool(x, weight.cpu(), bias, window)


def test_what_is_not_covered_is_said():
    x, weight = torch.zeros(1, 4, 8, 8, device=DEVICE), torch.zeros(6, 2, 3, 3, device=DEVICE)
    assert explain(x, weight, groups=2).declined["native"] == "Native kernels take groups=1, got 2."
    doubles = torch.zeros(1, 2, 8, 8, device=DEVICE, dtype=torch.float64), weight.double()
    declined = explain(*doubles).declined["native"]
    assert declined == "CUDA kernels take float32, bfloat16 and float16, got float64."
