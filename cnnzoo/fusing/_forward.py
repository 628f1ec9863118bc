"""A module with another forward: its class, derived for the occasion, keeps name and methods.

The forward is chosen by the mode, since torch.fx writes `self.training` down as it finds it. In a
mode without a graph, and where a module inside is in another mode than the whole (a batch norm
that was folded is set to train), the module's own forward runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from torch import fx, nn
from torch.fx.graph_module import _format_import_block
from torch.package.importer import sys_importer

Source = str  # Python text that defines a function `forward`
_MARK = "_cnnzoo_fused"  # a slice of a Sequential is of its class, but has other modules


def source_of(graph: fx.Graph) -> Source:
    """Write a graph down as Python that imports what it needs."""
    code = graph.python_code("self")
    return _format_import_block(code.globals, sys_importer) + "\n" + code.src


def give_forward(
    module: nn.Module, sources: Mapping[bool, Source], same_mode: Mapping[bool, tuple[str, ...]]
) -> None:
    """Change the forward of ``module``, in place.

    Args:
        module: an instance of any class.
        sources: for training (True) and evaluation (False) what to run; the old forward where
            there is none.
        same_mode: for each, paths of modules inside that must be in the mode of the whole.
    """
    module.__class__ = _derive(type(module), dict(sources), dict(same_mode))
    vars(module)[_MARK] = True


def take_back(module: nn.Module) -> None:
    """Undo `give_forward`."""
    module.__class__ = type(module).__bases__[0]
    del vars(module)[_MARK]


def _derive(
    base: type[nn.Module], sources: dict[bool, Source], same_mode: Mapping[bool, tuple[str, ...]]
) -> type[nn.Module]:
    forwards: dict[bool, Callable[..., Any]] = {}
    for mode, source in sources.items():
        namespace: dict[str, Any] = {}
        exec(compile(source, f"<fused {base.__name__}>", "exec"), namespace)
        forwards[mode] = namespace["forward"]

    @functools.wraps(base.forward)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        mode = self.training
        inside = (self.get_submodule(name) for name in same_mode.get(mode, ()))
        if mode in forwards and _MARK in vars(self) and all(m.training == mode for m in inside):
            return forwards[mode](self, *args, **kwargs)
        return base.forward(self, *args, **kwargs)

    def reduce(self: nn.Module, protocol: Any) -> Any:  # for copies and pickles
        return _revive, (base, sources, same_mode), self.__getstate__()

    names = {"__module__": base.__module__, "__qualname__": base.__qualname__}
    body = {**names, "__doc__": base.__doc__, "forward": forward, "__reduce_ex__": reduce}
    return type(base.__name__, (base,), body)


def _revive(
    base: type[nn.Module], sources: dict[bool, Source], same_mode: Mapping[bool, tuple[str, ...]]
) -> nn.Module:
    derived = _derive(base, sources, same_mode)
    return derived.__new__(derived)
