"""The public function, and the module that it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from cnnzoo.errors import CnnzooError
from cnnzoo.freezing import _chains
from cnnzoo.freezing._report import FreezeReport
from cnnzoo.freezing._stages import Run, ScaleStage
from cnnzoo.fusing import _sites
from cnnzoo.layers import ConvReluMaxPool
from cnnzoo.ops import _frozen

# Bound here: looking them up costs a fifth of a microsecond a call.
_AUTOCAST, _TRANSFORMED = torch.is_autocast_enabled, torch._C._are_functorch_transforms_active
_DTYPES = (torch.float32, torch.bfloat16)


def freeze(model: nn.Module, example_input: Tensor) -> FrozenModule:
    """Make the longest run of layers of a model one operator with packed weights, for inference.

    A run is made of conv → ReLU → max-pool (also without pool, also as `ConvReluMaxPool`), then
    flatten and linear → ReLU. Batch norms are folded, dropout and what else does nothing is left
    out. Between its layers nothing goes back to Python, to torch's allocator or to another layout.
    Layers that do not fit run as before, around it; `FrozenModule.freeze_report` says why.

    The model is not changed; the frozen one holds it and shares its parameters, and a changed
    parameter is noticed in the next call (see `FrozenModule`). bfloat16 is computed as the model
    does it where the processor has dot products of it (AVX512-BF16, AMX); elsewhere in float32 and
    rounded at the end. Anything but a batch of the example's shape and dtype, of any size, goes to
    the model itself; so does training, autocast, `torch.func`, `torch.compile` and `torch.export`.

    Args:
        model: in eval mode, on the CPU, float32 or bfloat16.
        example_input: images (N, C, H, W) of the size that will be asked for, N of 1 or more.

    Returns:
        A module with the same answers up to rounding: ``freeze_report.difference``.

    Raises:
        CnnzooError: not a module, in training mode, of another dtype or device, with control flow
            that depends on values, or an example that the model does not take.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("mnist_cnn").eval()
    >>> fast = freeze(model, torch.rand(1, 1, 28, 28))
    >>> fast.freeze_report.message
    'All 4 layers are one call.'
    >>> x = torch.rand(3, 1, 28, 28)
    >>> bool(torch.allclose(fast(x), model(x), atol=1e-4))
    True
    """
    _check(model, example_input)
    modules = dict(model.named_modules())
    try:
        graph = _Tracer().trace(model)
    except Exception as error:  # anything may happen when foreign code meets a proxy
        why = str(error).strip().partition("\n")[0]
        raise CnnzooError(
            f"torch.fx cannot read the forward of {type(model).__name__} ({why}): freeze needs one "
            "without control flow that depends on values. Freeze the part that has none."
        ) from error
    whole = fx.GraphModule(model, graph)
    with torch.no_grad():
        try:
            expected = model(example_input.clone())  # a model may write into its input
            ShapeProp(whole).propagate(example_input.clone())
        except Exception as error:
            raise CnnzooError(
                f"{type(model).__name__} does not take the example {tuple(example_input.shape)}: "
                f"{str(error).strip()}"
            ) from error
    found, left = _find(model, graph, modules)
    report = FreezeReport(type(model).__name__, left=tuple(left.items()))
    if found is None:
        message = left.pop("", "") or "Nothing is frozen: no layer fits."
        report = replace(report, left=tuple(left.items()), message=message)
        return FrozenModule(model, example_input, None, None, report)
    run = Run(found.stages, _chains.shape_of(found.last)[1:], example_input.dtype)
    around = _around(model, graph, found, run)
    layers = sum(not isinstance(stage, ScaleStage) for stage in found.stages)
    all_or_not = "All " if around is None else ""
    frozen = FrozenModule(model, example_input, run, around, report)
    with torch.no_grad():
        difference, largest = _compare(frozen(example_input.clone()), expected)
    frozen.freeze_report = replace(
        report,
        frozen=tuple(found.names),
        message=f"{all_or_not}{layers} layers are one call.",
        whole=around is None,
        difference=difference,
        largest=largest,
    )
    return frozen


class FrozenModule(nn.Module):
    """What `cnnzoo.freeze` returns: the model, with its longest run of layers as one operator.

    It has the model's parameters and state dict. Before each call it compares the version counters
    and addresses of the tensors in the run, and packs anew where one differs: optimizer steps,
    ``load_state_dict``, in-place changes, ``p.data = …`` and replaced parameters are noticed.
    Writes that torch does not count are not: ``p.data.fill_(…)`` and the like, and writes through
    NumPy; call `refresh` after them. A layer that was replaced by another needs a new freeze.

    The output has no gradient. An input that needs one is refused while gradients are recorded;
    in training mode the model itself runs.

    Attributes:
        model: the model, unchanged.
        freeze_report: a `FreezeReport`.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Tensor,
        run: Run | None,
        around: fx.GraphModule | None,
        report: FreezeReport,
    ) -> None:
        super().__init__()
        self.model = model
        self.freeze_report = report
        self.training = False
        self._run = run
        self._around = (around,)  # in a tuple: its modules are the model's, and count once
        self._shape = example.shape[1:]
        self._dtype = example.dtype

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch as the model does, without gradient.

        Raises:
            CnnzooError: ``x`` needs a gradient, and gradients are recorded.
        """
        if torch.compiler.is_compiling() or not self._fits(x):
            return self.model(x)
        if x.requires_grad and torch.is_grad_enabled():
            raise CnnzooError(
                "A frozen model has no gradients, and this input needs one: call frozen.model, or "
                "detach the input."
            )
        around = self._around[0]
        if around is not None:
            with torch.no_grad():
                return around(x)
        assert self._run is not None
        return self._run(x)

    def refresh(self) -> FrozenModule:
        """Read all weights again, after a change that torch does not count; return itself."""
        if self._run is not None:
            self._run.pack()
        return self

    def _fits(self, x: Tensor) -> bool:
        return (
            self._run is not None
            and type(x) is Tensor
            and x.shape[1:] == self._shape
            and x.dtype is self._dtype
            and x.is_cpu
            and not self.training
            and not _AUTOCAST("cpu")
            and not _TRANSFORMED()
        )

    def train(self, mode: bool = True) -> FrozenModule:
        """Switch the model; in training mode it runs by itself."""
        super().train(mode)
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The state dict of the model, under its own names."""
        return self.model.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load into the model, by its own names."""
        return self.model.load_state_dict(*args, **kwargs)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Copies and pickles are frozen anew: packed weights suit one processor."""
        return _again, (self.model, tuple(self._shape), self._dtype)

    def _apply(self, fn: Any, recurse: bool = True) -> FrozenModule:
        """What .to(), .double() and the like call: another dtype or device runs the model."""
        super()._apply(fn, recurse)
        tensors = [*self.model.parameters(), *self.model.buffers()]
        if any(t.device.type != "cpu" for t in tensors) or any(
            t.is_floating_point() and t.dtype is not self._dtype for t in tensors
        ):
            self._run = None
        return self


def _again(model: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> FrozenModule:
    return freeze(model.eval(), torch.zeros(1, *shape, dtype=dtype))


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        hooked = any(getattr(m, hooks) for hooks in _sites._HOOKS)
        return (
            isinstance(m, ConvReluMaxPool)
            or hooked
            or isinstance(m, torch.jit.ScriptModule)
            or super().is_leaf_module(m, module_qualified_name)
        )


def _check(model: nn.Module, example: Tensor) -> None:
    if not isinstance(model, nn.Module):
        hint = " Build it first." if isinstance(model, str | type) else ""
        raise CnnzooError(f"freeze takes a torch.nn.Module; got {type(model).__name__}.{hint}")
    if not isinstance(example, Tensor) or example.dim() < 2 or not len(example):
        got = tuple(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise CnnzooError(
            f"freeze takes an example batch (N, C, H, W) with N of 1 or more; got {got}."
        )
    if any(module.training for module in model.modules()):
        raise CnnzooError(
            "freeze is for inference, and the model is in training mode: call model.eval() first."
        )
    tensors = [*model.parameters(), *model.buffers()]
    for tensor in [example, *tensors]:
        if tensor.device.type != "cpu":
            raise CnnzooError(f"freeze is for the CPU; got a tensor on {tensor.device}.")
        if tensor.is_floating_point() and tensor.dtype not in _DTYPES:
            raise CnnzooError(
                f"freeze takes float32 and bfloat16; got {tensor.dtype}. model.float() changes it."
            )
        if tensor.is_inference() and tensor is not example:
            raise CnnzooError(
                "The model was made in torch.inference_mode, where torch counts no changes: build "
                "it outside."
            )
    dtypes = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    if len(dtypes | {example.dtype}) > 1:
        names = ", ".join(sorted(str(each) for each in dtypes))
        raise CnnzooError(
            f"freeze takes a model and an example of one dtype; got {names} and {example.dtype}."
        )


def _find(
    model: nn.Module, graph: fx.Graph, modules: dict[str, nn.Module]
) -> tuple[_chains.Found | None, dict[str, str]]:
    if any(getattr(model, hooks) for hooks in _sites._HOOKS):
        return None, {"": "Nothing is frozen: the model has hooks, which would no longer run."}
    if reason := _frozen.why_not():
        return None, {"": f"Nothing is frozen: {reason}"}
    return _chains.find(graph, modules)


def _around(
    model: nn.Module, graph: fx.Graph, found: _chains.Found, run: Run
) -> fx.GraphModule | None:
    """The graph with the run in it; None where the run is all there is."""
    source = found.first.args[0]
    assert isinstance(source, fx.Node)
    inside = set(found.nodes)
    others = [
        node
        for node in graph.nodes
        if node not in inside and node.op not in ("placeholder", "output")
    ]
    output = next(node for node in graph.nodes if node.op == "output")
    if (
        source.op == "placeholder"
        and output.args == (found.last,)
        and all(_chains.is_bystander(node) for node in others)
    ):
        return None
    with graph.inserting_before(found.first):
        call = graph.call_function(_Call(run), (source,))
    found.last.replace_all_uses_with(call)
    for node in reversed(found.nodes):  # not all dead code: what writes in place may look like it
        for user in list(node.users):
            if _chains.is_bystander(user) and not user.users:
                graph.erase_node(user)
        if not node.users:
            graph.erase_node(node)
    graph.lint()
    return fx.GraphModule(model, graph)


class _Call:
    """A run as a function in a graph."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.__name__ = self.__qualname__ = "frozen_run"
        self.__module__ = __name__

    def __call__(self, x: Tensor) -> Tensor:
        return self.run(x.detach())


def _compare(got: Any, expected: Any) -> tuple[float | None, float | None]:
    if not isinstance(expected, Tensor):
        return None, None
    if not expected.numel():
        return 0.0, 0.0
    wide = expected.double()
    return float((got.double() - wide).abs().max()), float(wide.abs().max())
