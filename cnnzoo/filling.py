"""Tensors of a file into a model: all of them and no others, or a sentence that names the misfits.

torch's own message is a paragraph with every key in it; a person wants the first few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from cnnzoo.errors import CnnzooError


def fill(model: nn.Module, weights: Mapping[str, Tensor], whose: str, name: str) -> None:
    """Copy ``weights`` into ``model``; they must be exactly the tensors it has.

    Args:
        model: changed in place.
        weights: by name.
        whose: begins the sentence of an error, such as ``"The weights in x.safetensors"``.
        name: of the model, for the same sentence.

    Raises:
        CnnzooError: a tensor is missing, is not the model's, or has another shape.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        what = misfit(model.state_dict(), weights) or " ".join(str(error).split())
        raise CnnzooError(f'{whose} do not fit "{name}": {what}.') from None


def misfit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Say in what the tensors ``given`` differ from those ``wanted``, by name and shape.

    >>> import torch
    >>> misfit({"a": torch.ones(2), "b": torch.ones(1)}, {"a": torch.ones(3), "c": torch.ones(1)})
    'missing: b; unknown: c; of another shape: a (3 for 2)'
    """
    other = [name for name in wanted if name in given and wanted[name].shape != given[name].shape]
    found = {
        "missing": [name for name in wanted if name not in given],
        "unknown": [name for name in given if name not in wanted],
        "of another shape": [
            f"{name} ({shape_of(given[name])} for {shape_of(wanted[name])})" for name in other
        ],
    }
    return "; ".join(f"{what}: {_some(names)}" for what, names in found.items() if names)


def shape_of(tensor: Tensor) -> str:
    """Write a shape as ``32×3×3×3``; a number alone is ``()``.

    >>> import torch
    >>> shape_of(torch.ones(2, 3)), shape_of(torch.tensor(1))
    ('2×3', '()')
    """
    return "×".join(map(str, tensor.shape)) or "()"


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
