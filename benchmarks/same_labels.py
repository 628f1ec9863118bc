"""Frozen and exported models on the test images: as many labels and logits differ as are told here.

Everything runs the bundled weights of `mnist_cnn` and is held against two models of plain PyTorch
layers: in its own dtype, where only the order of sums may differ, and in float32. A frozen model in
bfloat16 rounds once and PyTorch's after every layer, so where two digits are almost as likely as
each other the labels may differ.
"""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import cnnzoo
from cnnzoo.errors import CnnzooError
from cnnzoo.exporting import _formats

MODEL, WEIGHTS = "mnist_cnn", "mnist"
BATCH = 1000
Run = Callable[[Tensor], Any]


def measure(images: Tensor, labels: Tensor, weights: str = WEIGHTS) -> dict[str, Any]:
    """Return what each gives for the images (N, 1, 28, 28), float32, beside the reference."""
    found: list[dict[str, Any]] = []
    plain = cnnzoo.build(MODEL, weights=weights, conv_relu_maxpool="eager").eval()
    wide = logits_of(plain, images, torch.float32)
    for dtype in (torch.float32, torch.bfloat16):
        model = cnnzoo.build(MODEL, weights=weights).eval().to(dtype)
        own = logits_of(copy.deepcopy(plain).to(dtype), images, dtype)
        for name, run in ways(model, dtype).items():
            row: dict[str, Any] = {"what": name, "dtype": str(dtype).removeprefix("torch.")}
            try:
                row |= compared(logits_of(run, images, dtype), own, wide, labels)
            except CnnzooError as error:
                row["missing"] = re.sub(r"\S*/(?=\S)", "", str(error))  # no temporary folders
            found.append(row)
    return {"model": MODEL, "weights": weights, "images": len(images), "rows": found}


def ways(model: Any, dtype: torch.dtype) -> dict[str, Run]:
    """The forms of a model: each a function of a batch, made when it is first called."""
    given = torch.zeros(1, model.in_channels, *model.image_size, dtype=dtype)

    def frozen() -> Run:
        made: Run = cnnzoo.freeze(model, given)
        return made

    def exported(name: str) -> Run:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"net{_formats.SUFFIXES[name]}"
            cnnzoo.export(model, path, given)
            return _formats.find(name).load(path)

    def autocast() -> Run:
        wide = copy.deepcopy(model).float()

        def run(x: Tensor) -> Any:
            with torch.autocast("cpu", torch.bfloat16):
                return wide(x.float())

        return run

    made = {"cnnzoo": lambda: model, "frozen": frozen}
    made |= {name: lambda name=name: exported(name) for name in ("pt2", "onnx")}
    if dtype == torch.bfloat16:
        made["autocast"] = autocast
    return {name: _Late(make) for name, make in made.items()}


class _Late:
    """A function that is made when it is first called."""

    def __init__(self, make: Callable[[], Run]) -> None:
        self.make, self.run = make, None

    def __call__(self, x: Tensor) -> Any:
        if self.run is None:
            self.run = self.make()
        return self.run(x)


def logits_of(run: Run, images: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the logits (N, classes) in float64."""
    with torch.no_grad():
        parts = [run(part.to(dtype)) for part in images.split(BATCH)]
    return torch.cat([part[0] if isinstance(part, list) else part for part in parts]).double()


def compared(got: Tensor, own: Tensor, wide: Tensor, labels: Tensor) -> dict[str, Any]:
    """Return how many labels differ and by how much the logits, from both references."""
    chosen = got.argmax(1)
    return {
        "accuracy": (chosen == labels).double().mean().item(),
        "other_labels": int((chosen != own.argmax(1)).sum()),
        "other_labels_than_float32": int((chosen != wide.argmax(1)).sum()),
        "largest_difference": (got - own).abs().max().item(),
        "largest_difference_to_float32": (got - wide).abs().max().item(),
        "largest_logit": own.abs().max().item(),
    }


def show(found: dict[str, Any]) -> None:
    """Print the rows."""
    print(f"{found['model']}, {found['images']} images: labels unlike plain PyTorch's")
    for row in found["rows"]:
        who = f"{row['dtype']:9} {row['what']:9}"
        if "missing" in row:
            print(f"{who} {row['missing']}")
            continue
        own = f"{row['other_labels']} (logits by {row['largest_difference']:.2g})"
        wide = row["other_labels_than_float32"], row["largest_difference_to_float32"]
        print(
            f"{who} {100 * row['accuracy']:.2f} %; other labels than in its dtype: {own}, than in "
            f"float32: {wide[0]} (by {wide[1]:.2g}); largest logit {row['largest_logit']:.3g}",
            flush=True,
        )
