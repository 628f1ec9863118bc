"""One picture in, a class and its probability out, with a word about what looks wrong.

The preprocessing used in training travels with the model, so that a picture is treated exactly as
the training pictures were; `cnnzoo.pictures` reads, judges and repairs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cnnzoo.errors import CnnzooError
from cnnzoo.pictures import (
    ImageLike,
    PictureWarning,
    Pixels,
    Prepared,
    PreprocessingLike,
    prepare,
    read_picture,
)

ModelLike: TypeAlias = str | os.PathLike[str] | nn.Module | Any  # or what `load_model` returns
_BATCH = 64  # images: enough to keep the cores busy, little memory


@dataclass(frozen=True)
class Prediction:
    """What a model says about one picture.

    Attributes:
        label: name of the most probable class.
        index: its position among the classes; the first one in a tie.
        probability: its probability, 0-1.
        probabilities: of every class, in the order of the classes; they sum to 1.
        warnings: what makes the picture, as it came, unlike the training pictures.
        fixed: names of the warnings whose cause ``autofix`` removed.
        image: what the model saw, before normalisation: uint8 (C, H, W).
    """

    label: str
    index: int
    probability: float
    probabilities: dict[str, float]
    warnings: tuple[PictureWarning, ...]
    fixed: tuple[str, ...]
    image: Tensor

    def top(self, count: int = 3) -> list[tuple[str, float]]:
        """Return the ``count`` most probable classes with their probabilities, best first."""
        best = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return best[:count]

    def __str__(self) -> str:
        text = f"{self.label} ({self.probability:.1%})"
        for warning in self.warnings:
            text += f"\n  {warning}" + (" (repaired)" if warning.name in self.fixed else "")
        return text


def predict(
    model_or_run: ModelLike,
    image: ImageLike,
    *,
    autofix: bool = False,
    preprocessing: PreprocessingLike | None = None,
    classes: Sequence[str] | None = None,
) -> Prediction:
    """Say which class a picture belongs to.

    Args:
        model_or_run: a run folder, a model file, what `cnnzoo.load_model` returned, or a module
            that maps (N, C, H, W) to logits (N, K). A module is used where it is and left as it
            was: its device, its training mode, its gradients.
        image: a path, a PIL image of any mode and size, or an array or tensor (H, W), (C, H, W) or
            (H, W, C), uint8 or floating point in 0-1. One image; for several see `predict_many`.
        autofix: repair what the warnings name (invert, stretch the contrast, scale, centre) before
            predicting. A picture without such warnings is not touched.
        preprocessing: how pictures become the model's input; needed for a module that does not
            carry its own (as one trained by `cnnzoo.Trainer` does).
        classes: names of the K classes; by default the model's own, or "0" to "K-1".

    Returns:
        Label, probabilities and warnings.

    Raises:
        CnnzooError: the picture cannot be read, is a batch or is ambiguous; the model cannot be
            loaded, has no preprocessing, or answers with anything but K finite logits.

    >>> from cnnzoo.data import Preprocessing
    >>> mnist = Preprocessing(1, 28, 28, mean=(0.1307,), std=(0.3081,))
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    >>> page = np.zeros((28, 28), np.uint8)
    >>> page[4:24, 13:16] = 255
    >>> answer = predict(model, page, preprocessing=mnist)
    >>> len(answer.probabilities), round(sum(answer.probabilities.values()), 6), answer.warnings
    (10, 1.0, ())
    """
    return predict_many(
        model_or_run, [image], autofix=autofix, preprocessing=preprocessing, classes=classes
    )[0]


def predict_many(
    model_or_run: ModelLike,
    images: Iterable[ImageLike] | Pixels | Tensor,
    *,
    autofix: bool = False,
    preprocessing: PreprocessingLike | None = None,
    classes: Sequence[str] | None = None,
) -> list[Prediction]:
    """Predict several pictures, loading the model once.

    Args:
        model_or_run: as for `predict`.
        images: pictures of any kinds and sizes, read as they are needed; or one array or tensor of
            shape (N, C, H, W) or (N, H, W).
        autofix: as for `predict`.
        preprocessing: as for `predict`.
        classes: as for `predict`.

    Returns:
        One prediction a picture, in their order.

    Raises:
        CnnzooError: as for `predict`; the first picture that cannot be read ends it, by name.
    """
    model, ready, names = _resolve(model_or_run, preprocessing, classes)
    pictures = iter(_several(images))
    found: list[Prediction] = []
    with _evaluating(model), torch.no_grad():
        while batch := [
            prepare(read_picture(image), ready, autofix=autofix)
            for image in islice(pictures, _BATCH)
        ]:
            found += _answers(model, batch, ready, names)
    return found


def _several(images: Iterable[ImageLike] | Pixels | Tensor) -> Iterable[ImageLike]:
    if isinstance(images, str | os.PathLike | Image.Image):
        raise CnnzooError(
            f"predict_many expected a list of pictures; got one {type(images).__name__}: "
            "use predict."
        )
    if isinstance(images, np.ndarray | Tensor) and (
        images.ndim not in (3, 4)
        or (images.ndim == 3 and {images.shape[0], images.shape[2]} & {1, 3, 4})
    ):
        raise CnnzooError(
            "predict_many expected images (N, C, H, W) or (N, H, W); the shape "
            f"{tuple(images.shape)} may be one image: use predict, or add the axis with x[None]."
        )
    return images


def _resolve(
    source: Any, preprocessing: PreprocessingLike | None, classes: Sequence[str] | None
) -> tuple[nn.Module, PreprocessingLike, tuple[str, ...]]:
    """Return the module, its preprocessing, and the names of its classes (empty: not known)."""
    if isinstance(source, str | os.PathLike):
        from cnnzoo.model_file import load_model

        source = load_model(os.fspath(source))
    model = source if isinstance(source, nn.Module) else getattr(source, "model", None)
    if not isinstance(model, nn.Module):
        raise CnnzooError(
            "Expected a run folder, a model file or a torch module; got "
            f"{type(source).__name__} {source!r:.80}."
        )
    # What is passed in wins, then what came with the file, then what training left on the module.
    ready = preprocessing or getattr(source, "preprocessing", None)
    names = classes if classes is not None else getattr(source, "classes", None)
    if ready is None:
        raise CnnzooError(
            "The model does not know how pictures become its input. Pass preprocessing= (a data "
            "set has it as .preprocessing), or use a run folder or trained weights."
        )
    names = tuple(str(name) for name in names or ())
    if len(set(names)) != len(names):
        raise CnnzooError(f"The names of the classes must differ; got {', '.join(names)}.")
    return model, ready, names


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    for module in training:  # one by one: some parts may have been frozen on purpose
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _answers(
    model: nn.Module, batch: list[Prepared], ready: PreprocessingLike, names: tuple[str, ...]
) -> list[Prediction]:
    first = next(chain(model.parameters(), model.buffers()), torch.empty(0))
    images = torch.stack([each.image for each in batch]).to(first.device)  # (N, C, H, W)
    inputs = ready(images)
    if first.is_floating_point():
        inputs = inputs.to(first.dtype)
    logits = model(inputs)  # (N, K)
    expected = (len(batch), len(names)) if names else (len(batch), logits.shape[-1])
    if tuple(logits.shape) != expected or logits.dim() != 2:
        raise CnnzooError(
            f"The model answered with the shape {tuple(logits.shape)}; expected {expected}: "
            "one logit a class."
        )
    if not logits.isfinite().all():
        raise CnnzooError(
            "The model answered with NaN or infinite logits: its training has probably diverged. "
            "Train it again with a smaller learning rate."
        )
    probabilities = logits.double().softmax(dim=1).cpu()  # float64: the sum is 1 to the last digits
    names = names or tuple(str(number) for number in range(expected[1]))
    found = []
    for each, row in zip(batch, probabilities, strict=True):
        index = int(row.argmax())
        values = row.tolist()
        found.append(
            Prediction(
                names[index],
                index,
                values[index],
                dict(zip(names, values, strict=True)),
                each.warnings,
                each.fixed,
                each.image,
            )
        )
    return found
