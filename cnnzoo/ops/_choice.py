"""Native kernel or PyTorch: the one rule that decides, and can say why.

For `implementation="auto"`, in this order:

1. `CNNZOO_KERNEL` may name one.
2. What the native kernels do not cover goes to the reference.
3. A measured table, bucket → implementation: that of `CNNZOO_CHOICES`, files that `cnnzoo tune`
   made here, then the one shipped for the instruction set, `choices_<isa>.json`, and for bfloat16
   `choices_<isa>_bfloat16.json`. The instruction set is the one whose kernels run for the dtype.
4. Where no table knows the instruction set, nothing is taken by faith: the reference runs.
5. A shape that the tables lack goes to the native kernels, unless it has few outputs for many
   weights: see `_few_outputs`.

The same shapes on the same instruction set always get the same answer: nothing is timed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from cnnzoo.errors import CnnzooError, did_you_mean
from cnnzoo.ops import _cuda, _native
from cnnzoo.ops._geometry import Window, pooled_size
from cnnzoo.ops._tables import own_table, table, table_name


@dataclass(frozen=True)
class Choice:
    """Which implementation runs, and why.

    Attributes:
        implementation: "native" or "reference".
        reason: why this one, a sentence.
        declined: why each of the others does not, a sentence a name.
        isa: the instruction set whose kernels run, where native.
    """

    implementation: str
    reason: str
    declined: Mapping[str, str] = field(default_factory=dict)
    isa: str | None = None


class Problem(NamedTuple):
    """Everything that the choice may depend on. Shapes are empty where they are symbols."""

    x: tuple[int, ...]  # (N, C, H, W)
    weight: tuple[int, ...]  # (K, C / groups, R, S)
    window: tuple[int, ...]  # the fields of `Window`
    dilation: tuple[int, int]
    groups: int
    dtype: torch.dtype  # that of the computation: autocast may ask for another than the tensors'
    device: str
    training: bool


def choose(implementation: str, problem: Problem) -> Choice:
    """Decide.

    Raises:
        CnnzooError: `implementation` is unknown, or forces a path that cannot run.
    """
    if implementation not in _native.KERNELS:
        raise CnnzooError(
            f"implementation: expected auto, native or reference, got {implementation!r}."
            + did_you_mean(str(implementation), _native.KERNELS)
        )
    asked = f'implementation="{implementation}"'
    if implementation == "auto" and _native.kernel() != "auto":
        implementation = _native.kernel()
        asked = f"CNNZOO_KERNEL={implementation}"
    if implementation == "reference":
        return Choice("reference", f"{asked} asks for it.", {"native": f"{asked} leaves it out."})

    refusal = why_not_native(problem)
    if implementation == "native":
        if refusal:
            raise CnnzooError(f"{asked} cannot run: {refusal}")
        return _native_choice(problem, f"{asked} asks for it.", f"{asked} leaves it out.")
    if refusal:
        return Choice("reference", "It covers everything.", {"native": refusal})

    name, isa = _table_of(problem), _isa(problem)
    where = isa if problem.dtype == torch.float32 else f"{isa} in {_name(problem.dtype)}"
    key = bucket(problem)
    wanted = own_table(name).get(key) or table(name).get(key)
    if wanted == "reference":
        reason = f"Measured as faster for {key} on {where}."
        return Choice("reference", reason, {"native": "The reference was measured as faster."})
    if wanted == "native":
        reason = f"Measured as faster for {key} on {where}."
        return _native_choice(problem, reason, "The native kernel was measured as faster.")
    if not (table(name) or own_table(name)):
        why = (
            f"Nothing was measured on {where}, so it is not known to be faster: see `cnnzoo tune`."
        )
        return Choice("reference", f"No table of choices for {where}.", {"native": why})
    if _few_outputs(problem):
        return Choice(
            "reference",
            "Few outputs for so many weights.",
            {"native": "Repacking the weights would take longer than the kernel gains."},
        )
    return _native_choice(
        problem,
        "The kernel covers this layer.",
        "The native kernel covers this layer, and is preferred.",
    )


def why_not_native(problem: Problem) -> str | None:
    """None, or one sentence that says why the native kernels cannot run this."""
    cuda = problem.device == "cuda"
    if _name(problem.dtype) not in _native.DTYPES and not cuda:
        return f"Native kernels take {' and '.join(_native.DTYPES)}, got {_name(problem.dtype)}."
    if problem.device not in ("cpu", "cuda"):
        return f"Native kernels run on CUDA and on the CPU, the tensors are on {problem.device}."
    if problem.groups != 1:
        return f"Native kernels take groups=1, got {problem.groups}."
    if problem.dilation != (1, 1):
        return f"Native kernels take dilation=1, got {problem.dilation}."
    # Without shapes, any that is covered: the binding asks again when the real ones are there.
    x, weight = problem.x or (1, 1, 1 << 10, 1 << 10), problem.weight or (1, 1, 1, 1)
    sizes = (*x, weight[0], *weight[2:], *problem.window)
    if cuda:
        return _cuda.why_not(problem.dtype, sizes)
    library = _native.library()
    if library is None:
        reason = str(_native.status().reason)
        return reason[0].upper() + reason[1:]
    if _native.kernels_for(_name(problem.dtype)) is None:
        return "The native library is older than this cnnzoo. Installing cnnzoo again builds it."
    refusal = library.covers(sizes)
    return None if refusal is None else f"{refusal[0].upper()}{refusal[1:]}."


def bucket(problem: Problem) -> str:
    """The class of shapes that one measurement stands for: the table's key.

    The filter and the pool count exactly, channels and sizes by powers of two, batches as one, a
    few, or many.
    """
    if not problem.x or not problem.weight:
        return "symbols"
    n, c, _, _ = problem.x
    k, _, r, s = problem.weight
    win = Window(*problem.window)
    p, q = pooled_size(problem.x, problem.weight, win, problem.dilation)
    return (
        f"{'train' if problem.training else 'infer'} n{_batch(n)} c{_power(c)} k{_power(k)} "
        f"out{_power(p)}x{_power(q)} filter{r}x{s}/{win.stride_h}x{win.stride_w} "
        f"pool{win.pool_h}x{win.pool_w}/{win.pool_stride_h}x{win.pool_stride_w}"
    )


def _native_choice(problem: Problem, reason: str, declined: str) -> Choice:
    return Choice("native", reason, {"reference": declined}, _isa(problem))


def _isa(problem: Problem) -> str:
    """The instruction set whose kernels run; "cuda" where that is the device."""
    if problem.device == "cuda":
        return "cuda"
    isa = _native.kernels_for(_name(problem.dtype))
    assert isa is not None  # else why_not_native had said so
    return isa


def _table_of(problem: Problem) -> str:
    """The name of the table that knows this problem: one for all dtypes on CUDA."""
    if problem.device == "cuda":
        return "cuda"
    return table_name(_isa(problem), _name(problem.dtype))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _few_outputs(problem: Problem) -> bool:
    """Whether the calibration says no wherever a layer is like this one.

    The kernels repack the weights in every call, which pays when each weight then serves many
    outputs: with C·K ≥ 2¹⁶ and N·P·Q ≤ 256 the reference was faster throughout.
    """
    if not problem.x or not problem.weight:
        return False
    p, q = pooled_size(problem.x, problem.weight, Window(*problem.window), problem.dilation)
    return problem.x[1] * problem.weight[0] >= 1 << 16 and problem.x[0] * p * q <= 256


def _batch(n: int) -> int:
    return 1 if n <= 1 else 8 if n <= 16 else 64


def _power(size: int) -> int:
    """The next power of two, so that 3 channels stay apart from 1 and 64 from 32."""
    return 1 << max(size - 1, 0).bit_length()
