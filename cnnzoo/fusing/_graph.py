"""The forward of one module as a graph, and the graph with the operator in it.

Modules inside count as one node each, so that their own forward, hooks and control flow stay; only
a block that feeds a max-pool directly (convolution and ReLU in a module of its own) is written out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from cnnzoo.fusing import _calls, _sites
from cnnzoo.fusing._sites import Found

# They take any layout and pass it on: what comes out lies as what went in.
_PASS_ON = (
    nn.Conv2d | nn.BatchNorm2d | nn.ReLU | nn.MaxPool2d | nn.AvgPool2d | nn.AdaptiveAvgPool2d
    | nn.Dropout | nn.Dropout2d | nn.Identity
)  # fmt: skip
_PASS_ON_FUNCTIONS = {F.dropout, F.dropout2d, F.adaptive_avg_pool2d, F.avg_pool2d}
# They give the same for any layout, and nothing of it stays.
_END = nn.Flatten
_END_FUNCTIONS = {torch.flatten, torch.reshape}
_END_METHODS = {"flatten", "reshape", "size", "dim", "mean"}
_OPERATORS = {_calls.fused, _calls.fused_with_batch_norm}


@dataclass(frozen=True)
class Traced:
    """A forward in one mode.

    Attributes:
        graph: as traced; `rewrite` changes it.
        modules: path → module, below the one that was traced.
        sites: its max-pools.
        inlined: paths of the blocks that were written out.
    """

    graph: fx.Graph
    modules: dict[str, nn.Module]
    sites: list[Found]
    inlined: tuple[str, ...] = field(default_factory=tuple)


class _Tracer(fx.Tracer):
    def __init__(self, inlined: Iterable[str]) -> None:
        super().__init__()
        self.inlined = set(inlined)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name not in self.inlined


def trace(module: nn.Module, *, training: bool) -> Traced:
    """Write down the forward of ``module``, which is in that mode.

    Raises:
        Exception: whatever torch.fx or the forward raises where it cannot be traced.
    """
    if "forward" in vars(module):
        raise ValueError("it was replaced on this very object.")
    modules = dict(module.named_modules())
    inlined: list[str] = []
    graph = _Tracer(()).trace(module)
    while True:
        more = [
            str(node.target)
            for pool in graph.nodes
            if _sites.kind(pool, modules) == "max-pool"
            and (node := _sites.behind(pool, modules)) is not None
            and node.op == "call_module"
            and _is_block(modules[str(node.target)])
        ]
        if not more:
            break
        try:
            graph = _Tracer([*inlined, *more]).trace(module)
        except Exception:  # the block has control flow: it stays closed
            break
        inlined += more
    sites = _sites.find(graph, modules, training=training)
    useful = [path for path in inlined if any(site.name.startswith(f"{path}.") for site in sites)]
    if useful != inlined:  # the others stay closed, with whatever hangs on them
        graph = _Tracer(useful).trace(module)
        sites = _sites.find(graph, modules, training=training)
    return Traced(graph, modules, sites, tuple(useful))


def holds_convolution(module: nn.Module) -> bool:
    """Whether a module is made of others, one of them a convolution."""
    own = not type(module).__module__.startswith("torch.nn.") or isinstance(module, nn.Sequential)
    return own and any(isinstance(each, nn.Conv2d) for each in module.modules())


def rewrite(traced: Traced, chosen: Iterable[Found]) -> None:
    """Put one call of the operator in the place of each chosen site."""
    for site in chosen:
        _replace(traced, site)
    _restore_layouts(traced)
    traced.graph.lint()


def _is_block(module: nn.Module) -> bool:
    hooked = module._forward_hooks or module._forward_pre_hooks
    scripted = isinstance(module, torch.jit.ScriptModule)
    return holds_convolution(module) and not (hooked or scripted)


def _replace(traced: Traced, site: Found) -> None:
    graph, end = traced.graph, site.nodes[-1]
    first = site.nodes[0]
    x = first.args[0] if first.args else first.kwargs["input"]

    def tensor(path: str, name: str) -> fx.Node | None:
        if getattr(traced.modules[path], name) is None:
            return None
        return graph.create_node("get_attr", f"{path}.{name}")

    with graph.inserting_before(end):
        function: Any = _calls.fused
        args: list[Any] = [x, tensor(site.name, "weight"), tensor(site.name, "bias")]
        if site.norm:
            function = _calls.fused_with_batch_norm
            mean, variance, scale, shift = (
                tensor(site.norm, name)
                for name in ("running_mean", "running_var", "weight", "bias")
            )
            eps: Any = traced.modules[site.norm].eps
            args.append((mean, variance, eps, scale, shift))
        args += [site.conv, site.pool, site.ceil_mode]
        new = graph.call_function(function, tuple(args))
    end.replace_all_uses_with(new)
    for node in reversed(site.nodes):
        graph.erase_node(node)


def _restore_layouts(traced: Traced) -> None:
    """Have what leaves the graph, or is viewed, lie in memory as it did before."""
    source: dict[fx.Node, fx.Node] = {}  # node that may be channels_last → what went in
    restored: dict[fx.Node, fx.Node] = {}
    for node in list(traced.graph.nodes):
        if node.op == "call_function" and node.target in _OPERATORS:
            source[node] = source.get(node.args[0], node.args[0])
            continue
        moved = [each for each in node.all_input_nodes if each in source]
        if not moved or _ends(node, traced.modules):
            continue
        if _passes_on(node, traced.modules):
            source[node] = source[moved[0]]
            continue
        for each in moved:
            if each not in restored:
                with traced.graph.inserting_before(node):
                    args = (each, source[each])
                    restored[each] = traced.graph.call_function(_calls.old_layout, args)
            node.replace_input_with(each, restored[each])


def _passes_on(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], _PASS_ON)
    return _sites.kind(node, modules) in ("relu", "max-pool") or node.target in _PASS_ON_FUNCTIONS


def _ends(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], _END)
    if node.op == "call_method":
        return str(node.target) in _END_METHODS
    return node.target in _END_FUNCTIONS or (
        node.target is getattr and str(node.args[1]) == "shape"
    )
