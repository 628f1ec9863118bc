"""Each candidate on each layer and network by pytest-benchmark, its answer asserted first.

    pytest benchmarks/bench_conv_relu_maxpool.py -k "conv2 and native"

This times one after the other, which is what a profiler or a comparison of two commits needs
(`--benchmark-autosave`, `--benchmark-compare`). Ratios between candidates come from
`benchmarks.compare`, where they take turns. "Eager as everyone writes it" is there only: it needs
a process with another malloc.
"""

from __future__ import annotations

import pytest

from benchmarks import blocks, networks
from benchmarks.answers import judged
from benchmarks.workloads import LAYERS, NETWORKS
from cnnzoo.errors import CnnzooError


def group(name: str) -> str:
    """bfloat16 is compared with bfloat16."""
    return "bfloat16" if name.startswith("bf16") else "float32"


@pytest.mark.parametrize("name", blocks.WAYS)
@pytest.mark.parametrize("mode", blocks.MODES)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_layer(benchmark, layer, mode, name):
    try:
        candidate = blocks.candidate(name, judged(layer), mode)  # asserts the answer
    except CnnzooError as error:
        pytest.skip(str(error))
    benchmark.group = f"{layer.name}, {mode}, {group(name)}"
    benchmark.extra_info["images"] = layer.batch
    benchmark(candidate.run)


@pytest.mark.parametrize(
    ("mode", "name"),
    [(mode, name) for mode in networks.MODES for name in networks.names(mode)],
)
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_network(benchmark, pytestconfig, network, mode, name):
    try:
        threads = pytestconfig.getoption("--threads")
        candidate = networks.candidate(name, networks.judged(network), mode, threads)
    except CnnzooError as error:
        pytest.skip(str(error))
    benchmark.group = f"{network.name}, {mode}, {group(name)}"
    benchmark.extra_info["images"] = network.batch
    benchmark(candidate.run)
