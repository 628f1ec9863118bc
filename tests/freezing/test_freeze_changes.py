"""What a frozen model notices, refuses, and hands to the model itself."""

import copy
import io
import subprocess
import sys

import pytest
import torch
from torch import nn

import cnnzoo
from cnnzoo.errors import CnnzooError
from cnnzoo.freezing import FrozenModule
from cnnzoo.ops import _frozen, _native

native = pytest.mark.skipif(
    _frozen.why_not() is not None, reason=f"no frozen kernels: {_frozen.why_not()}"
)


def stack():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(36, 5),
    ).eval()  # fmt: skip


X = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def check(frozen, old):
    """The answers changed, and to the right ones."""
    with torch.no_grad():
        new, right = frozen(X), frozen.model(X)
    assert not torch.allclose(new, old, atol=1e-3)
    torch.testing.assert_close(new, right, rtol=1e-4, atol=1e-5)


def optimizer_step(kind, **options):
    def change(model):
        optimizer = kind(model.parameters(), lr=0.5, **options)
        model(X).square().sum().backward()
        optimizer.step()

    return change


def load(model):
    model.load_state_dict({k: v + 1 for k, v in model.state_dict().items() if "num" not in k}
                          | {"1.num_batches_tracked": torch.tensor(0)})  # fmt: skip


def new_data(model):
    model[5].weight.data = torch.randn(5, 36)


def new_parameter(model):
    model[0].weight = nn.Parameter(torch.randn(4, 1, 3, 3))


def in_place(model):
    with torch.no_grad():
        model[5].bias.add_(1)


def statistics(model):
    model[1].running_var.fill_(9.0)
    model[1].running_mean.fill_(-1.0)


def inference_write(model):
    with torch.inference_mode():
        model[5].weight.mul_(3)


CHANGES = {
    "SGD": optimizer_step(torch.optim.SGD),
    "fused SGD": optimizer_step(torch.optim.SGD, fused=True),
    "fused Adam": optimizer_step(torch.optim.Adam, fused=True),
    "foreach Adam": optimizer_step(torch.optim.Adam, foreach=True),
    "load_state_dict": load,
    ".data =": new_data,
    "another Parameter": new_parameter,
    "in place": in_place,
    "running statistics": statistics,
    "in inference_mode": inference_write,
}


@native
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_parameter_is_noticed(change):
    torch.manual_seed(0)
    frozen = cnnzoo.freeze(stack(), X)
    old = frozen(X)
    change(frozen.model)
    check(frozen, old)


@native
def test_nothing_is_packed_again_without_a_change(monkeypatch):
    frozen = cnnzoo.freeze(stack(), X)
    monkeypatch.setattr(_frozen, "pack", None)  # whoever calls it fails
    frozen(X)
    frozen(X[:1])


@native
def test_memory_that_comes_back_is_not_taken_for_the_old_weights():
    frozen = cnnzoo.freeze(stack(), X)
    weight = frozen.model[5].weight
    for _ in range(5):
        old, address, tried = frozen(X), weight.data_ptr(), []
        weight.data = torch.randn(5, 36)
        while len(tried) < 50 and (not tried or tried[-1].data_ptr() != address):
            tried.append(torch.randn(5, 36))  # an allocator hands freed memory out again
        weight.data = tried[-1]
        check(frozen, old)


@native
def test_refresh_after_a_write_that_torch_does_not_count():
    frozen = cnnzoo.freeze(stack(), X)
    old = frozen(X)
    frozen.model[5].weight.data.fill_(2.0)
    assert torch.equal(frozen(X), old)  # as documented
    assert frozen.refresh() is frozen
    check(frozen, old)


@native
def test_another_instruction_set_packs_anew():
    frozen = cnnzoo.freeze(stack(), X)
    old, before = frozen(X), _native.status().isa
    try:
        for isa in _native.status().isas:
            _native.set_isa(isa)
            torch.testing.assert_close(frozen(X), old, rtol=1e-4, atol=1e-5)
    finally:
        _native.set_isa(before)


@native
def test_other_inputs_go_to_the_model():
    model = cnnzoo.build("mnist_cnn").eval()
    frozen = cnnzoo.freeze(model, torch.rand(1, 1, 28, 28))
    with pytest.raises(CnnzooError, match=r"built for images \(N, 1, 28, 28\)"):
        frozen(torch.rand(1, 1, 27, 28))
    convs = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()).eval()
    frozen = cnnzoo.freeze(convs, X)
    other = torch.rand(2, 1, 11, 5)
    with torch.no_grad():
        assert torch.equal(frozen(other), convs(other))
        with torch.autocast("cpu", torch.bfloat16):
            assert frozen(X).dtype is torch.bfloat16
        each = torch.func.vmap(frozen)(X[:, None])
    torch.testing.assert_close(each[:, 0], convs(X))


@native
def test_gradients_are_refused_and_training_is_the_models_own():
    frozen = cnnzoo.freeze(stack(), X)
    assert not frozen(X).requires_grad
    x = X.clone().requires_grad_()
    with pytest.raises(CnnzooError, match="no gradients"):
        frozen(x)
    with torch.no_grad():
        frozen(x)
    frozen.train()
    frozen(x).sum().backward()
    assert x.grad is not None
    assert not frozen.eval()(X).requires_grad


@native
def test_another_dtype_runs_the_model():
    frozen = cnnzoo.freeze(stack(), X).double()
    with torch.no_grad():
        assert torch.equal(frozen(X.double()), frozen.model(X.double()))


@native
def test_state_dict_copies_and_pickles():
    frozen = cnnzoo.freeze(stack(), X)
    assert list(frozen.state_dict()) == list(frozen.model.state_dict())
    assert len(list(frozen.parameters())) == len(list(frozen.model.parameters()))
    twin = copy.deepcopy(frozen)
    old = frozen(X)
    load(twin.model)
    check(twin, old)
    assert torch.equal(frozen(X), old)
    file = io.BytesIO()
    torch.save(frozen, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert isinstance(again, FrozenModule)
    assert torch.equal(again(X), old)


@native
def test_export_and_compile_take_the_model_itself():
    frozen = cnnzoo.freeze(stack(), X)
    with torch.no_grad():
        program = torch.export.export(frozen, (X,))
        torch.testing.assert_close(program.module()(X), frozen(X), rtol=1e-4, atol=1e-5)
        compiled = torch.compile(frozen, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(X), frozen(X), rtol=1e-4, atol=1e-5)


@native
def test_the_operator_passes_opcheck():
    run = cnnzoo.freeze(stack(), X)._run
    torch.library.opcheck(_frozen.RUN, (X, run.packed, run.plan, run.out))
    maps = cnnzoo.freeze(stack()[:4].eval(), X)._run
    torch.library.opcheck(_frozen.RUN, (X, maps.packed, maps.plan, maps.out))


def spoil(plan, at, value):
    plan = plan.clone()
    plan[at] = value
    return plan


@native
@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 5),
        (3, 2),
        (3, 3),
        (4, 0),
        (4, 9),
        (5, 7),
        (6, 1 << 40),
        (6, -1),
        (10, 2),
        (11, 9),
        (31, 35),
    ],
)
def test_a_wrong_plan_is_refused(at, value):
    run = cnnzoo.freeze(stack(), X)._run
    with pytest.raises(RuntimeError, match="frozen_run"):
        _frozen.RUN(X, run.packed, spoil(run.plan, at, value), run.out)


@native
def test_stages_that_do_not_follow_one_another_are_refused():
    run = cnnzoo.freeze(stack(), X)._run
    higher = spoil(run.plan, 11, 12)  # whose maps are more features than the linear layer takes
    with pytest.raises(RuntimeError, match="follow one another"):
        _frozen.RUN(torch.rand(3, 1, 12, 8), run.packed, higher, run.out)


@native
def test_wrong_tensors_are_refused():
    run = cnnzoo.freeze(stack(), X)._run
    for x in (X.double(), X[0], X[..., 1:], X.expand(3, 2, 8, 8)):
        with pytest.raises(RuntimeError, match="frozen_run"):
            _frozen.RUN(x, run.packed, run.plan, run.out)
    with pytest.raises(RuntimeError, match="packed weights"):
        _frozen.RUN(X, run.packed.double(), run.plan, run.out)
    with pytest.raises(RuntimeError, match="outside"):
        _frozen.RUN(X, run.packed[:-1], run.plan, run.out)


class Choosing(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("model", "example", "sentence"),
    [
        ("mnist_cnn", X, "takes a torch.nn.Module; got str. Build it first"),
        (stack(), [1], "takes an example batch"),
        (stack(), X[:0], "N of 1 or more"),
        (stack().train(), X, r"call model.eval\(\) first"),
        (stack().double(), X.double(), "float32 and bfloat16; got torch.float64"),
        (stack().half(), X.half(), "got torch.float16"),
        (stack(), X.bfloat16(), "of one dtype"),
        (stack(), X[:, :, :4, :4], "does not take the example"),
        (Choosing().eval(), X, "control flow"),
    ],
)
def test_bad_input_is_a_sentence(model, example, sentence):
    with pytest.raises(CnnzooError, match=sentence):
        cnnzoo.freeze(model, example)


def test_a_model_of_inference_mode_is_refused():
    with torch.inference_mode():
        model = stack()
    with pytest.raises(CnnzooError, match="inference_mode"):
        cnnzoo.freeze(model, X)


@native
def test_the_report_says_why():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Tanh(), nn.Flatten(),
        nn.Linear(64, 70000),
    ).eval()  # fmt: skip
    report = cnnzoo.freeze(model, X).freeze_report
    assert report.frozen == ("0", "1")
    left = dict(report.left)
    assert left["2"] == "There is no ReLU after this convolution."
    assert "4480000 weights" in left["5"]
    assert "one call: 0 → 1" in str(report)
    assert "left: 2: There is no ReLU" in str(report)


@native
def test_a_pool_with_ceil_mode_is_left_where_it_adds_a_row():
    layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(4, ceil_mode=True)).eval()
    frozen = cnnzoo.freeze(layers, X)
    assert "ceil_mode" in dict(frozen.freeze_report.left)["0"]
    assert frozen(X).shape == (3, 4, 2, 2)
    exact = torch.rand(2, 1, 10, 10)
    assert cnnzoo.freeze(layers, exact).freeze_report.whole


@native
def test_hooks_keep_a_layer_out():
    model = stack()
    model[3].register_forward_hook(lambda *_: None)
    report = cnnzoo.freeze(model, X).freeze_report
    assert report.frozen == ("5",)
    assert "hooks" in dict(report.left)["0"]
    model[5].register_forward_hook(lambda *_: None)
    assert cnnzoo.freeze(model, X).freeze_report.frozen == ()
    model = stack()
    model.register_forward_hook(lambda *_: None)
    frozen = cnnzoo.freeze(model, X)
    assert "hooks" in frozen.freeze_report.message
    assert torch.equal(frozen(X), model(X))


def test_without_the_library_the_model_runs(monkeypatch):
    monkeypatch.setattr(_native, "library", lambda: None)
    model = stack()
    frozen = cnnzoo.freeze(model, X)
    assert frozen.freeze_report.frozen == ()
    assert torch.equal(frozen(X), model(X))


def test_a_child_answers_whose_parent_used_threads_in_a_frozen_network_only():
    program = """
import os, sys, torch, cnnzoo
torch.set_num_threads(1)  # freezing runs the network itself, too, to compare
model = cnnzoo.build("mnist_cnn").eval()
images = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
frozen = cnnzoo.freeze(model, images)
torch.set_num_threads(2)
with torch.no_grad():
    frozen(images)
    child = os.fork()
    if child == 0:
        maps = model.conv2(model.conv1(images))
        os._exit(0 if float(maps[0, 0, 0, 0]) >= 0 else 3)  # torch has no fork guard of its own
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
