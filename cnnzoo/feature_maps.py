"""Feature maps from inside a network, by the names of its stages; the network stays as it is.

Forward hooks, not the tracing of `torchvision.models.feature_extraction`: a hook works on every
module, whatever its `forward` does, and copies nothing of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from cnnzoo.errors import CnnzooError, did_you_mean


def features(
    model: nn.Module, x: Tensor, at: str | Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Run ``model`` on ``x`` and return its feature maps at the stages named.

    The model runs once and whole, in the mode (training or evaluation) and on the device where it
    is. Gradients flow through the maps unless the caller is in `torch.no_grad`.

    Args:
        model: any module. The zoo's name their stages in ``model.stages``.
        x: images (N, C, H, W), or whatever the model takes.
        at: names of stages (``"conv1"``) or dotted paths of modules (``"layer1.0.conv2"``), one or
            several; a stage wins where a module has its name. ``None``: every stage.

    Returns:
        Name → feature map, for a stage (N, K, P, Q), in the order of ``at``. Each is a copy: what
        later layers do in place does not reach it. Of a module that ran several times, the last.

    Raises:
        CnnzooError: no such stage or module (the nearest is suggested), one that did not run, or
            one whose output is no tensor.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("mnist_cnn")
    >>> maps = features(model, torch.rand(2, 1, 28, 28), at=["conv1", "conv2"])
    >>> {name: tuple(each.shape) for name, each in maps.items()}
    {'conv1': (2, 32, 13, 13), 'conv2': (2, 32, 5, 5)}
    """
    modules = dict(model.named_modules())
    stages: dict[str, str] = getattr(model, "stages", {})
    names = list(stages) if at is None else [at] if isinstance(at, str) else list(at)
    paths = {name: stages.get(name, name) for name in names}
    if not paths:
        raise CnnzooError(
            f"{type(model).__name__} names no stages: pass at=[…] with paths of its modules, "
            f"such as {_examples(modules)}."
        )
    for name, path in paths.items():
        if path not in modules or not path:
            raise CnnzooError(_unknown(model, name, stages, modules))
    found: dict[str, Tensor] = {}
    handles = [
        modules[path].register_forward_hook(_keep(found, name)) for name, path in paths.items()
    ]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    missed = [name for name in paths if name not in found]
    if missed:
        raise CnnzooError(
            f'"{missed[0]}" did not run for this input: its module is not called in '
            f"{'training' if model.training else 'evaluation'} mode, or never."
        )
    return {name: found[name] for name in paths}


def _keep(found: dict[str, Tensor], name: str) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, given: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            raise CnnzooError(
                f'"{name}" is a {type(module).__name__} and gives {type(output).__name__}; '
                "expected a module that gives one tensor."
            )
        found[name] = output.clone()  # an in-place ReLU may follow

    return hook


def _unknown(
    model: nn.Module, name: str, stages: dict[str, str], modules: dict[str, nn.Module]
) -> str:
    near = did_you_mean(str(name), stages) or did_you_mean(str(name), filter(None, modules))
    known = f"Stages: {', '.join(stages)}." if stages else f"Modules: {_examples(modules)}."
    return f'{type(model).__name__} has no stage or module "{name}".{near} {known}'


def _examples(modules: dict[str, nn.Module]) -> str:
    paths = [path for path in modules if path]
    return ", ".join(paths[:6]) + (", …" if len(paths) > 6 else "") or "none"
