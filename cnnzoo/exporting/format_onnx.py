"""ONNX: standard operators only, for ONNX Runtime, OpenVINO and others.

Input "images", output "logits", the batch "batch" where it is free. onnxscript translates,
onnxruntime checks; both come with ``pip install 'cnnzoo[onnx]'``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from cnnzoo.errors import CnnzooError
from cnnzoo.exporting._comparing import brief
from cnnzoo.exporting._quiet import quiet

PORTABLE = True
LIMIT = 2**31 - 1  # bytes in one protobuf message


def check() -> None:
    """Raise a `CnnzooError` if a package is missing."""
    names = ("onnx", "onnxscript", "onnxruntime")
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise CnnzooError(
            f"Exporting to ONNX needs {', '.join(missing)}: pip install 'cnnzoo[onnx]'."
        )


def write(program: ExportedProgram, path: Path, facts: dict[str, str]) -> None:
    """Translate and write; the facts are the model's metadata_props."""
    try:
        with quiet("torch.onnx"):  # it reports each of its steps
            translated = torch.onnx.export(
                program, input_names=["images"], output_names=["logits"], verbose=False
            )
        assert translated is not None
        translated.model.metadata_props.update(facts)
        data = translated.model_proto.SerializeToString()
    except OSError:
        raise
    except Exception as error:
        raise CnnzooError(f"This model cannot be exported to ONNX: {brief(error)}") from error
    if len(data) > LIMIT:
        raise CnnzooError("ONNX files hold at most 2 GiB; this model is larger. Try a .pt2 file.")
    path.write_bytes(data)


def load(path: Path) -> Callable[[Any], Any]:
    """Load into ONNX Runtime on the CPU, with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(x: Tensor) -> list[Tensor]:
        return [torch.from_numpy(y) for y in session.run(None, {name: x.cpu().numpy()})]

    return run
