"""Finding conv → [batch norm] → ReLU → max-pool in a graph of torch.fx, and judging it.

The pool may also stand before the ReLU: both are monotone, so their order does not matter, for NaN
neither. What is between convolution and end must be used nowhere else.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

Pair = tuple[int, int]
_RELU_FUNCTIONS = {F.relu, torch.relu, torch.relu_, F.relu_}
_POOL_FUNCTIONS = {F.max_pool2d, torch.max_pool2d, F.max_pool2d_with_indices}
_POOL_ARGUMENTS = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class Found:
    """A site in a graph. ``problem``: why it cannot be fused, a sentence; then sizes may be empty.

    Attributes:
        name: path of the convolution, below the module whose graph this is.
        pattern: in words.
        problem: None, or a sentence.
        nodes: from the convolution to the end.
        norm: path of the batch norm, if there is one.
        conv: stride, padding, dilation, groups.
        pool: window, stride, padding.
        ceil_mode: of the pool.
    """

    name: str
    pattern: str
    problem: str | None = None
    nodes: tuple[fx.Node, ...] = ()
    norm: str | None = None
    conv: tuple[Any, ...] = ()
    pool: tuple[Any, ...] = ()
    ceil_mode: bool = False


def kind(node: fx.Node, modules: Mapping[str, nn.Module]) -> str:
    """Say what a node does: "conv", "batch norm", "relu", "max-pool", or how it is called."""
    if node.op == "call_module":
        module = modules[str(node.target)]
        for name, cls in _MODULES.items():
            if isinstance(module, cls):
                return name
        return type(module).__name__
    if node.op == "call_function":
        if node.target in _RELU_FUNCTIONS:
            return "relu"
        if node.target in _POOL_FUNCTIONS:
            return "max-pool"
        return str(getattr(node.target, "__name__", node.target))
    if node.op == "call_method":
        return "relu" if node.target in ("relu", "relu_") else str(node.target)
    return {"placeholder": "the input"}.get(node.op, node.op)


_MODULES = {
    "conv": nn.Conv2d,
    "batch norm": nn.BatchNorm2d,
    "relu": nn.ReLU,
    "max-pool": nn.MaxPool2d,
}


def find(graph: fx.Graph, modules: Mapping[str, nn.Module], *, training: bool) -> list[Found]:
    """Judge every max-pool of a graph.

    Args:
        graph: of one module's forward.
        modules: path → module, below the one of the graph.
        training: the mode in which it was traced.
    """
    pools = [node for node in graph.nodes if kind(node, modules) == "max-pool"]
    return [_judge(node, modules, training=training) for node in pools]


def behind(pool: fx.Node, modules: Mapping[str, nn.Module]) -> fx.Node | None:
    """The node that feeds a pool, its ReLU passed over."""
    node = _input(pool)
    while node is not None and kind(node, modules) == "relu":
        node = _input(node)
    return node


def _judge(pool: fx.Node, modules: Mapping[str, nn.Module], *, training: bool) -> Found:
    chain = [pool]
    while (before := _input(chain[0])) is not None:
        what = kind(before, modules)
        if what not in ("relu", "batch norm", "conv"):
            break
        chain.insert(0, before)
        if what == "conv":
            break
    kinds = [kind(node, modules) for node in chain]
    name = str(pool.target) if pool.op == "call_module" else pool.name
    if kinds[0] != "conv":
        source = _input(chain[0])
        what = "something unknown" if source is None else kind(source, modules)
        return Found(name, " → ".join([what, *kinds]), f"It does not start with a Conv2d: {what}.")
    name = str(chain[0].target)
    if "relu" not in kinds:  # conv → pool → relu
        user = next(iter(pool.users)) if len(pool.users) == 1 else None
        if user is not None and kind(user, modules) == "relu":
            chain.append(user)
            kinds.append("relu")
    pattern = " → ".join(kinds)
    inner = [each for each in kinds if each != "relu"]
    if "relu" not in kinds:
        return Found(name, pattern, "There is no ReLU.")
    if inner not in (["conv", "max-pool"], ["conv", "batch norm", "max-pool"]) or (
        "batch norm" in kinds and kinds.index("batch norm") != 1
    ):
        return Found(name, pattern, "The order is another.")
    if any(len(node.users) != 1 for node in chain[:-1]):
        return Found(name, pattern, "A value between convolution and max-pool is used elsewhere.")
    problem = _hooked(chain, modules)
    norm = str(chain[1].target) if kinds[1] == "batch norm" else None
    if not problem and norm:
        problem = _norm_problem(modules[norm], training=training)
    if problem:
        return Found(name, pattern, problem)
    try:
        conv = _conv_sizes(modules[name])
        window, ceil_mode = _pool_sizes(pool, modules)
    except _DeclineError as why:
        return Found(name, pattern, str(why))
    return Found(name, pattern, None, tuple(chain), norm, conv, window, ceil_mode)


class _DeclineError(Exception):
    pass


def _input(node: fx.Node) -> fx.Node | None:
    given = node.args[0] if node.args else node.kwargs.get("input", node.kwargs.get("x"))
    return given if isinstance(given, fx.Node) else None


def _hooked(chain: list[fx.Node], modules: Mapping[str, nn.Module]) -> str | None:
    for node in chain:
        if node.op == "call_module":
            module = modules[str(node.target)]
            if any(getattr(module, hooks) for hooks in _HOOKS):
                return f"{node.target} has hooks, which would no longer run."
    return None


def _norm_problem(norm: nn.Module, *, training: bool) -> str | None:
    assert isinstance(norm, nn.BatchNorm2d)
    if type(norm) is not nn.BatchNorm2d:
        return f"{type(norm).__name__} is a batch norm of its own kind."
    if training:
        return "A batch norm is folded in eval mode only."
    if norm.running_mean is None or norm.running_var is None:
        return "The batch norm keeps no running statistics."
    return None


def _conv_sizes(conv: nn.Module) -> tuple[Any, ...]:
    assert isinstance(conv, nn.Conv2d)
    if type(conv) is not nn.Conv2d:
        raise _DeclineError(f"{type(conv).__name__} is a convolution of its own kind.")
    if conv.padding_mode != "zeros":
        raise _DeclineError(f"The operator pads with zeros, not with {conv.padding_mode!r}.")
    if conv.groups != 1 or set(conv.dilation) != {1}:
        raise _DeclineError("The native kernels take groups=1 and dilation=1.")
    padding: Any = conv.padding
    if padding == "valid":
        padding = (0, 0)
    elif padding == "same":
        if any(size % 2 == 0 for size in conv.kernel_size):
            raise _DeclineError("padding='same' of an even filter is not the same on both sides.")
        padding = tuple((size - 1) // 2 for size in conv.kernel_size)
    return conv.stride, padding, conv.dilation, conv.groups


def _pool_sizes(
    pool: fx.Node, modules: Mapping[str, nn.Module]
) -> tuple[tuple[Pair, Pair, Pair], bool]:
    if pool.op == "call_module":
        module = modules[str(pool.target)]
        if type(module) is not nn.MaxPool2d:
            raise _DeclineError(f"{type(module).__name__} is a max-pool of its own kind.")
        given = {name: getattr(module, name) for name in _POOL_ARGUMENTS}
    else:
        given = dict(zip(_POOL_ARGUMENTS, pool.args[1:], strict=False)) | dict(pool.kwargs)
    if given.get("return_indices"):
        raise _DeclineError("The indices of the maxima are asked for.")
    window = _pair(given["kernel_size"])
    stride = given.get("stride")
    sizes = (
        window,
        window if stride is None or stride == [] else _pair(stride),
        _pair(given.get("padding", 0)),
    )
    if _pair(given.get("dilation", 1)) != (1, 1):
        raise _DeclineError("The max-pool is dilated.")
    return sizes, bool(given.get("ceil_mode", False))


def _pair(value: Any) -> Pair:
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    both = both * 2 if len(both) == 1 else both
    try:
        return operator.index(both[0]), operator.index(both[1])
    except TypeError:
        raise _DeclineError("A size of the max-pool is computed in the forward.") from None
