"""Gates that need no run: no spills, registers within budget, occupancy, opcodes."""

from __future__ import annotations

import os

import pytest
from gates import budget, sass, work
from gates.__main__ import table
from gates.build import ARCHITECTURES
from gates.occupancy import Launch, occupancy
from gates.resources import Resources, readable, resources
from rich.console import Console

LEAST_OCCUPANCY = 0.25  # of a multiprocessor's threads, with all the shared memory a plan may take
MOST_SHARED = 48 << 10


def test_registers_stay_within_the_budget(built):
    assert not budget.exceeded(resources(built), budget.load())


def test_the_budget_notices():
    kernel = "_ZN6cnnzoo4cuda14backward_inputIfEEvNS0_13BackwardInputIT_EE"
    limits = {"backward_input<float32>": {"sm_80": 40}}
    kept = Resources(kernel, 80, 40, 0, 0, 0)
    assert not budget.exceeded([kept], limits)
    for wrong, words in (
        (Resources(kernel, 80, 41, 0, 0, 0), "41 registers, its budget is 40"),
        (Resources(kernel, 80, 40, 16, 0, 0), "a stack of 16 bytes"),
        (Resources(kernel, 80, 40, 0, 8, 0), "8 bytes of spills"),
    ):
        (sentence,) = budget.exceeded([wrong], limits)
        assert words in sentence
    new, gone = budget.exceeded([Resources(kernel, 90, 40, 0, 0, 0)], limits)
    assert "not in budget.toml" in new
    assert "never compiled" in gone


def test_ptxas_is_read_right(built):
    found = resources(built)
    kernels = {each.kernel for each in found}
    assert {(each.kernel, each.architecture) for each in found} == {
        (kernel, architecture) for kernel in kernels for architecture in ARCHITECTURES
    }
    assert all(16 <= each.registers <= 255 for each in found)


@pytest.mark.parametrize(
    ("mangled", "name"),
    [
        ("_ZN6cnnzoo4cuda11forward_mmaI13__nv_bfloat16Li5EEEvNS0_7ForwardIT_EE",
         "forward_mma<bfloat16, 5>"),
        ("_ZN6cnnzoo4cuda14forward_directIfLi4ELb1EEEvNS0_7ForwardIT_EE",
         "forward_direct<float32, 4, 1>"),
        ("_ZN6cnnzoo4cuda3addEPf", "add"),
        ("other", "other"),
    ],
)  # fmt: skip
def test_names(mangled, name):
    assert readable(mangled) == name


def test_occupancy_is_that_of_the_manual(built):
    # 65536 registers are 1024 threads of 64; six blocks of 32 KiB and 1 KiB each fit into 228.
    launches = [
        Launch(80, 64, 256, 0, 0),
        Launch(80, 32, 256, 0, 0),
        Launch(90, 32, 128, 0, 32 << 10),
        Launch(75, 32, 256, 0, 32 << 10),
    ]
    assert occupancy(launches) == [0.5, 1.0, 6 * 128 / 2048, 2 * 256 / 1024]


def test_enough_threads_fit(built):
    found = [each for each in resources(built) if "reduce" not in each.kernel]
    threads = [128 if "forward_mma" in each.kernel else 256 for each in found]
    shared = [MOST_SHARED // 2 if each.architecture == 75 else MOST_SHARED for each in found]
    fits = occupancy(
        [Launch(each.architecture, each.registers, n, each.shared, bytes_)
         for each, n, bytes_ in zip(found, threads, shared, strict=True)]
    )  # fmt: skip
    least = {False: LEAST_OCCUPANCY, True: LEAST_OCCUPANCY / 2}  # mma: 4 warps that each do more
    low = [(readable(each.kernel), each.architecture, fit)
           for each, fit in zip(found, fits, strict=True)
           if fit < least["forward_mma" in each.kernel]]  # fmt: skip
    assert not low


def test_machine_code(built):
    if sass.cuobjdump() is None:
        why = "needs cuobjdump: pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm"
        if os.environ.get("CNNZOO_REQUIRE_NVCC", "0") not in ("", "0"):
            pytest.fail(why)
        pytest.skip(why)
    for architecture in ARCHITECTURES:
        for cubin in built.cubins(architecture):
            for kernel, codes in sass.opcodes(cubin).items():
                name = f"{readable(kernel)} on sm_{architecture}"
                assert codes["EXIT"], f"{name}: cuobjdump's output was not understood"
                local = {code: n for code, n in codes.items() if code in ("LDL", "STL")}
                assert not local, f"{name} keeps values in local memory: {local}"
                assert not codes["ATOM"] + codes["ATOMG"] + codes["RED"], f"{name} has atomics"
                tensor = "forward_mma" in kernel and (architecture >= 80 or "half" in kernel)
                assert (codes["HMMA"] > 0) == tensor, f"{name}: {codes['HMMA']} HMMA"
                if "forward_direct" in kernel or "partial" in kernel:
                    assert codes["FFMA"] >= 8, f"{name}: {codes['FFMA']} FFMA"


def test_work_is_counted(built, kernels):
    """The direct kernel of the tutorial's first layer: each covered position once, and no more."""
    found = work.measure(built.library, kernels(80), 80, ["tutorial conv1"], ["float32"])
    by_name = {readable(each.kernel): each for each in found}
    direct = by_name["forward_direct<float32, 4, 1>"]
    assert direct.useful == 2 * 32 * 26 * 26 * 9
    assert direct.useful <= direct.executed <= 2 * direct.useful
    assert direct.floor <= direct.moved <= 4 * direct.floor
    dense, one = (
        work.useful(work.FIRST, "forward_direct"),
        work.useful(work.FIRST, "backward_input"),
    )
    assert dense == 4 * one, "one position of a 2x2 window"
    console = Console(width=150, record=True)
    console.print(table(resources(built), {each.kernel: each for each in found}))
    text = console.export_text()
    assert "forward_direct<float32, 4, 1>" in text
    assert f"{direct.useful / direct.executed:.0%}" in text
