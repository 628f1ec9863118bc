"""The inference engines that whole networks are compared with, each where it is installed.

Both read the ONNX file that PyTorch exports for this batch. Input and output lie in buffers made
once, threads are as many as ours, everything else is the engine's default for latency.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from cnnzoo.errors import CnnzooError

Call = Callable[[], tuple[Tensor, ...]]
INSTALL = "pip install 'cnnzoo[bench]' brings it"


def onnxruntime_call(model: nn.Module, images: Tensor, threads: int) -> Call:
    """ONNX Runtime in float32.

    Raises:
        CnnzooError: not installed, or the model cannot be exported.
    """
    try:
        import onnxruntime
    except ImportError:
        raise CnnzooError(f"ONNX Runtime is not installed: {INSTALL}.") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        _onnx(model, images), options, providers=["CPUExecutionProvider"]
    )
    x = images.numpy()
    y = torch.empty_like(model(images).detach())
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, x)
    binding.bind_output(
        session.get_outputs()[0].name, "cpu", 0, "float32", tuple(y.shape), y.data_ptr()
    )

    def call() -> tuple[Tensor, ...]:
        session.run_with_iobinding(binding)
        return (y,)

    return call


def openvino_call(model: nn.Module, images: Tensor, threads: int, precision: str) -> Call:
    """OpenVINO in the given precision, f32 or bf16.

    Raises:
        CnnzooError: not installed, this processor lacks the precision, or the model cannot be
            exported or run.
    """
    try:
        import openvino
    except ImportError:
        raise CnnzooError(f"OpenVINO is not installed: {INSTALL}.") from None
    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise CnnzooError("OpenVINO: this processor has no bfloat16 arithmetic.")
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    network = core.read_model(_onnx(model, images))
    try:
        compiled = core.compile_model(network, "CPU", settings)
    except RuntimeError as error:  # as with oneDNN held to AVX2, for which it has no pooling
        reason = str(error).strip().splitlines()[-1]
        raise CnnzooError(f"OpenVINO does not run this network here: {reason}") from None
    request = compiled.create_infer_request()
    y = torch.empty_like(model(images).detach())
    request.set_input_tensor(openvino.Tensor(images.numpy(), shared_memory=True))
    request.set_output_tensor(openvino.Tensor(y.numpy(), shared_memory=True))

    def call() -> tuple[Tensor, ...]:
        request.infer()
        return (y,)

    return call


PEERS: dict[str, Callable[[nn.Module, Tensor, int], Call]] = {
    "onnxruntime": onnxruntime_call,
    "openvino": functools.partial(openvino_call, precision="f32"),
    "bf16 openvino": functools.partial(openvino_call, precision="bf16"),
}


def _onnx(model: nn.Module, images: Tensor) -> bytes:
    """The model as ONNX for this batch."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it reports each of its steps
                torch.onnx.export(
                    model, (images,), path, dynamo=True, external_data=False, verbose=False
                )
        except ImportError as error:  # onnxscript, which torch does not bring
            raise CnnzooError(f"Exporting to ONNX needs {error.name}: {INSTALL}.") from None
        return path.read_bytes()
