"""What `cnnzoo.export` did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportReport:
    """The report of `cnnzoo.export`; prints as two sentences.

    Attributes:
        path: the file.
        format: "pt2", "aoti" or "onnx".
        size: of the file, in bytes.
        input_shape: (N, C, H, W), with "batch" for N where the file takes any batch size.
        operators: operators in it that torch or ONNX do not have, such as
            "cnnzoo::conv_relu_maxpool"; who loads the file needs the package they are from.
        compared: what the file and the model were compared on, such as "64 digits".
        difference: largest absolute difference of their outputs.
        largest: largest absolute output of the model, beside which to read it.
    """

    path: str
    format: str
    size: int
    input_shape: tuple[int | str, ...]
    operators: tuple[str, ...]
    compared: str
    difference: float
    largest: float

    def __str__(self) -> str:
        shape = ", ".join(map(str, self.input_shape))
        packages = sorted({name.split("::")[0] for name in self.operators})
        needs = f"needs {', '.join(packages)} to load" if packages else "stands alone"
        return (
            f"{self.path}: {self.format}, {self.size / 1024:.0f} KiB, input ({shape}), {needs}.\n"
            f"Loaded again and compared with the model on {self.compared}: largest difference "
            f"{self.difference:.1e} beside outputs up to {self.largest:.3g}."
        )
