"""Finding the longest run of stages in a graph of torch.fx.

A chain is a row of nodes each of which has one user, the next. In a chain the layers are read from
left to right as long as they fit; the run with the most stages wins.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from cnnzoo.freezing._stages import ConvolutionStage, LinearStage, ScaleStage, Stage
from cnnzoo.fusing import _sites
from cnnzoo.layers import ConvReluMaxPool
from cnnzoo.ops import _native

_DROP = nn.Dropout | nn.Dropout2d | nn.Identity
_SAME = (nn.AdaptiveAvgPool2d,)  # does nothing where the size stays as it is
# A larger matrix is read from memory once for each handful of images; torch reads it once a batch.
MOST_WEIGHTS = 1 << 22


class StopError(Exception):
    """Why a layer is not part of a run: a sentence."""


@dataclass
class Found:
    """A run: its stages, its first and last node, and the names of the layers in it."""

    stages: list[Stage]
    first: fx.Node
    last: fx.Node
    names: list[str]
    nodes: list[fx.Node]


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """The shape that a node had with the example; empty where it is no tensor."""
    found = node.meta.get("tensor_meta")
    return tuple(getattr(found, "shape", ()))


def is_bystander(node: fx.Node) -> bool:
    """Whether a node reads no values: it asks for a size, or is one of the zoo's input checks.

    Anything else whose result nobody uses may still write in place.
    """
    if node.op == "call_method":
        return node.target in ("size", "dim")
    if node.op != "call_function":
        return False
    if node.target in (getattr, operator.getitem):
        source = node.args[0]
        asked = node.args[1] == "shape" or (isinstance(source, fx.Node) and is_bystander(source))
        return bool(asked)
    return not node.users and str(getattr(node.target, "__module__", "")).startswith(
        "cnnzoo.models"
    )


def users_of(node: fx.Node) -> list[fx.Node]:
    """Who reads the values of a node."""
    return [user for user in node.users if not is_bystander(user)]


def find(graph: fx.Graph, modules: Mapping[str, nn.Module]) -> tuple[Found | None, dict[str, str]]:
    """Return the longest run, and for layers outside of it why they are not part of one."""
    best: Found | None = None
    why: dict[str, str] = {}
    chains = list(_chains(graph))
    for chain in chains:
        start = 0
        while start < len(chain):
            reader = Reader(chain, modules, start)
            found = reader.read()
            if reader.stop and reader.at < len(chain):
                why.setdefault(_name(chain[reader.at]), reader.stop)
            if found is None:
                start += 1
                continue
            if best is None or len(found.stages) > len(best.stages):
                best = found
            start = chain.index(found.last) + 1
    inside = set(best.names) if best else set()
    left = {}
    for node in graph.nodes:
        name = _name(node)
        if node.op == "call_module" and name not in inside:
            reason = why.get(name, "It is not next to the run.")
            left[name] = reason
    return best, left


def _chains(graph: fx.Graph) -> Any:
    seen: set[fx.Node] = set()
    for node in graph.nodes:
        if node in seen or node.op in ("placeholder", "output", "get_attr"):
            continue
        chain = [node]
        while len(users := users_of(chain[-1])) == 1 and users[0].op != "output":
            if users[0] in seen or users[0].args[:1] != (chain[-1],):
                break
            chain.append(users[0])
        seen.update(chain)
        yield chain


def _name(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else node.name


class Reader:
    """Reads stages from a chain, from ``start`` on, until one does not fit."""

    def __init__(self, chain: list[fx.Node], modules: Mapping[str, nn.Module], start: int) -> None:
        self.chain, self.modules, self.start = chain, modules, start
        self.at = start
        self.stages: list[Stage] = []
        self.end = start  # behind the last stage
        self.flat = False
        self.maps: tuple[int, int, int] | None = None  # flattened just now
        self.stop = ""

    def read(self) -> Found | None:
        """Return the run, or None where not even one stage fits."""
        try:
            while self.at < len(self.chain):
                self.step()
        except StopError as why:
            self.stop = str(why)
        if not self.stages:
            return None
        nodes = self.chain[self.start : self.end]
        names = [_name(node) for node in nodes if node.op == "call_module"]
        return Found(self.stages, nodes[0], nodes[-1], names, nodes)

    def step(self) -> None:
        """Take the next layer, with what belongs to it."""
        node = self.chain[self.at]
        module = self.modules.get(str(node.target)) if node.op == "call_module" else None
        if problem := _sites._hooked([node], self.modules):
            raise StopError(problem)
        if module is not None and isinstance(module, ConvReluMaxPool):
            self.block(node, module)
        elif type(module) is nn.Conv2d:
            self.convolution(node, module)
        elif type(module) is nn.Linear:
            self.linear(node, module)
        elif not self.stages:
            raise StopError(f"A run does not start with {self.kind(self.at)}.")
        elif type(module) is nn.BatchNorm2d and not self.flat:
            self.scale(node, module)
        elif self.changes_nothing(node, module):
            self.at += 1
        elif self.is_flatten(node, module):
            self.maps = self.maps_at(self.at - 1)
            self.flat = True
            self.at += 1
        else:
            raise StopError(f"A frozen run has no {self.kind(self.at)} here.")

    def kind(self, at: int) -> str:
        return _sites.kind(self.chain[at], self.modules) if at < len(self.chain) else ""

    def maps_at(self, at: int) -> tuple[int, int, int]:
        _, c, h, w = shape_of(self.chain[at])
        return c, h, w

    def input_shape(self, at: int) -> tuple[int, ...]:
        given = self.chain[at].args[0]
        return shape_of(given) if isinstance(given, fx.Node) else ()

    def take(self, stage: Stage, nodes: int) -> None:
        self.stages.append(stage)
        self.at += nodes
        self.end = self.at

    def block(self, node: fx.Node, layer: ConvReluMaxPool) -> None:
        if not type(layer).__module__.startswith("cnnzoo.layers."):
            raise StopError(f"{type(layer).__name__} is a layer of its own kind.")
        sizes = layer.options()
        if sizes["groups"] != 1 or sizes["dilation"] != (1, 1):
            raise StopError("The native kernels take groups=1 and dilation=1.")
        names = ("stride", "padding", "pool_size", "pool_stride", "pool_padding")
        window = tuple(size for name in names for size in sizes[name])
        self.add_convolution(layer, None, window, 1)

    def convolution(self, node: fx.Node, conv: nn.Conv2d) -> None:
        norm: Any = None
        after = self.at + 1
        if self.kind(after) == "batch norm":
            norm = self.modules[str(self.chain[after].target)]
            if problem := _sites._norm_problem(norm, training=False):
                raise StopError(problem)
            after += 1
        kinds = [self.kind(after), self.kind(after + 1)]
        if "relu" not in kinds[: 1 + (kinds[0] == "max-pool")]:
            raise StopError("There is no ReLU after this convolution.")
        pool = next((i for i in (0, 1) if kinds[i] == "max-pool"), None)
        count = after - self.at + (1 if pool is None else 2)
        nodes = self.chain[self.at : self.at + count]
        if problem := _sites._hooked(nodes, self.modules):
            raise StopError(problem)
        try:
            stride, padding, _, _ = _sites._conv_sizes(conv)
            window: tuple[tuple[int, int], ...] = ((1, 1), (1, 1), (0, 0))
            if pool is not None:
                window, _ = _sites._pool_sizes(self.chain[after + pool], self.modules)
        except _sites._DeclineError as why:
            raise StopError(str(why)) from None
        sizes = [size for pair in (stride, padding, *window) for size in pair]
        self.add_convolution(conv, norm, tuple(sizes), count)

    def add_convolution(self, conv: Any, norm: Any, window: tuple[int, ...], nodes: int) -> None:
        shape = self.input_shape(self.at)
        if self.flat or len(shape) != 4:
            raise StopError(f"Expected images (N, C, H, W); got {shape}.")
        filters, channels, *kernel = conv.weight.shape
        image = (shape[2], shape[3])
        loaded = _native.library()
        reason = loaded and loaded.covers([1, channels, *image, filters, *kernel, *window])
        if reason:
            raise StopError(f"{reason[0].upper()}{reason[1:]}.")
        pooled = []
        for i in (0, 1):
            size = (image[i] + 2 * window[2 + i] - kernel[i]) // window[i] + 1
            pooled.append((size + 2 * window[8 + i] - window[4 + i]) // window[6 + i] + 1)
        if shape_of(self.chain[self.at + nodes - 1])[1:] != (filters, *pooled):
            raise StopError(
                "ceil_mode adds a row or column here, which the operator does not have."
            )
        self.take(ConvolutionStage(conv, norm, image, window), nodes)

    def scale(self, node: fx.Node, norm: nn.BatchNorm2d) -> None:
        if problem := _sites._norm_problem(norm, training=False):
            raise StopError(problem)
        _, height, width = self.maps_at(self.at)
        self.take(ScaleStage(norm, (height, width)), 1)

    def linear(self, node: fx.Node, linear: nn.Linear) -> None:
        if len(self.input_shape(self.at)) != 2:
            raise StopError("A frozen linear layer takes rows (N, features).")
        if linear.weight.numel() > MOST_WEIGHTS:
            raise StopError(
                f"Its {linear.weight.numel()} weights are more than the {MOST_WEIGHTS} that stay "
                "in a cache; torch multiplies such matrices better."
            )
        relu = self.kind(self.at + 1) == "relu"
        if relu and (problem := _sites._hooked([self.chain[self.at + 1]], self.modules)):
            raise StopError(problem)
        stage = LinearStage(linear, relu, self.maps)
        self.flat, self.maps = True, None
        self.take(stage, 1 + relu)

    def changes_nothing(self, node: fx.Node, module: nn.Module | None) -> bool:
        if module is not None and isinstance(module, _DROP):
            return type(module).__module__.startswith("torch.nn.")
        if module is not None and type(module) in _SAME:
            return self.input_shape(self.at) == shape_of(node)
        if node.op == "call_function" and node.target in (F.dropout, F.dropout2d):
            training = node.kwargs.get("training", node.args[2] if len(node.args) > 2 else True)
            return training is False
        relu = _sites.kind(node, self.modules) == "relu"
        return relu and isinstance(self.stages[-1], ConvolutionStage) and not self.flat

    def is_flatten(self, node: fx.Node, module: nn.Module | None) -> bool:
        """Whether it makes rows of the maps for any batch, not for that of the example alone."""
        before, after = self.input_shape(self.at), shape_of(node)
        if len(before) != 4 or after != (before[0], math.prod(before[1:])):
            return False
        if type(module) is nn.Flatten:
            return True
        if node.op == "call_function" and node.target is torch.flatten:
            return True
        if (node.op == "call_function" and node.target is torch.reshape) or (
            node.op == "call_method" and node.target in ("reshape", "view")
        ):
            sizes = node.args[1:] if len(node.args) > 2 else node.args[1]
            first = sizes[0] if isinstance(sizes, tuple | list) else None
            return isinstance(first, fx.Node) or first == -1
        return node.op == "call_method" and node.target == "flatten"
