"""Who competes in `bench_latency`: every way to call a network from Python, each at its fastest."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

OURS, NOT_FROZEN = "frozen", "cnnzoo, not frozen"
FLOAT32, BFLOAT16 = "float32", "bfloat16"


def candidates(
    model: Any, images: Any, threads: int, quick: bool, dtype: str
) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """Return name → one call that returns logits, and why others are not there."""
    import torch

    import cnnzoo
    from benchmarks import peers
    from cnnzoo.errors import CnnzooError

    low = dtype == BFLOAT16
    wide_model, wide_images = model, images
    plain = cnnzoo.build(model.spec["model"], conv_relu_maxpool="eager").eval()
    plain.load_state_dict(model.state_dict())
    exported = copy.deepcopy(plain)  # the engines read float32 and choose their own precision
    if low:
        model, plain = copy.deepcopy(model).bfloat16(), plain.bfloat16()
        images = images.bfloat16()
    last = images.to(memory_format=torch.channels_last)
    plain_last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    frozen = cnnzoo.freeze(model, images)
    assert frozen.freeze_report.whole, frozen.freeze_report
    ready: dict[str, Callable[[], Any]] = {
        OURS: lambda: frozen(images),
        NOT_FROZEN: lambda: model(images),
        "eager": lambda: plain(images),
        "eager channels_last": lambda: plain_last(last),
    }
    if low:
        wide = cnnzoo.freeze(wide_model, wide_images)
        ready[f"{OURS}, float32"] = lambda: wide(wide_images)
    missing: dict[str, str] = {}
    makers: dict[str, Callable[[], Callable[[], Any]]] = {}
    if quick:
        missing["torch.compile, AOTInductor"] = "--quick leaves out who compiles."
    else:

        def compiled() -> Callable[[], Any]:
            torch._dynamo.reset()
            run = torch.compile(plain_last, dynamic=False, fullgraph=True)
            return lambda: run(last)

        makers["torch.compile"] = compiled
        makers["AOTInductor"] = lambda: _ahead_of_time(plain_last, last)
    engines = {"onnxruntime": "onnxruntime", "openvino": "openvino"}
    if low:
        engines = {"onnxruntime, float32": "onnxruntime", "openvino": "bf16 openvino"}
    for name, peer in engines.items():

        def engine(peer: str = peer) -> Callable[[], Any]:
            call = peers.PEERS[peer](exported, wide_images, threads)
            return lambda: call()[0]

        makers[name] = engine
    for name, make in makers.items():
        try:
            ready[name] = make()
        except (CnnzooError, RuntimeError) as error:
            missing[name] = str(error).strip().partition("\n")[0]
    return ready, missing


def _ahead_of_time(model: Any, images: Any) -> Callable[[], Any]:
    import torch

    folder = tempfile.mkdtemp()
    program = torch.export.export(model, (images,))
    path = str(Path(folder) / "model.pt2")
    torch._inductor.aoti_compile_and_package(program, package_path=path)
    run = torch._inductor.aoti_load_package(path)
    return lambda: run(images)
