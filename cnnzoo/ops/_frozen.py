"""`cnnzoo::frozen_run`: a run of layers as one operator, for inference, with weights packed before.

    frozen_run    x, packed, plan, out → y

x is (N, C, H, W) or (N, features), float32; y is (N, out) or channels_last (N, K, P, Q), as `out`
says without N. `packed` is one row of float32 with all weights in the order in which the kernels
read them, `plan` one of int64 with sizes and offsets; `csrc/bind_frozen.cpp` lists its numbers.
Both suit one instruction set. There is no gradient, and no kernel but the native one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _native
from cnnzoo.ops._operators import library

CONVOLUTION, LINEAR, SCALE = range(3)
_SIZES = 16  # numbers of a stage behind its kind and its four offsets and lengths
MOST_STAGES = 64


@dataclass(frozen=True)
class Convolution:
    """conv → ReLU → max-pool: weight (K, C, R, S), bias (K), image (H, W), a `Window`."""

    weight: Tensor
    bias: Tensor | None
    image: tuple[int, int]
    window: tuple[int, ...]


@dataclass(frozen=True)
class Linear:
    """A linear layer, ReLU if asked for: weight (out, in), bias (out)."""

    weight: Tensor
    bias: Tensor | None
    relu: bool


@dataclass(frozen=True)
class Scale:
    """y = x * factor + summand for each channel; image (H, W)."""

    factor: Tensor
    summand: Tensor
    image: tuple[int, int]


Stage = Convolution | Linear | Scale


class Generation:
    """Counts what makes all weights packed before doubtful, and no tensor tells.

    Another instruction set was chosen; or an optimizer made a step: torch's fused ones on the CPU
    write without counting it in the version of a tensor.
    """

    now = 0

    @classmethod
    def advance(cls, *_: Any) -> None:
        """Count one more; takes what hooks are given."""
        cls.now += 1


_native.when_changed(Generation.advance)
register_optimizer_step_post_hook(Generation.advance)


def why_not() -> str | None:
    """None where frozen layers can run here, otherwise the reason as a sentence."""
    loaded = _native.library()
    if loaded is None:
        return str(_native.status().reason)
    try:
        loaded.frozen_layout()
    except AttributeError:
        return "the native library is older than this cnnzoo. Installing cnnzoo again builds it."
    except ValueError as error:
        return f"{error}."
    return None


def pack(stages: Sequence[Stage]) -> tuple[Tensor, Tensor]:
    """Return ``packed`` and ``plan`` for the instruction set in use.

    Raises:
        CnnzooError: there is no native library, or there are more stages than a plan holds.
    """
    if reason := why_not():
        raise CnnzooError(f"Frozen layers need native kernels: {reason}")
    loaded = _native.library()
    assert loaded is not None
    if not 0 < len(stages) <= MOST_STAGES:
        raise CnnzooError(f"A plan has 1 to {MOST_STAGES} stages; got {len(stages)}.")
    lanes, block, vectors = loaded.frozen_layout()
    pieces: list[Tensor] = []
    plan = [lanes, block, vectors, len(stages)]
    offset = 0
    for stage in stages:
        if isinstance(stage, Convolution):
            kind, group, sizes = CONVOLUTION, block, _convolution_sizes(stage)
            outputs = stage.weight.shape[0]
            weight, bias = stage.weight.detach().flatten(1), stage.bias
            widths = [block] * math.ceil(outputs / block)
        elif isinstance(stage, Linear):
            kind, group = LINEAR, lanes
            outputs, inputs = stage.weight.shape
            sizes = [inputs, outputs, int(stage.relu)]
            weight, bias = stage.weight.detach(), stage.bias
            whole = math.ceil(outputs / lanes)
            widths = [lanes * min(vectors, whole - v) for v in range(0, whole, vectors)]
        else:
            kind, group = SCALE, lanes
            outputs = stage.factor.shape[0]
            sizes = [outputs, *stage.image]
            weight, bias = stage.factor.detach()[:, None], stage.summand
            widths = [group * math.ceil(outputs / group)]
        rows = _blocks(weight, widths)
        shift = torch.zeros(sum(widths) if kind == CONVOLUTION else -(-outputs // group) * group)
        if bias is not None:
            shift[:outputs] = bias.detach()
        lengths = rows.numel(), shift.numel()
        plan += [kind, offset, offset + lengths[0], *lengths]
        plan += [*sizes, *[0] * (_SIZES - len(sizes))]
        offset += sum(lengths)
        pieces += [rows, shift]
    return torch.cat(pieces), torch.tensor(plan, dtype=torch.int64)


def _convolution_sizes(stage: Convolution) -> list[int]:
    filters, channels, *kernel = stage.weight.shape
    return [channels, *stage.image, filters, *kernel, *stage.window]


def _blocks(weight: Tensor, widths: Iterable[int]) -> Tensor:
    """(outputs, inputs) → for each block of outputs (inputs, width), zeros where none are left."""
    pieces, start = [], 0
    for width in widths:
        piece = torch.zeros(weight.shape[1], width)
        part = weight[start : start + width].float()
        piece[:, : part.shape[0]] = part.T
        pieces.append(piece.flatten())
        start += width
    return torch.cat(pieces)


def _fake(x: Tensor, packed: Tensor, plan: Tensor, out: Sequence[int]) -> Tensor:
    if len(out) == 1:
        return x.new_empty(x.shape[0], out[0])
    return torch.empty(
        x.shape[0], *out, dtype=x.dtype, device=x.device, memory_format=torch.channels_last
    )


library.define(
    "frozen_run(Tensor x, Tensor packed, Tensor plan, int[] out) -> Tensor",
    tags=torch.Tag.pt2_compliant_tag,
)
torch.library.register_fake("cnnzoo::frozen_run", _fake, lib=library)
RUN = torch.ops.cnnzoo.frozen_run.default
