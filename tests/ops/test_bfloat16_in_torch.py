"""bfloat16 by autocast and by `.bfloat16()`: under autograd, compile, export, func and in training.

Every road ends at the same kernels, so answers are compared bit by bit with a plain call.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import cnnzoo
from cnnzoo.errors import CnnzooError
from cnnzoo.layers import build_layer
from cnnzoo.ops import conv_relu_maxpool, explain
from tests.ops.oracle import with_gradients

AUTOCAST = {"device_type": "cpu", "dtype": torch.bfloat16}


@pytest.fixture
def tensors(native):
    torch.compiler.reset()
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(s, generator=draw) for s in ((3, 2, 8, 9), (5, 2, 3, 3), (5,))]


def block(x, weight, bias):
    return conv_relu_maxpool(x, weight, bias, padding=1, implementation="native")


def under_autocast(x, weight, bias):
    with torch.autocast(**AUTOCAST):
        return block(x, weight, bias)


def halves(tensors):
    return [t.bfloat16() for t in tensors]


def assert_bits(got, want):
    for one, other in zip(got, want, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def as_float32(answers):
    """What autocast makes of a plain call's: y as it is, gradients for float32 parameters."""
    return [answers[0], *(grad.float() for grad in answers[1:])]


@pytest.fixture
def plain(tensors):
    """Y and the gradients of a call in bfloat16."""
    return with_gradients(block, *halves(tensors))


def test_autocast(tensors, plain):
    assert_bits(with_gradients(under_autocast, *tensors), as_float32(plain))
    with torch.autocast(**AUTOCAST):
        assert explain(*tensors, implementation="native").implementation == "native"
        inferred = block(*tensors)  # no gradient is wanted
    assert_bits([inferred], plain[:1])


class Arrived(TorchDispatchMode):
    """Collects the dtypes of what reaches our operators: mixed ones would go to the reference."""

    def __init__(self):
        super().__init__()
        self.dtypes = set()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if operator.namespace == "cnnzoo":
            self.dtypes |= {each.dtype for each in args[:3] if isinstance(each, torch.Tensor)}
        return operator(*args, **(kwargs or {}))


def test_autocast_takes_what_arrives(tensors, plain):
    # A layer before this one hands on bfloat16, while the parameters are float32.
    x, weight, bias = tensors
    with Arrived() as arrived:
        got = with_gradients(under_autocast, x.bfloat16(), weight, bias)
        assert_bits(got, [*plain[:2], plain[2].float(), plain[3].float()])
        half = with_gradients(under_autocast, x, weight, bias.bfloat16())
        assert_bits(half[:3], as_float32(plain)[:3])
        assert under_autocast(*halves(tensors)).dtype == torch.bfloat16
    assert arrived.dtypes == {torch.bfloat16}


def test_mixed_dtypes_are_refused(tensors):
    x, weight, bias = tensors
    with pytest.raises(CnnzooError, match=r"weight: expected torch\.bfloat16, the dtype of x"):
        block(x.bfloat16(), weight, bias)
    with pytest.raises(CnnzooError, match=r"bias: expected torch\.bfloat16, the dtype of x"):
        block(x.bfloat16(), weight.bfloat16(), bias)
    with pytest.raises(CnnzooError, match=r"weight: expected torch\.float32, the dtype of x"):
        under_autocast(x, weight.double(), bias)  # which autocast leaves as it is


@pytest.mark.parametrize("half", ["weight", "bias"])
def test_mixed_dtypes_are_refused_by_the_compiler(tensors, half):
    mixed = dict(zip(("x", "weight", "bias"), tensors, strict=True))
    mixed[half] = mixed[half].bfloat16()
    compiled = torch.compile(block, fullgraph=True, backend="eager")
    with pytest.raises(Exception, match=rf"{half}: expected torch\.float32, the dtype of x"):
        compiled(**mixed)


@pytest.mark.parametrize("function", [block, under_autocast])
def test_compile_with_inductor(tensors, plain, function):
    if function is block:
        tensors, want = halves(tensors), [2 * plain[0], *(2 * t for t in plain[1:])]
    else:
        want = [2 * t for t in as_float32(plain)]
    compiled = torch.compile(lambda *t: 2 * function(*t), fullgraph=True)
    assert_bits(with_gradients(compiled, *tensors), want)


def test_compile_within_autocast(tensors, plain):
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    with torch.autocast(**AUTOCAST):
        y = with_gradients(compiled, *tensors)
    assert_bits(y, as_float32(plain))


@pytest.mark.parametrize("function", [block, under_autocast])
def test_dynamic_sizes(tensors, function):
    _, weight, bias = tensors
    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend="aot_eager")
    for n, h in ((3, 8), (5, 11)):
        x = torch.randn(n, 2, h, 9)
        of = halves([x, weight, bias]) if function is block else [x, weight, bias]
        assert_bits(with_gradients(compiled, *of), with_gradients(function, *of))


class Net(torch.nn.Module):
    def __init__(self, function, weight, bias):
        super().__init__()
        self.function = function
        self.weight, self.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)

    def forward(self, x):
        return self.function(x, self.weight, self.bias)


@pytest.mark.parametrize("function", [block, under_autocast])
def test_export_then_train(tensors, plain, function):
    x, weight, bias = halves(tensors) if function is block else tensors
    want = plain if function is block else as_float32(plain)
    batch = torch.export.Dim("batch")
    net = Net(function, weight.clone(), bias.clone())
    program = torch.export.export(net, (x[:2],), dynamic_shapes=({0: batch},))
    graphs = [part.graph for part in program.graph_module.modules() if hasattr(part, "graph")]
    names = [str(node.target) for graph in graphs for node in graph.nodes]
    assert "cnnzoo.conv_relu_maxpool_train.default" in names
    module = program.module()
    y = module(x)
    y.sum().backward()
    grads = dict(module.named_parameters())
    assert_bits([y, grads["weight"].grad, grads["bias"].grad], [want[0], *want[2:]])


def test_func_grad(tensors, plain):
    gradients = torch.func.grad(lambda *t: under_autocast(*t).sum(), argnums=(0, 1, 2))(*tensors)
    assert_bits(gradients, as_float32(plain)[1:])
    gradients = torch.func.grad(lambda *t: block(*t).sum(), argnums=(0, 1, 2))(*halves(tensors))
    assert_bits(gradients, plain[1:])


def test_vmap(tensors, plain):
    x, weight, bias = tensors
    many = torch.stack([x, -x, x.roll(1, 3)])
    got = torch.vmap(lambda x: under_autocast(x, weight, bias))(many)
    assert_bits([got], [torch.stack([under_autocast(x, weight, bias) for x in many])])
    each = torch.func.grad(lambda w, x: under_autocast(x[None], w, bias).float().sum())
    got = torch.vmap(each, in_dims=(None, 0))(weight, x)
    assert_bits(got, [each(weight, one) for one in x])


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(tensors, plain, reentrant):
    leaves = [t.clone().requires_grad_() for t in tensors]
    with torch.autocast(**AUTOCAST):
        y = checkpoint(block, *leaves, use_reentrant=reentrant)
    y.backward(torch.ones_like(y))  # runs it again, and has to ask for the same dtype
    assert_bits([y, *(leaf.grad for leaf in leaves)], as_float32(plain))


@pytest.mark.parametrize("name", ["native", "reference"])
def test_a_layer_in_bfloat16(native, name):
    layer = build_layer("conv_relu_maxpool", name, 3, 8, 3).bfloat16()
    layer(torch.randn(2, 3, 10, 10).bfloat16()).sum().backward()
    assert layer.weight.grad.dtype == layer.bias.grad.dtype == torch.bfloat16


def losses(implementation, half):
    torch.manual_seed(0)
    model = cnnzoo.build("mnist_cnn", conv_relu_maxpool=implementation)
    model = model.bfloat16() if half else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    images, labels = torch.randn(32, 1, 28, 28), torch.arange(32) % 10
    found = []
    for _ in range(3):
        optimizer.zero_grad()
        with torch.autocast(**AUTOCAST, enabled=not half):
            logits = model(images.bfloat16() if half else images)
            loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("half", [False, True], ids=["autocast", "bfloat16"])
def test_three_steps_of_training(native, half):
    got, want = losses("native", half), losses("reference", half)
    assert want[-1] < want[0] - 0.02, "nothing was learned"
    assert got == pytest.approx(want, abs=0.02)
