"""Every kernel of csrc/cuda, from nvcc's PTX, launched by the real launchers, against float64.

Integers must come out to the bit, places included; reals within the storage type's rounding. Gaps
of sliced inputs, red zones, uninitialised bytes and races are faults of the interpreter.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import ptx
import pytest
import torch
from ptx.host.host import Launchers
from ptx_layers import PASSES, Answers, run
from ptx_reference import DTYPES, Layer, Problem, problem

OVERLAPPING = {"pool": (3, 3), "pool_stride": (2, 2), "pool_padding": (1, 1)}
LAYERS = {
    # 9 x 9 windows: no tile divides them.
    "3x3": Layer(1, 2, 19, 18, 5, padding=(1, 1)),
    "one window": Layer(1, 1, 3, 2, 1, kernel=(2, 1), bias=False),
    "many channels": Layer(2, 17, 7, 9, 33, padding=(1, 1), layout="nhwc"),
    "many channels, many windows": Layer(1, 16, 18, 18, 3, padding=(1, 1)),
    "many channels, overlapping pool": Layer(1, 18, 8, 7, 33, layout="sliced", **OVERLAPPING),
    "overlapping pool": Layer(1, 2, 11, 19, 34, layout="nhwc", **OVERLAPPING),
    "ten positions": Layer(1, 16, 6, 12, 32, pool=(2, 5), pool_stride=(2, 2), layout="nhwc"),
    "nothing square": Layer(
        2, 4, 11, 8, 6, kernel=(5, 3), stride=(2, 1), padding=(0, 1), pool=(4, 3),
        pool_stride=(3, 1), pool_padding=(2, 0), bias=False, layout="sliced",
    ),
}  # fmt: skip
EACH_KERNEL = ("3x3", "many channels", "many channels, overlapping pool", "overlapping pool",
               "nothing square")  # fmt: skip
SEVERAL_STEPS = Layer(1, 20, 7, 8, 9, padding=(1, 1), layout="nhwc")  # of staging, in each block
MANY_TILES = Layer(1030, 1, 2, 2, 1, kernel=(1, 1))
# Which of these tests has executed what; the last test wants every entry here.
EXECUTED: dict[int, Counter[str]] = {}
TOLERANCE = {"float32": 2e-6, "tf32": 2e-3, "bfloat16": 8e-3, "float16": 2e-3}


@pytest.fixture(scope="module")
def launchers(built, kernels):
    """Architecture → its launchers."""
    made: dict[int, Launchers] = {}

    def of(architecture: int) -> Launchers:
        if architecture not in made:
            made[architecture] = Launchers(built.library, kernels(architecture), architecture)
            EXECUTED[architecture] = made[architecture].launched
        return made[architecture]

    return of


def same(got: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    """Bit for bit, once stored; NaN where NaN is expected."""
    expected = expected.to(got.dtype)
    nan = expected.isnan()
    assert torch.equal(got.isnan(), nan), what
    wrong = (got != expected) & ~nan
    assert not wrong.any(), f"{what}: {int(wrong.sum())} of {got.numel()} differ"


def exact(got: Answers, p: Problem, backward: bool = True) -> None:
    same(got.y, p.y, "y")
    wrong = got.place != p.place
    assert not wrong.any(), f"place: {int(wrong.sum())} of {wrong.size} differ"
    if backward:
        same(got.grad_x, p.grad_x, "grad_x")
        same(got.grad_weight, p.grad_weight, "grad_weight")
        same(got.grad_bias, p.grad_bias, "grad_bias")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_integers_to_the_bit(name, dtype, launchers):
    p = problem(LAYERS[name], dtype, "integers")
    exact(run(launchers(80), p), p)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EACH_KERNEL)
def test_integers_to_the_bit_on_sm_90(name, dtype, launchers):
    """The same source, so each kernel once is enough."""
    p = problem(LAYERS[name], dtype, "integers")
    backward = name == "many channels"
    passes = PASSES if backward else ("forward",)
    exact(run(launchers(90), p, passes=passes), p, backward)


@pytest.mark.parametrize("name", ["many channels", "many channels, overlapping pool"])
def test_half_precision_on_the_tensor_cores_of_sm_75(name, launchers):
    p = problem(LAYERS[name], "float16", "integers")
    turing = launchers(75)
    exact(run(turing, p, passes=("forward",)), p, backward=False)
    assert any("forward_mma" in each for each in turing.launched)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["3x3", "many channels, overlapping pool"])
def test_nan_and_infinity(name, dtype, launchers):
    p = problem(LAYERS[name], dtype, "nan")
    assert p.y.isnan().any()
    assert p.y.isinf().any()
    exact(run(launchers(80), p), p)


@pytest.mark.parametrize("name", ["3x3", "many channels"])
@pytest.mark.parametrize("kind", TOLERANCE)
def test_reals_within_rounding(name, kind, launchers):
    dtype = "float32" if kind == "tf32" else kind
    p = problem(LAYERS[name], dtype, "reals")
    got = run(launchers(80), p, tf32=kind == "tf32")
    for what in ("y", "grad_x", "grad_weight", "grad_bias"):
        mine, right = getattr(got, what).double(), getattr(p, what)
        error = (mine - right).abs().max() / right.abs().max()
        assert error <= TOLERANCE[kind], f"{what}: {error:.2g}"
    agree = (got.place == p.place).mean()
    assert agree == 1 if kind == "float32" else agree > 0.98


@pytest.mark.parametrize("channels", [3, 17])
def test_any_order_of_the_blocks_gives_the_same_bits(channels, launchers):
    p = problem(Layer(2, channels, 9, 11, 5, padding=(1, 1)), "float32", "reals")
    first = run(launchers(80), p)
    for seed, lanes in ((1, 512), (2, 8192), (3, 8192)):
        again = run(launchers(80), p, seed=seed, lanes=lanes)
        for what in ("y", "grad_x", "grad_weight", "grad_bias"):
            assert torch.equal(getattr(first, what), getattr(again, what)), what


def test_float32_without_tf32_takes_no_tensor_core(launchers):
    name = launchers(80).call("run_forward_kernel", LAYERS["many channels"].geometry, 0, 80, 0)
    p = problem(LAYERS["many channels"], "float32", "integers")
    exact(run(launchers(80), p, tf32=False, passes=("forward",)), p, backward=False)
    assert name == b"forward_direct"


def test_a_share_of_several_tiles_is_summed(launchers):
    """More tiles than a weight gradient has shares: some blocks go round their loop twice."""
    p = problem(MANY_TILES, "float32", "integers")
    got = run(launchers(80), p, passes=("weight",))
    same(got.grad_weight, p.grad_weight, "grad_weight")
    same(got.grad_bias, p.grad_bias, "grad_bias")


@pytest.mark.parametrize(
    ("which", "layer", "passes"),
    [
        ("forward_direct", SEVERAL_STEPS, ("forward",)),
        ("forward_mma", SEVERAL_STEPS, ("forward",)),
        ("partial", MANY_TILES, ("weight",)),
        ("backward_input", SEVERAL_STEPS, ("input",)),
    ],
)
def test_each_barrier_is_needed(which, layer, passes, built, kernels):
    """Without any one of them the interpreter sees a race: it looks, and there is none too many."""
    p = problem(layer, "float16", "integers")
    capability = 70 if which == "forward_direct" else 80  # 7.0 has no tensor cores for us
    argument = "6__half" if which != "forward_direct" else "6__halfLi4ELb1E"
    argument += "Li2E" if which == "forward_mma" else ""
    (name,) = (each for each in kernels(80) if which in each and argument in each)
    kernel = kernels(80)[name]
    barriers = [i for i, each in enumerate(kernel.instructions) if each.opcode == "bar"]
    assert barriers
    for index in barriers:
        instructions = list(kernel.instructions)
        nothing = dataclasses.replace(instructions[index], opcode="membar", modifiers=("cta",),
                                      operands=())  # fmt: skip
        instructions[index] = nothing
        broken = dataclasses.replace(kernel, instructions=instructions)
        without = Launchers(built.library, {**kernels(80), name: broken}, capability)
        with pytest.raises(ptx.Fault, match="race in shared memory"):
            run(without, p, passes=passes)
        assert not without.launched[name]


def test_every_entry_was_executed(launchers, kernels):
    """Runs last: whatever nvcc made for these architectures has run above."""
    for architecture in (80, 90):
        if architecture not in EXECUTED:
            pytest.skip("the tests that execute the kernels were left out of this run")
        missing = set(kernels(architecture)) - set(EXECUTED[architecture])
        assert not missing, f"sm_{architecture}: never executed: {sorted(missing)}"
