"""What bfloat16 is to reach. Ours is whichever of our ways is fastest; the note names it.

The design set these numbers for AMX; they stand here for any machine, beside what was found.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import blocks, networks
from benchmarks.bfloat16 import BOTH, FLOAT32, OURS, SECTION
from benchmarks.results import Results
from benchmarks.verdicts import Verdict, against, micro_an_image

MNIST = "mnist_cnn"
TRAINED = (OURS, "bf16 auto")
ASKED = ("bf16 frozen", "bf16 weights native", "bf16 weights auto", *TRAINED)


def verdicts(results: Results) -> Iterator[Verdict]:
    """Every target of bfloat16, in the order of the design."""
    both = results.find(SECTION, BOTH, blocks.TRAINING)
    train = results.find(SECTION, MNIST, networks.TRAINING)
    infer = results.find(SECTION, MNIST, networks.INFERENCE)
    ours = (train.best(TRAINED) if train else None) or OURS
    yield micro_an_image("bf16, both blocks, forward + backward: ≤ 4 µs an image", 4, both, TRAINED)
    step = f"bf16, {MNIST} training step"
    yield against(f"{step}: ≥ 5× channels_last bf16", 5, train, ["bf16 channels_last"], ours)
    yield micro_an_image(f"{step}: ≤ 9 µs an image", 9, train, TRAINED)
    yield micro_an_image(f"{step}: ≤ 5 µs an image", 5, train, TRAINED)
    yield micro_an_image(f"{MNIST} training step, float32: ≤ 16 µs an image", 16, train, [FLOAT32])
    ours = (infer.best(ASKED) if infer else None) or OURS
    asked = f"bf16, {MNIST} inference"
    yield against(f"{asked}: ≥ 3.5× OpenVINO bf16", 3.5, infer, ["bf16 openvino"], ours)
    yield micro_an_image(f"{asked}: ≤ 1.5 µs an image", 1.5, infer, ASKED)
