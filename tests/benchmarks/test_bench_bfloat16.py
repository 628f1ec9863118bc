"""The section of bfloat16: who competes answers rightly, and its verdicts, tables and picture."""

import doctest
import shutil
import subprocess

import pytest
import torch
from matplotlib.image import imread
from rich.console import Console

from benchmarks import (
    answers,
    bfloat16,
    bfloat16_targets,
    blocks,
    compare,
    environment,
    kernels,
    networks,
    peak,
    peers,
    picture,
    report,
    targets,
    timing,
)
from benchmarks.answers import WrongAnswerError
from benchmarks.results import Case, Results
from benchmarks.workloads import Layer, Network
from cnnzoo import ops
from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _native

FIRST = Layer("first", 2, 1, 14, 8, 3, opens=True)
SECOND = Layer("second", 2, 8, 6, 4, 3)
NETWORK = Network("single_layer_cnn", 4)
MACHINE = {"cpu": "A processor", "cores": 2, "threads": 2, "isa": "amx", "versions": {"torch": "2"}}
SMALL = [n for n, way in networks.EVERY_WAY.items() if n.startswith("bf16") and not way.compiled]


def runs_here(name):
    """Skip what needs kernels for bfloat16, or a frozen run, where the library has none."""
    if "native" in name and _native.kernels_for("bfloat16") is None:
        pytest.skip("the native library has no kernels for bfloat16 here")
    if "frozen" in name and not ops.status().available:
        pytest.skip(str(ops.status().reason))


@pytest.mark.parametrize("name", [n for n in bfloat16.BLOCK_NAMES if "compiled" not in n])
def test_both_blocks_are_answered_rightly(name):
    runs_here(f"bf16 {name}")
    pair = bfloat16.judged_pair(FIRST, SECOND)
    assert len(bfloat16.both(name, pair).run()) == 5


def test_blocks_that_are_wrong_are_refused():
    one, two, (y, *grads) = bfloat16.judged_pair(FIRST, SECOND)
    with pytest.raises(WrongAnswerError, match="bf16 eager: output is off by"):
        bfloat16.both("bf16 eager", (one, two, (1.1 * y, *grads)))
    grads[2] = 1.5 * grads[2]
    with pytest.raises(WrongAnswerError, match="bf16 eager: gradient 3 is off by"):
        bfloat16.both("bf16 eager", (one, two, (y, *grads)))


@pytest.mark.parametrize("name", SMALL)
def test_every_way_answers_rightly_in_inference(name):
    runs_here(name)
    candidate = networks.candidate(name, networks.judged(NETWORK), networks.INFERENCE, threads=1)
    (logits,) = candidate.run()
    right = networks.unjudged(NETWORK)
    assert logits.shape == (NETWORK.batch, NETWORK.classes)
    assert right.images.dtype == torch.float32, "images come as a loader gives them"


def test_a_model_that_is_not_frozen_as_a_whole_does_not_compete(monkeypatch):
    class Report:
        whole, message = False, "2 layers are one call."

    class Frozen(torch.nn.Module):
        freeze_report = Report()

    monkeypatch.setattr(networks.cnnzoo, "freeze", lambda model, images: Frozen())
    with pytest.raises(CnnzooError, match="2 layers are one call"):
        networks.candidate("frozen", networks.unjudged(NETWORK), networks.INFERENCE, threads=1)


def test_a_run_has_every_workload_and_says_who_is_missing(monkeypatch):
    def not_installed(model, images, threads):
        raise CnnzooError("It is not installed.")

    def no_time(ready, rounds, turn):
        return {name: [one.run() and 1.0] * rounds for name, one in ready.items()}

    monkeypatch.setattr(timing, "alternate", no_time)
    monkeypatch.setattr(peers, "PEERS", {"openvino": not_installed, "bf16 openvino": not_installed})
    cases = list(bfloat16.measure(2, 0.0, 1, True, layers=(FIRST, SECOND), network=NETWORK))
    assert [(case.workload, case.mode) for case in cases] == [
        ("first", blocks.TRAINING),
        ("second", blocks.TRAINING),
        (bfloat16.BOTH, blocks.TRAINING),
        (NETWORK.name, networks.TRAINING),
        (NETWORK.name, networks.INFERENCE),
    ]
    for case in cases:
        assert case.section == bfloat16.SECTION
        assert not case.refused
        assert {"bf16 auto", "bf16 eager", "bf16 channels_last"} <= set(case.turns)
        assert "bf16 compiled" in case.skipped
    assert cases[-1].skipped["bf16 openvino"] == "It is not installed."
    assert "openvino" not in cases[-1].skipped, "float32 is compared elsewhere"


def test_kernels_stand_beside_the_peak_of_bfloat16(monkeypatch):
    runs_here("native")
    monkeypatch.setattr(kernels.peak, "require", lambda isa: None)
    monkeypatch.setattr(kernels.peak.Peak, "measure", lambda self, calls: [1e-6] * calls)
    isa = ops.status().isa
    found = list(kernels.measure([FIRST, SECOND], [isa], 2, 0.0, torch.bfloat16))
    assert {case.section for case in found} == {kernels.BFLOAT16}
    assert [case.mode for case in found] == ["forward", "dW", "forward", "dW", "dX"]
    assert set(found[0].turns) == {isa, f"peak {isa}"}


@pytest.mark.parametrize("layer", [FIRST, SECOND], ids=lambda layer: layer.name)
def test_kernels_in_bfloat16_are_judged(layer):
    runs_here("native")
    problem = answers.judged(layer)
    wrong = answers.Problem(
        layer, problem.x, problem.weight, problem.bias, problem.grad_y,
        (problem.answers[0] * 1.1, *problem.answers[1:]),
    )  # fmt: skip
    kernels._calls(problem, torch.bfloat16)
    with pytest.raises(WrongAnswerError, match="output is off by"):
        kernels._calls(wrong, torch.bfloat16)


def test_without_kernels_for_bfloat16_there_is_a_sentence(monkeypatch):
    if not ops.status().available:
        pytest.skip(str(ops.status().reason))
    monkeypatch.setattr(_native, "kernels_for", lambda dtype: None)
    with pytest.raises(CnnzooError, match="this library has none in"):
        list(kernels.measure([FIRST], ["avx2"], 2, 0.0, torch.bfloat16))


@pytest.mark.parametrize("isa", peak.LANES)
def test_a_peak_counts_the_operations_of_its_instruction(isa):
    try:
        peak.require(isa)
    except CnnzooError as error:
        pytest.skip(str(error))
    if isa not in (*ops.status().isas, *peak.ASK_FOR, "scalar"):
        pytest.skip(f"this machine may not have {isa}")
    assert peak._run(isa, 10) == 2 * 12 * peak.LANES[isa] * 10


def test_the_peak_of_tiles_is_refused_where_there_are_none(monkeypatch):
    monkeypatch.setattr(peak, "_library", lambda: None)
    monkeypatch.setattr(peak, "_there", lambda: ())
    for isa in (peak.TILES, "avx512_bf16"):
        with pytest.raises(CnnzooError, match=f"The peak of {isa} is measured where"):
            peak.require(isa)
    monkeypatch.setattr(peak, "_there", lambda: (peak.TILES,))
    monkeypatch.setattr(peak, "_run", lambda isa, rounds: 0.0)
    with pytest.raises(CnnzooError, match="does not allow"):
        peak.require(peak.TILES)


def test_both_peaks_of_bfloat16_compile(tmp_path):
    compiler = shutil.which("g++")
    if compiler is None or peak.platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("needs g++ on x86-64")
    source = peak.Path(peak.__file__).with_name("peak.cpp")
    defines = [f"-DPEAK_{isa.upper()}" for isa in peak.ASK_FOR]
    built = [compiler, "-Wall", "-Werror", "-shared", "-fPIC", *defines, source]
    subprocess.run([*built, "-o", tmp_path / "peak.so"], check=True)
    names = (tmp_path / "peak.so").read_bytes()
    assert b"peak_run_tiles" in names, "the macros are those of the source"


@pytest.fixture
def results():
    """Ours takes 1 ms for 128 images, everyone in bfloat16 four times as long."""
    ours, theirs = [0.001, 0.001, 0.0012], [0.004, 0.004, 0.0048]
    turns = {"bf16 native": ours, "bf16 channels_last": theirs, "native": [0.0015] * 3}
    asked = {**turns, "bf16 frozen": [0.0002] * 3, "bf16 openvino": theirs}
    cases = [
        Case(bfloat16.SECTION, bfloat16.BOTH, blocks.TRAINING, 128, turns),
        Case(bfloat16.SECTION, "mnist_cnn", networks.TRAINING, 128, turns),
        Case(bfloat16.SECTION, "mnist_cnn", networks.INFERENCE, 128, asked),
        Case(kernels.BFLOAT16, "tutorial conv2", "forward", 128,
             {"amx": [2.0] * 3, "peak amx": [1.0] * 3}, sizes={"flops": 1e9}),
    ]  # fmt: skip
    skipped = {name: targets.LEFT_OUT for name in compare.SECTIONS if name != "bf16"}
    return Results(MACHINE, {"rounds": 3, "quick": False}, cases, skipped)


def test_targets_are_those_of_the_design(results):
    found = targets.verdicts(results)
    assert [(verdict.goal, verdict.met) for verdict in found] == [
        (4, False),  # 7.8 µs
        (5, False),  # four times
        (9, True),
        (5, False),
        (16, True),  # float32, 11.7 µs
        (3.5, True),  # 20 times
        (1.5, False),  # 1.56 µs, frozen
    ]
    assert found[0].measured.median == pytest.approx(1000 / 128)
    assert found[-1].note == "bf16 frozen", "the fastest of ours counts"


def test_targets_without_measurements_are_not_met_and_not_missed():
    empty = Results(MACHINE, {"rounds": 3, "quick": True})
    assert {verdict.met for verdict in bfloat16_targets.verdicts(empty)} == {None}


def test_tables_and_picture_show_it(results, tmp_path):
    console = Console(record=True, width=150, file=(tmp_path / "out.txt").open("w"))
    report.show(results, targets.verdicts(results), console)
    text = console.export_text()
    assert "4.00 (4.00–4.00)" in text
    assert "native, float32" in text
    assert "Peak in bfloat16: amx 1 GFLOP/s a core" in text
    assert "OpenVINO bf16" in text
    assert "FMA" not in text, "targets of sections that were left out are no targets of this run"
    picture.draw(results, tmp_path / "run.png")
    assert imread(tmp_path / "run.png").shape[:2] == (594, 1760), "the picture of bfloat16"


def test_a_run_of_one_section_does_not_replace_the_whole(results):
    options = compare.parse(["--only", "bf16", "--threads", "2"])
    assert compare._name(MACHINE, options) == "a-processor-amx-2-threads-bf16"
    assert compare._name(MACHINE, compare.parse(["--threads", "2"])) == "a-processor-amx-2-threads"


def test_an_instruction_set_for_bfloat16_alone_has_float32_kernels_of_another():
    assert compare._of_float32("amx") == compare._of_float32("avx512_bf16") == "avx512"
    assert compare._of_float32("avx2") == "avx2"
    assert environment.wanted("avx512")["ONEDNN_MAX_CPU_ISA"] == "AVX512_CORE_VNNI"


def test_examples():
    found = doctest.testmod(bfloat16)
    assert found.attempted
    assert not found.failed
