"""`classify`: one call for plain linear layers; whoever looks at modules finds them called."""

import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.utils import parametrize

import cnnzoo
from cnnzoo import ops
from cnnzoo.layers import classify

needs_native = pytest.mark.skipif(bool(ops.status().reason), reason=str(ops.status().reason))


@pytest.fixture
def calls(monkeypatch):
    """How often the native operator ran."""
    from cnnzoo.ops import _head

    seen = []
    kernel = _head.FORWARD_RAW

    def spy(*args):
        seen.append(1)
        return kernel(*args)

    monkeypatch.setattr(_head, "FORWARD_RAW", spy)
    return seen


def modules():
    torch.manual_seed(0)
    return nn.Linear(36, 20), nn.Linear(20, 5)


def one_by_one(x, first, second):
    return second(F.relu(first(x.flatten(1))))


@needs_native
def test_plain_layers_are_one_call(calls):
    x, head = torch.randn(16, 4, 3, 3), modules()
    torch.testing.assert_close(classify(x, *head, implementation="native"), one_by_one(x, *head))
    assert calls == [1]


def _hook(first, second):
    seen = []
    first.register_forward_hook(lambda *_: seen.append(1))
    return seen


def _pre_hook(first, second):
    seen = []
    second.register_forward_pre_hook(lambda *_: seen.append(1))
    return seen


def _backward_hook(first, second):
    seen = []
    second.register_full_backward_hook(lambda *_: seen.append(1))
    return seen


def _own_forward(first, second):
    seen, forward = [], first.forward
    first.forward = lambda x: seen.append(1) or forward(x)
    return seen


class _Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, weight):
        self.seen.append(1)
        return 2 * weight


def _parametrization(first, second):
    doubled = _Counting()
    parametrize.register_parametrization(first, "weight", doubled)
    doubled.seen.clear()
    return doubled.seen


@pytest.mark.parametrize(
    "watch", [_hook, _pre_hook, _backward_hook, _own_forward, _parametrization]
)
def test_layers_that_are_watched_are_called(calls, watch):
    x, head = torch.randn(16, 4, 3, 3), modules()
    seen = watch(*head)
    classify(x, *head, implementation="native").sum().backward()
    assert seen
    assert not calls


def test_a_hook_on_all_modules(calls):
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(module))
    x, head = torch.randn(16, 4, 3, 3), modules()
    classify(x, *head)
    handle.remove()
    assert seen == list(head)
    assert not calls


@pytest.mark.parametrize("name", ["mnist_cnn", "lenet5"])
def test_models_call_their_layers_for_fx(name):
    class Tracer(fx.Tracer):
        def is_leaf_module(self, *_):
            return True

    graph = Tracer().trace(cnnzoo.build(name))
    called = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    assert [each for each in called if each.startswith("fc")] == (
        ["fc1", "fc2"] if name == "mnist_cnn" else ["fc1", "fc2", "fc3"]
    )


@pytest.mark.filterwarnings("error")
def test_compiled_programs_get_torchs_layers(calls):
    x, head = torch.randn(16, 4, 3, 3), modules()
    compiled = torch.compile(lambda x: classify(x, *head), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), one_by_one(x, *head))
    assert not calls


@needs_native
@pytest.mark.parametrize("name", ["mnist_cnn", "lenet5"])
def test_models_learn_alike_with_both(name, calls):
    x, labels = torch.rand(32, 1, 28, 28), torch.randint(0, 10, (32,))
    models = {how: cnnzoo.build(name, classifier_head=how) for how in ("reference", "native")}
    models["native"].load_state_dict(models["reference"].state_dict())
    for model in models.values():
        F.cross_entropy(model(x), labels).backward()
    assert calls == [1]
    pairs = zip(*(model.named_parameters() for model in models.values()), strict=True)
    for (key, want), (_, got) in pairs:
        scale = want.grad.abs().max().item()
        torch.testing.assert_close(got.grad, want.grad, rtol=1e-3, atol=1e-4 * scale, msg=key)


def test_unknown_implementation():
    with pytest.raises(cnnzoo.CnnzooError, match='got "fast"'):
        classify(torch.randn(2, 36), *modules(), implementation="fast")
