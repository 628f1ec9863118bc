"""A trained model in one file: weights as safetensors, everything else as JSON in its header.

The header's one entry, ``cnnzoo``, is a JSON object with ``format``, ``spec`` (what `cnnzoo.build`
rebuilds), ``classes`` and ``preprocessing``. One entry, because safetensors writes several in
random order, and the same model shall be the same bytes. Nothing in it is ever executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write
from cnnzoo.filling import fill

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnnzoo.data import Preprocessing

_FORMAT = "cnnzoo model 1"


@dataclass(frozen=True)
class ModelFile:
    """What a model file says; no model has been built of it yet.

    Attributes:
        path: the file.
        weights: its tensors by name.
        spec: what `cnnzoo.build` rebuilds; unchecked.
        classes: names of the classes; empty when they were not known.
        preprocessing: how pictures become the model's input; ``None`` when that was not known.
    """

    path: Path
    weights: dict[str, Tensor]
    spec: Any
    classes: tuple[str, ...]
    preprocessing: Preprocessing | None


@dataclass(frozen=True)
class LoadedModel:
    """What a model file holds.

    Attributes:
        model: rebuilt, with its weights, in evaluation mode.
        spec: the recipe it was rebuilt from.
        classes: names of the classes; empty when they were not known.
        preprocessing: how pictures become its input; ``None`` when that was not known.
    """

    model: nn.Module
    spec: dict[str, Any]
    classes: tuple[str, ...]
    preprocessing: Preprocessing | None


def save_model(
    path: str | Path,
    model: nn.Module,
    *,
    classes: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
) -> None:
    """Write ``model`` to one safetensors file, atomically.

    Args:
        path: where to, by custom ``….safetensors``.
        model: any module; one without a ``spec`` can be loaded by hand only.
        classes: names of the classes in the order of the logits.
        preprocessing: how pictures become its input.

    Raises:
        CnnzooError: the file cannot be written.
    """
    header = {
        "format": _FORMAT,
        "spec": getattr(model, "spec", None),
        "classes": list(classes),
        "preprocessing": preprocessing.to_json() if preprocessing else None,
    }
    # Clones: safetensors refuses tensors that share memory, as tied weights do.
    weights = {
        name: t.detach().cpu().contiguous().clone() for name, t in model.state_dict().items()
    }
    with atomic_write(path) as temporary:
        save_file(weights, temporary, metadata={"cnnzoo": json.dumps(header)})


def load_model(path: str | Path) -> LoadedModel:
    """Rebuild a model from a file that `save_model` wrote, or from the run folder it lies in.

    Raises:
        CnnzooError: the file is missing, truncated, not a cnnzoo model, of an unknown model, or
            its weights do not fit the model its spec describes.
    """
    file = read_model_file(path)
    model = build_spec(file.spec, file.path)
    fill(model, file.weights, f"The weights in {file.path}", file.spec["model"])
    return LoadedModel(model.eval(), file.spec, file.classes, file.preprocessing)


def read_model_file(path: str | Path) -> ModelFile:
    """Read what a file that `save_model` wrote says, or the one in a run folder; build nothing.

    Raises:
        CnnzooError: the file is missing, truncated, or not a cnnzoo model.
    """
    path = Path(path)
    if os.path.isdir(path):
        path = path / "model.safetensors"
    if not os.path.isfile(path):  # unlike Path's, no error for a name longer than a system allows
        raise CnnzooError(f"No model at {path}: a run folder or a .safetensors file was expected.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CnnzooError(
            f"{path} is no readable safetensors file ({error}). It may be truncated, or of another"
            " format; pickled files (.pt, .pth) are not read here on purpose."
        ) from error
    header = _read_header(path, metadata)
    return ModelFile(
        path,
        weights,
        header.get("spec"),
        _classes_of(path, header),
        _preprocessing_of(path, header),
    )


def save(
    model: nn.Module,
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
) -> None:
    """Write ``model`` to one safetensors file: `load` rebuilds it without knowing its class.

    Args:
        model: made by `cnnzoo.build`; another can be saved, but not loaded by name.
        path: where to, by custom ``….safetensors``.
        classes: names of the classes in the order of the logits; ``None``: the model's own
            ``classes``, which training leaves on it.
        preprocessing: how pictures become its input; ``None``: the model's own.

    Raises:
        CnnzooError: the file cannot be written.
    """
    own = getattr(model, "classes", None) or ()
    save_model(
        path,
        model,
        classes=tuple(own) if classes is None else classes,
        preprocessing=preprocessing or getattr(model, "preprocessing", None),
    )


def load(path: str | Path) -> nn.Module:
    """Rebuild a model that `save` wrote, from its file or from the run folder it lies in.

    Returns:
        The model in evaluation mode, ready for `cnnzoo.predict`: with ``classes`` (a tuple of
        names, empty when not known) and ``preprocessing`` (``None`` when not known) set.

    Raises:
        CnnzooError: as `load_model`.

    >>> import cnnzoo, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> save(cnnzoo.build("lenet5", num_classes=2), path, classes=["cat", "dog"])
    >>> load(path).classes
    ('cat', 'dog')
    """
    loaded = load_model(path)
    facts: Any = loaded.model  # a module takes any attribute
    facts.classes, facts.preprocessing = loaded.classes, loaded.preprocessing
    return loaded.model


def build_spec(spec: Any, path: str | Path, **overrides: Any) -> nn.Module:
    """Build the model that ``spec`` describes, with new weights.

    Args:
        spec: as it was read.
        path: where it was read.
        **overrides: arguments in place of those in it.

    Raises:
        CnnzooError: there is no spec, no such model, or it cannot be built as the spec says.
    """
    from cnnzoo.registry import build

    if not isinstance(spec, dict):
        raise CnnzooError(
            f"{path} does not say which model it is of: that model was not made by cnnzoo.build. "
            "Make it yourself and load the weights with safetensors.torch.load_file."
        )
    try:
        return build(spec, **overrides)
    except CnnzooError:
        raise
    except Exception as error:  # a size that no memory holds, or an argument of another type
        raise CnnzooError(
            f'"{spec.get("model")}" cannot be built as {path} describes it: '
            f"{' '.join(str(error).split())[:200]}. The file may have been altered."
        ) from error


def _read_header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    if "cnnzoo" not in metadata:
        raise CnnzooError(
            f"{path} was not written by cnnzoo: its header has no such entry. "
            "To use its weights, build the model and call load_state_dict yourself."
        )
    try:
        header = json.loads(metadata["cnnzoo"])
    except (json.JSONDecodeError, RecursionError) as error:
        raise CnnzooError(f"The header of {path} is no JSON ({error}): it was altered.") from None
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise CnnzooError(f"{path} is of another version of cnnzoo: it is no {_FORMAT!r}.")
    return header


def _classes_of(path: Path, header: dict[str, Any]) -> tuple[str, ...]:
    names = header.get("classes") or []
    if not isinstance(names, list):
        raise CnnzooError(
            f"The header of {path} must list its classes; got {str(names)[:60]!r}: it was altered."
        )
    return tuple(str(name) for name in names)


def _preprocessing_of(path: Path, header: dict[str, Any]) -> Preprocessing | None:
    from cnnzoo.data import Preprocessing

    values = header.get("preprocessing")
    if not values:
        return None
    try:
        return Preprocessing.from_json(values)
    except CnnzooError as error:
        raise CnnzooError(f"The header of {path} was altered. {error}") from None
