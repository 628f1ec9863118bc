"""What the operator is to reach, and whether a run reached it.

Ratios are how many times longer the other takes. "Best PyTorch" is the fastest in float32 with the
tuned malloc: NCHW, channels_last or compiled. "Default eager" is NCHW with the default malloc. The
choice of "auto" is held against what it chooses from, which is eager PyTorch in either layout.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from benchmarks import bfloat16_targets, blocks, kernels, memory, networks
from benchmarks.contests import LAYERS, NETWORKS
from benchmarks.results import Results
from benchmarks.timing import Spread
from benchmarks.verdicts import Verdict, against, micro_an_image
from benchmarks.workloads import TUTORIAL_1, TUTORIAL_2

EAGER_LAYOUTS = (blocks.EAGER, "channels_last")
BEST_PYTORCH = (*EAGER_LAYOUTS, "compiled")
MNIST = "mnist_cnn"
LEFT_OUT = "--only left it out."


def verdicts(results: Results) -> list[Verdict]:
    """Every target, in the order of the design; without those of sections that were left out."""
    makers = (
        (LAYERS, _block),
        (kernels.SECTION, _kernels),
        (NETWORKS, _network),
        (memory.SECTION, _memory),
        (LAYERS, _every_shape),
        (bfloat16_targets.SECTION, bfloat16_targets.verdicts),
    )
    return [
        verdict
        for section, make in makers
        if results.skipped.get(section) != LEFT_OUT
        for verdict in make(results)
    ]


def _block(results: Results) -> Iterator[Verdict]:
    case = results.find(LAYERS, TUTORIAL_2.name, blocks.TRAINING)
    block = "block 32→32, forward + backward"
    yield against(f"{block}: ≥ 3× best PyTorch", 3, case, BEST_PYTORCH)
    yield against(f"{block}: ≥ 4× default eager", 4, case, [blocks.DEFAULT_MALLOC])


def _kernels(results: Results) -> Iterator[Verdict]:
    isas = results.settings.get("peak_isas") or ["avx512"]
    for isa in isas:
        for layer, goal in ((TUTORIAL_2, 0.8), (TUTORIAL_1, 0.7)):
            case = results.find(kernels.SECTION, layer.name, kernels.FORWARD)
            channels = "1 channel" if layer.channels == 1 else f"{layer.channels} channels"
            what = f"forward, {channels}, {isa}: ≥ {goal:.0%} of the FMA peak"
            yield against(what, goal, case, [f"peak {isa}"], isa)
        for layer, kernel in (
            (TUTORIAL_2, kernels.WEIGHT),
            (TUTORIAL_2, kernels.INPUT),
            (TUTORIAL_1, kernels.WEIGHT),
        ):
            case = results.find(kernels.SECTION, layer.name, kernel)
            what = f"{kernel} of {layer.name}, {isa}: ≥ 2× a dense kernel at peak"
            yield against(what, 2, case, [f"peak {isa}"], isa)


def _network(results: Results) -> Iterator[Verdict]:
    train = results.find(NETWORKS, MNIST, networks.TRAINING)
    infer = results.find(NETWORKS, MNIST, networks.INFERENCE)
    what = f"{MNIST} training step: ≤ 20 µs an image"
    yield micro_an_image(what, 20, train, ["native"])
    yield against(f"{MNIST} training step: ≥ 4× best PyTorch", 4, train, BEST_PYTORCH)
    yield against(f"{MNIST} training step: ≥ 8× default eager", 8, train, [networks.DEFAULT_MALLOC])
    for peer in ("onnxruntime", "openvino"):
        yield against(f"{MNIST} inference: ≥ 1.5× {peer} float32", 1.5, infer, [peer])
    yield against(f"{MNIST} inference: ≥ 8× default eager", 8, infer, [networks.DEFAULT_MALLOC])


def _memory(results: Results) -> Iterator[Verdict]:
    """The worst block counts."""
    what = "memory kept for backward: ≤ ¼ of eager"
    cases = [c for c in results.section(memory.SECTION) if "native" in c.turns]
    shares = {c.workload: c.turns["native"][0] / c.turns[blocks.EAGER][0] for c in cases}
    if not shares:
        yield Verdict(what, 0.25, None, at_most=True, note="not in this run")
        return
    worst = max(shares, key=lambda name: shares[name])
    yield Verdict(what, 0.25, Spread.of([shares[worst]]), at_most=True, note=f"worst: {worst}")


def _every_shape(results: Results) -> Iterator[Verdict]:
    """Auto against the layout that is best for each shape: the worst, and the mean in training."""
    ratios: dict[tuple[str, str], Spread] = {}
    for case in results.section(LAYERS):
        best = case.best(EAGER_LAYOUTS)
        ratio = case.ratio(best, "auto") if best else None
        if ratio:
            ratios[case.workload, case.mode] = ratio
    training = [r for (_, mode), r in ratios.items() if mode == blocks.TRAINING]
    floor = "every shape: auto ≥ 0.98× the best eager layout"
    mean = "every shape: geometric mean of training ≥ 2× the best eager layout"
    if not ratios or not training:
        yield Verdict(floor, 0.98, None, note="not in this run")
        yield Verdict(mean, 2, None, note="not in this run")
        return
    worst = min(ratios, key=lambda key: ratios[key].median)
    yield Verdict(floor, 0.98, ratios[worst], note="worst: {}, {}".format(*worst))
    means = [
        math.exp(sum(math.log(value) for value in values) / len(values))
        for values in zip(*(dataclasses.astuple(r) for r in training), strict=True)
    ]
    yield Verdict(mean, 2, Spread(*means), note=f"{len(training)} layers")
