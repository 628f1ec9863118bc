"""The operator inside torch.compile and torch.export."""

import io

import pytest
import torch

from cnnzoo.ops import conv_relu_maxpool
from tests.ops.oracle import assert_near, assert_same, composition, integers, judged, with_gradients


@pytest.fixture
def tensors(native):
    torch.compiler.reset()
    generator = torch.Generator().manual_seed(0)
    return integers(generator, 3, 2, 8, 9), integers(generator, 5, 2, 3, 3), integers(generator, 5)


def block(x, weight, bias):
    return conv_relu_maxpool(x, weight, bias, padding=1)


def targets(graph):
    return [str(node.target) for node in graph.nodes if node.op == "call_function"]


def graphs_of(function, *tensors):
    """Compile with a backend that keeps the graphs; return what they call."""
    graphs = []

    def keep(module, _):
        graphs.append(module.graph)
        return module

    torch.compile(function, fullgraph=True, backend=keep)(*tensors)
    return [name for graph in graphs for name in targets(graph)]


def test_compile_with_inductor(tensors):
    compiled = torch.compile(lambda *t: 2 * block(*t), fullgraph=True)
    got = with_gradients(compiled, *tensors)
    assert_same(got, [2 * t for t in judged(*tensors, padding=1)])


def test_compiled_program_holds_the_operator(tensors):
    x, weight, bias = tensors
    assert graphs_of(block, x, weight, bias) == ["cnnzoo.conv_relu_maxpool.default"]
    assert "cnnzoo.conv_relu_maxpool_train.default" in graphs_of(
        block, x, weight, bias.requires_grad_()
    )


def test_compiled_program_holds_pytorch_where_native_declines(tensors):
    x, weight, bias = (t.double() for t in tensors)
    names = graphs_of(block, x, weight, bias)
    assert not [name for name in names if "cnnzoo" in name]
    got = torch.compile(block, fullgraph=True, backend="aot_eager")(x, weight, bias)
    assert_same([got], judged(x, weight, bias, padding=1)[:1])


def test_one_program_for_every_size(tensors):
    x, weight, bias = tensors
    programs = []

    def count(module, _):
        programs.append(module)
        return module

    compiled = torch.compile(block, fullgraph=True, dynamic=True, backend=count)
    # The first sizes are all different: torch takes equal ones for the same symbol.
    for n, h, w in ((4, 8, 9), (6, 8, 9), (3, 11, 14), (7, 16, 7)):
        x = integers(torch.Generator().manual_seed(n), n, 2, h, w)
        assert_same([compiled(x, weight, bias)], judged(x, weight, bias, padding=1)[:1])
    assert len(programs) == 1


def test_dynamic_training(tensors):
    _, weight, bias = tensors
    compiled = torch.compile(block, fullgraph=True, dynamic=True, backend="aot_eager")
    for n, h in ((3, 8), (5, 11)):
        x = integers(torch.Generator().manual_seed(n), n, 2, h, 9)
        assert_same(with_gradients(compiled, x, weight, bias), judged(x, weight, bias, padding=1))


def test_autocast_inside_a_program(tensors):
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", torch.bfloat16):
        assert compiled(*tensors).dtype == torch.bfloat16


def test_func_grad_inside_a_program(tensors):
    x, weight, bias = tensors
    gradient = torch.func.grad(lambda w: block(x, w, bias).sum())
    got = torch.compile(gradient, fullgraph=True, backend="aot_eager")(weight)
    assert_same([got], [judged(x, weight, bias, padding=1)[2]])


def test_a_forced_path_that_cannot_run_stops_the_compiler(tensors):
    def forced(x, weight):
        return conv_relu_maxpool(x, weight, implementation="native")

    compiled = torch.compile(forced, fullgraph=True, backend="eager")
    with pytest.raises(Exception, match="Native kernels take float32 and bfloat16, got float64"):
        compiled(tensors[0].double(), tensors[1].double())


class Net(torch.nn.Module):
    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)

    def forward(self, x):
        return block(x, self.weight, self.bias).flatten(1)


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "not strict"])
@pytest.mark.parametrize("grad", [True, False], ids=["train", "inference"])
def test_export_then_train(tensors, strict, grad):
    x, weight, bias = tensors
    batch = torch.export.Dim("batch")
    with torch.set_grad_enabled(grad):
        program = torch.export.export(
            Net(weight.clone(), bias.clone()), (x,), dynamic_shapes=({0: batch},), strict=strict
        )
    operator = "cnnzoo.conv_relu_maxpool_train" if grad else "cnnzoo.conv_relu_maxpool"
    assert f"{operator}.default" in targets(program.graph)

    module = program.module()
    x = torch.cat([x, -x])  # another batch size
    module(x).sum().backward()
    want = judged(x, weight, bias, padding=1)
    grads = dict(module.named_parameters())
    assert_same([grads["weight"].grad, grads["bias"].grad], want[2:])


def test_exported_program_as_a_file(tensors):
    x, weight, bias = tensors
    with torch.no_grad():
        program = torch.export.export(Net(weight, bias), (x,))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    got = torch.export.load(file).module()(x)
    assert torch.equal(got, composition(x, weight, bias, padding=1).flatten(1))


def test_exported_program_on_a_machine_without_the_library(tensors):
    x, weight, bias = (torch.randn(t.shape) for t in tensors)
    with torch.no_grad():
        program = torch.export.export(Net(weight, bias), (x,))
    with torch.library._scoped_library("cnnzoo", "IMPL") as library:
        # The same as no CPU kernel: what is registered for every device.
        reference = torch.ops.cnnzoo.conv_relu_maxpool_reference
        library.impl("conv_relu_maxpool", lambda *a: reference(*a), "CPU", allow_override=True)
        got = program.module()(x)
    assert_near([got], [composition(x, weight, bias, padding=1).flatten(1).double()])
