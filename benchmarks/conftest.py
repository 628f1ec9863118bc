"""pytest in here runs with the malloc settings, and with the threads and instruction set asked for.

pytest benchmarks --threads 2 --isa avx2
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from benchmarks import environment


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cnnzoo")
    group.addoption("--threads", type=int, default=os.cpu_count() or 1, help="threads of everyone")
    group.addoption("--isa", help="avx512, avx2 or scalar, for torch's kernels as well")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # a process of pytest-xdist: started with the right environment, and not by hand
    variables = environment.wanted(config.getoption("--isa"), config.getoption("--threads"))
    capture = config.pluginmanager.getplugin("capturemanager")
    # What pytest has taken hold of would stay lost to the process that follows.
    capture.suspend_global_capture(in_=True)
    environment.start_again(variables)
    capture.resume_global_capture()

    import torch

    torch.set_num_threads(config.getoption("--threads"))


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Have --benchmark-json say what our own results say."""
    machine_info["cnnzoo"] = environment.describe(config.getoption("--threads"))
