"""The public function: copy, look, choose, rewrite, compare, time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from cnnzoo.errors import CnnzooError
from cnnzoo.fusing import _forward, _graph
from cnnzoo.fusing._calls import ceil_adds
from cnnzoo.fusing._measure import compare, run, time_both
from cnnzoo.fusing._report import FuseReport, Site
from cnnzoo.fusing._sites import Found
from cnnzoo.layers import ConvReluMaxPool
from cnnzoo.ops import explain

_MODES = {"eval": False, "train": True}
Seen = dict[nn.Module, list[Tensor]]  # convolution → what the example brought it
Verdict = tuple[str | None, str]  # None or why not; why


def fuse(model: nn.Module, example_input: Tensor | tuple[Any, ...] | None = None) -> nn.Module:
    """Let conv → ReLU → max-pool of any model run as one operator, where that is faster.

    Found are modules and functions, the pool before or after the ReLU, and in eval mode a batch
    norm after the convolution, which is folded into it in every call. Each module's forward is
    read with torch.fx on its own: control flow elsewhere does no harm. The model can be trained
    on and switched between train and eval; where nothing is gained in a mode, its old forward runs.

    The model given is not changed. The one returned has modules of its own, of the same classes
    and under the same names, and shares all parameters and buffers: an optimizer made before goes
    on with both, and the state dict has the same keys. Fuse last: the modules of a fused site are
    no longer called, so hooks set on them later do not fire, and nor does a module put in the
    place of one.

    Args:
        model: any module. Models that are built of `cnnzoo.ConvReluMaxPool` have nothing to gain.
        example_input: images (N, C, H, W), or a tuple of arguments, of the sizes that matter. With
            it a site is fused only where the operator's choice says native for its shapes; outputs
            are compared and timed; and all is undone where they differ or the time is longer.
            Without it the operator chooses in every call (see `cnnzoo.ops.explain`).

    Returns:
        A model of the same class, with ``fuse_report`` (`FuseReport`): what was fused, what was
        not and why, and times; ``print`` shows a table.

    Raises:
        CnnzooError: not a module, one that cannot be copied, or an example that it does not take.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    >>> fused = fuse(net)
    >>> fused.fuse_report.fused[0].pattern, fused[0].weight is net[0].weight
    ('conv → relu → max-pool', True)
    """
    if not isinstance(model, nn.Module):
        hint = " Build it first." if isinstance(model, str | type) else ""
        raise CnnzooError(f"fuse takes a torch.nn.Module; got {type(model).__name__}.{hint}")
    twin = _copy(model)
    arguments: tuple[Any, ...] | None = None
    seen: Seen | None = None
    if example_input is not None:
        arguments = example_input if isinstance(example_input, tuple) else (example_input,)
        with _watched(twin) as seen:
            run(twin, arguments)
    rewritten: list[nn.Module] = []
    sites: list[Site] = []
    for path, module in list(twin.named_modules()):
        if _graph.holds_convolution(module) and not isinstance(module, torch.jit.ScriptModule):
            old_class = type(module)
            sites += _fuse_one(path, module, seen)
            if type(module) is not old_class:
                rewritten.append(module)
    report = FuseReport(type(model).__name__, tuple(sites))
    report = replace(report, message=_message(twin, report))
    if arguments is not None and report.fused:
        report = _measured(model, twin, arguments, report)
        if not report.fused:
            for module in rewritten:
                _forward.take_back(module)
    twin.fuse_report = report  # type: ignore[assignment]
    return twin


def _copy(model: nn.Module) -> nn.Module:
    """Copy the modules, and share the tensors in them."""
    shared = [*model.parameters(), *model.buffers()]
    try:
        return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
    except Exception as error:
        raise CnnzooError(
            f"{type(model).__name__} cannot be copied ({error}); fuse works on a copy of the "
            "modules: leave out what copy.deepcopy does not take."
        ) from error


def _fuse_one(path: str, module: nn.Module, seen: Seen | None) -> list[Site]:
    """Rewrite the forward of one module in both modes; return its sites."""
    was_training = {each: each.training for each in module.modules()}
    found: dict[str, list[tuple[Found, Verdict]]] = {}
    sources: dict[bool, str] = {}
    same_mode: dict[bool, tuple[str, ...]] = {}
    failure: Exception | None = None
    for name, training in _MODES.items():
        try:
            module.train(training)
            traced = _graph.trace(module, training=training)
        except Exception as error:  # anything may happen when foreign code meets a proxy
            failure = error
            continue
        finally:
            for each, mode in was_training.items():
                each.training = mode
        verdicts = [_judge(site, traced, seen, training=training) for site in traced.sites]
        found[name] = list(zip(traced.sites, verdicts, strict=True))
        chosen = [site for site, (why_not, _) in found[name] if why_not is None]
        if chosen:
            _graph.rewrite(traced, chosen)
            sources[training] = _forward.source_of(traced.graph)
            same_mode[training] = (*traced.inlined, *(s.norm for s in chosen if s.norm))
    if sources:
        _forward.give_forward(module, sources, same_mode)
    if failure is not None and not found:
        return _not_traced(path, module, failure)
    return _merge(path, found, seen, module)


def _judge(site: Found, traced: _graph.Traced, seen: Seen | None, *, training: bool) -> Verdict:
    if site.problem:
        return site.problem, ""
    if seen is None:
        return None, "The operator chooses in every call: no example was given."
    conv = traced.modules[site.name]
    assert isinstance(conv, nn.Conv2d)
    inputs = seen.get(conv)
    if not inputs:
        return "The example does not come by here.", ""
    stride, padding, dilation, groups = site.conv
    size, step, pad = site.pool
    reason = ""
    for x in inputs:
        if x.dim() != 4:
            return f"The operator takes a batch (N, C, H, W); got {tuple(x.shape)}.", ""
        if site.ceil_mode and ceil_adds(
            (x.shape[2], x.shape[3]), conv.weight, site.conv, site.pool
        ):
            return "ceil_mode adds a row or column here, which the operator does not have.", ""
        with torch.set_grad_enabled(training):
            choice = explain(
                x,
                conv.weight,
                conv.bias,
                stride=stride,
                padding=padding,
                dilation=dilation,
                groups=groups,
                pool_size=size,
                pool_stride=step,
                pool_padding=pad,
            )
        if choice.implementation != "native":
            return choice.declined.get("native", choice.reason), ""
        reason = choice.reason
    return None, reason


def _merge(
    path: str,
    found: dict[str, list[tuple[Found, Verdict]]],
    seen: Seen | None,
    module: nn.Module,
) -> list[Site]:
    """One site of what was found in each mode."""
    by_key: dict[tuple[str, int], dict[str, tuple[Found, Verdict]]] = {}
    for mode, entries in found.items():
        count: dict[str, int] = {}
        for site, verdict in entries:
            number = count[site.name] = count.get(site.name, -1) + 1
            by_key.setdefault((site.name, number), {})[mode] = (site, verdict)
    sites = []
    modules = dict(module.named_modules())
    for (name, _), modes in by_key.items():
        fused = tuple(mode for mode, (_, verdict) in modes.items() if verdict[0] is None)
        why = {mode: verdict[0] or verdict[1] for mode, (_, verdict) in modes.items()}
        first = fused[0] if fused else next(iter(modes))
        reason = why[first]
        if fused:
            reason += "".join(f" Not in {m}: {why[m]}" for m in modes if m not in fused)
        conv = modules.get(name)
        inputs = seen.get(conv) if seen and conv is not None else None
        shape = tuple(inputs[0].shape) if inputs else None
        full = f"{path}.{name}" if path else name
        sites.append(Site(full, modes[first][0].pattern, fused, reason, shape))
    return sites


def _not_traced(path: str, module: nn.Module, failure: Exception) -> list[Site]:
    """Say it where it matters: a convolution or pool stands in the module itself."""
    if not any(isinstance(each, nn.Conv2d | nn.MaxPool2d) for each in module.children()):
        return []
    why = str(failure).strip().partition("\n")[0]
    reason = f"torch.fx cannot read the forward of {type(module).__name__}: {why}"
    return [Site(path or "(the model)", "unknown", (), reason)]


@contextmanager
def _watched(model: nn.Module) -> Iterator[Seen]:
    """Note what the convolutions of a model are called with."""
    seen: Seen = {}

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = args[0] if args else kwargs["input"]
        known = seen.setdefault(module, [])
        if all(x.shape != each.shape for each in known):
            known.append(x.detach())

    handles = [
        module.register_forward_pre_hook(note, with_kwargs=True)
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _message(model: nn.Module, report: FuseReport) -> str:
    own = sum(isinstance(module, ConvReluMaxPool) for module in model.modules())
    are = "layer is" if own == 1 else "layers are"
    extra = f" {own} {are} conv-ReLU-maxpool already." if own else ""
    if not report.sites:
        return f"Nothing to do: no max-pool after a convolution was found.{extra}"
    return f"{len(report.fused)} of {len(report.sites)} max-pools fused.{extra}"


def _measured(
    model: nn.Module, twin: nn.Module, arguments: tuple[Any, ...], report: FuseReport
) -> FuseReport:
    difference, largest = compare(model, twin, arguments)
    if not difference <= 1e-4 * max(largest, 1e-3):
        return replace(report, difference=difference).undone(
            f"the outputs differ by {difference:.1e}, where the largest is {largest:.1e}."
        )
    before, after, slower = time_both(model, twin, arguments)
    report = replace(report, before_us=before, after_us=after, difference=difference)
    if slower and any("eval" in site.fused for site in report.fused):
        return report.undone(f"it took {after:.0f} us, and {before:.0f} us before.")
    return report
