"""`cnnzoo::frozen_run`: a run of layers as one operator, for inference, with weights packed before.

    frozen_run    x, packed, plan, out → y

x is (N, C, H, W) or (N, features), float32 or bfloat16; y is of the same dtype, (N, out) or
channels_last (N, K, P, Q), as `out` says without N. `packed` is one row of float32 with all weights
in the order in which the kernels read them, `plan` one of int64 with sizes and offsets;
`csrc/bind_frozen.cpp` lists its numbers. Both suit one instruction set and one dtype of x. There is
no gradient, and no kernel but the native one.

In bfloat16 two weights share the 32 bits of an element, since the kernels take dot products of
pairs. Instruction sets without such kernels run in float32 what `computes_in` says so of.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
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
        if loaded.frozen_layout("float32") is None:
            return f"{loaded.current_isa()} has no frozen kernels."
    except (AttributeError, TypeError):
        return "the native library is older than this cnnzoo. Installing cnnzoo again builds it."
    except ValueError as error:
        return f"{error}."
    return None


def computes_in(dtype: torch.dtype) -> torch.dtype:
    """Which x a run of layers of this dtype has to be packed for here.

    bfloat16 where the instruction set in use has dot products of it, otherwise float32: the caller
    widens x and rounds y.
    """
    loaded = _native.library()
    if dtype is torch.bfloat16 and loaded is not None and loaded.frozen_layout("bfloat16"):
        return torch.bfloat16
    return torch.float32


def pack(stages: Sequence[Stage], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return ``packed`` and ``plan`` for the instruction set in use.

    Args:
        stages: in order; weights of any floating dtype, which are rounded to ``dtype``.
        dtype: of x and of what is between the layers, one that `computes_in` returns.

    Raises:
        CnnzooError: there is no native library, it has no kernels for this dtype, or there are more
            stages than a plan holds.
    """
    if reason := why_not():
        raise CnnzooError(f"Frozen layers need native kernels: {reason}")
    loaded = _native.library()
    assert loaded is not None
    if not 0 < len(stages) <= MOST_STAGES:
        raise CnnzooError(f"A plan has 1 to {MOST_STAGES} stages; got {len(stages)}.")
    layout = loaded.frozen_layout(str(dtype).removeprefix("torch."))
    if layout is None:
        raise CnnzooError(f"Frozen layers of {loaded.current_isa()} take float32; got {dtype}.")
    lanes, block, vectors, terms = layout
    in_pairs = terms == 2
    pieces: list[Tensor] = []
    plan = [*layout, len(stages)]
    offset = 0
    for stage in stages:
        if isinstance(stage, Convolution):
            kind, group, sizes = CONVOLUTION, block, _convolution_sizes(stage)
            outputs = stage.weight.shape[0]
            weight, bias = stage.weight.detach(), stage.bias
            weight = _pairs_of_taps(weight) if in_pairs else weight.flatten(1)
            widths = [block] * math.ceil(outputs / block)
        elif isinstance(stage, Linear):
            kind, group = LINEAR, lanes
            outputs, inputs = stage.weight.shape
            sizes = [inputs, outputs, int(stage.relu)]
            weight, bias = stage.weight.detach(), stage.bias
            weight = _pairs(weight) if in_pairs else weight
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
    # The bits of pairs go through as integers: as floats many of them would be no numbers.
    packed = torch.cat([piece.contiguous().view(torch.int32) for piece in pieces])
    return packed.view(torch.float32), torch.tensor(plan, dtype=torch.int64)


def _convolution_sizes(stage: Convolution) -> list[int]:
    filters, channels, *kernel = stage.weight.shape
    return [channels, *stage.image, filters, *kernel, *stage.window]


def _pairs(weight: Tensor) -> Tensor:
    """(outputs, inputs) → (outputs, pairs), int32: two bfloat16 each, a 0 at an odd end."""
    even = F.pad(weight.bfloat16(), (0, weight.shape[1] % 2))
    return even.contiguous().view(torch.int32)


def _pairs_of_taps(weight: Tensor) -> Tensor:
    """(K, C, R, S) → (K, taps) as `PairPlan` in csrc/cpu/forward_pairs.inl pairs them."""
    filters, channels, _, _ = weight.shape
    if channels % 2 and channels < 8:  # a row of taps is (s, c) in one run
        rows = weight.permute(0, 2, 3, 1).flatten(2)
        return _pairs(rows.flatten(0, 1)).unflatten(0, (filters, -1)).flatten(1)
    even = F.pad(weight, (0, 0, 0, 0, 0, channels % 2))
    neighbours = even.unflatten(1, (-1, 2)).movedim(2, -1)  # (K, C / 2, R, S, 2)
    return _pairs(neighbours.flatten(1))


def _blocks(weight: Tensor, widths: Iterable[int]) -> Tensor:
    """(outputs, inputs) → for each block of outputs (inputs, width), zeros where none are left."""
    if weight.is_floating_point():
        weight = weight.float()
    pieces, start = [], 0
    for width in widths:
        piece = weight.new_zeros(weight.shape[1], width)
        part = weight[start : start + width]
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
