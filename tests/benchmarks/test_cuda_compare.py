"""The GPU comparison without a GPU: candidates on CPU tensors, files, the sentence."""

import json

import pytest
import torch

from benchmarks import answers, blocks, cuda_blocks, cuda_compare, report
from benchmarks.answers import WrongAnswerError
from benchmarks.results import Case, Results
from benchmarks.workloads import Layer
from cnnzoo.errors import CnnzooError

LAYER = Layer("small", 2, 3, 11, 5, 3)
ON_CPU = [n for n, way in cuda_blocks.WAYS.items()
          if not (way.graph or way.compiled or way.implementation)]  # fmt: skip
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


@pytest.fixture(autouse=True)
def _switches():
    """Leave cuDNN's switches as they were."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.conv.fp32_precision
    yield
    cudnn.benchmark, cudnn.conv.fp32_precision = before


@without_gpu
def test_without_a_gpu_it_is_a_sentence_and_exit_code_2(capsys):
    assert cuda_compare.main(["--quick"]) == 2
    assert "No GPU" in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("mode", blocks.MODES)
@pytest.mark.parametrize("name", ON_CPU)
def test_candidates_answer_rightly(name, mode, precision):
    problem = answers.judged(LAYER)
    made = cuda_blocks.candidate(name, precision, problem, mode, "cpu")
    given = made.run()
    assert len(given) == (1 if mode == blocks.FORWARD else 4)
    assert given[0].dtype == cuda_blocks.PRECISIONS[precision].dtype


def test_a_wrong_candidate_is_refused(monkeypatch):
    monkeypatch.setattr(cuda_blocks, "_block", lambda way, problem: lambda x, w, b: x[:, :1])
    with pytest.raises(WrongAnswerError, match="eager, float16: output has shape"):
        cuda_blocks.candidate("eager", "float16", answers.judged(LAYER), blocks.FORWARD, "cpu")


def test_ours_says_why_it_does_not_run_on_tensors_of_low_precision_here():
    with pytest.raises(CnnzooError, match="cannot run"):
        cuda_blocks.candidate("native", "float16", answers.judged(LAYER), blocks.FORWARD, "cpu")


def test_switches_are_set_for_each_turn():
    problem = answers.judged(LAYER)
    first = cuda_blocks.candidate("eager", "tf32", problem, blocks.FORWARD, "cpu")
    second = cuda_blocks.candidate("channels_last", "float32", problem, blocks.FORWARD, "cpu")
    cudnn = torch.backends.cudnn
    first.before()
    assert (cudnn.benchmark, cudnn.conv.fp32_precision) == (False, "tf32")
    second.before()
    assert (cudnn.benchmark, cudnn.conv.fp32_precision) == (True, "ieee")


def test_files_and_tables_are_those_of_the_cpu_benchmark(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report, "WIDTH", 200)
    machine = {"cpu": "NVIDIA Test", "threads": 2, "cores": 132, "isa": "sm_90", "cuda": "13.0",
               "cudnn": 91000, "versions": {"torch": "2.10"}}  # fmt: skip
    options = cuda_compare.parse(["--precision", "tf32", "--rounds", "3"])
    results = Results(machine, {**cuda_compare.settings(options, "tf32"), "seconds": 1})
    turns = {"native": [1e-4] * 3, "eager": [3e-4, 2e-4, 4e-4], "compiled": [2e-4] * 3}
    results.cases.append(Case("layers", "tutorial conv1", blocks.TRAINING, 100, turns))
    path = tmp_path / f"{cuda_compare._name(results)}.json"
    cuda_compare.write(results, path)
    assert path.name == "nvidia-test-sm-90-tf32.json"
    printed = capsys.readouterr().out
    assert "3.00 (2.50–3.50)" in printed
    assert "Layers, tf32" in printed
    assert json.loads(path.read_text())["settings"]["dtype"] == "tf32"
    assert Results.load(path).cases == results.cases
    assert path.with_suffix(".png").stat().st_size > 10_000


@pytest.mark.parametrize("line", ["--scale 0", "--precision int8", "--name x"])
def test_what_cannot_be_asked(line, capsys):
    with pytest.raises(SystemExit):
        cuda_compare.parse(line.split())
    assert "error" in capsys.readouterr().err
