"""`cnnzoo.export`: check, trace, write, load again, compare; only then is there a file."""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor, nn

from cnnzoo.errors import CnnzooError
from cnnzoo.exporting import _formats
from cnnzoo.exporting._comparing import brief, compare
from cnnzoo.exporting._facts import facts_of
from cnnzoo.exporting._inputs import example_of, trial_of
from cnnzoo.exporting._program import decompose, foreign_operators, trace
from cnnzoo.exporting._report import ExportReport
from cnnzoo.files import atomic_write


def export(
    model: nn.Module,
    path: str | os.PathLike[str],
    example_input: Tensor | None = None,
    *,
    format: str | None = None,
    portable: bool = False,
    dynamic_batch: bool = True,
) -> ExportReport:
    """Write ``model`` to a file that runs without its Python code.

    The file is loaded again and compared with the model before it takes its place at ``path``: on
    64 handwritten digits for images of 1×28×28, otherwise on random ones; in batches of 1, 7 and 56
    if any batch size is to do. It is refused if outputs differ by more than 1e-4 of the largest
    (float16 and bfloat16: 5e-2). Classes, preprocessing and spec travel as metadata.

    Args:
        model: any module in evaluation mode that takes one tensor; it stays as it is.
        path: where to. The suffix says the format: ``.pt2`` for `torch.export`, ``.aoti.pt2`` for
            an AOTInductor package (compiled for this processor), ``.onnx`` for ONNX.
        example_input: a batch (N, C, H, W) of what the model takes; ``None``: one image of its
            ``in_channels`` and ``image_size``.
        format: "pt2", "aoti" or "onnx"; ``None``: by the suffix.
        portable: replace cnnzoo's operators by torch's, so that the file runs where cnnzoo is not
            installed. Otherwise ``import cnnzoo.ops`` comes before loading. ONNX always is.
        dynamic_batch: the file takes any batch size from 1 on, not just that of the example.

    Returns:
        What was written, and the largest difference of the outputs.

    Raises:
        CnnzooError: an unknown suffix or format, a place that cannot be written, a model in
            training mode or that torch.export cannot follow (decisions by values in a tensor), a
            package or compiler that is missing, or a file that gives other answers. Nothing is
            written then, and what was at ``path`` before is intact.

    >>> import cnnzoo, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "net.pt2"
    >>> report = export(cnnzoo.build("lenet5", weights="mnist"), path, portable=True)
    >>> report.operators, report.input_shape, report.difference < 1e-4
    ((), ('batch', 1, 28, 28), True)
    """
    target = Path(path)
    name = _formats.format_of(target, format)
    if target.is_dir():
        raise CnnzooError(f"{target} is a folder: expected the name of a file.")
    _check_model(model)
    kind = _formats.find(name)
    kind.check()
    example = example_of(model, example_input)
    with atomic_write(target) as temporary:  # first of all: a place that refuses is found out now
        program = trace(model, example, dynamic_batch=dynamic_batch)
        if portable or kind.PORTABLE:
            program = decompose(program)
        kind.write(program, temporary, facts_of(model))
        trial = trial_of(
            model, example, given=example_input is not None, dynamic_batch=dynamic_batch
        )
        try:
            run = kind.load(temporary)
        except Exception as error:
            raise CnnzooError(
                f"{target} was written, but does not load: {brief(error)} It was removed."
            ) from error
        difference, largest = compare(run, model, trial.batches, target)
    shape = tuple(example.shape)
    return ExportReport(
        str(target),
        name,
        target.stat().st_size,
        ("batch", *shape[1:]) if dynamic_batch else shape,
        foreign_operators(program),
        trial.words,
        difference,
        largest,
    )


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise CnnzooError(
            f"Expected a torch module; got {type(model).__name__} {model!r:.80}. "
            "cnnzoo.load makes one of a run folder."
        )
    for name, module in model.named_modules():
        if module.training:
            what = f'"{name}" of the model' if name else "The model"
            raise CnnzooError(
                f"{what} is in training mode, in which dropout and batch norm would be exported: "
                "call model.eval() first."
            )
