"""Who runs a layer on CUDA, and the sentence that says why: decided without a GPU."""

from types import SimpleNamespace

import pytest
import torch

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _choice, _cuda, _native

PROBLEM = _choice.Problem(
    x=(8, 16, 30, 30),
    weight=(16, 16, 3, 3),
    window=(1, 1, 0, 0, 2, 2, 2, 2, 0, 0),
    dilation=(1, 1),
    groups=1,
    dtype=torch.bfloat16,
    device="cuda",
    training=True,
)


@pytest.fixture
def library(monkeypatch):
    """A CUDA library that covers everything but one image, and notes what it is told."""
    told = []
    fake = SimpleNamespace(
        covers=lambda sizes: "CUDA kernels do not like 7 images" if sizes[0] == 7 else None,
        set_allow_tf32=told.append,
        told=told,
    )
    monkeypatch.delenv("CNNZOO_KERNEL", raising=False)
    _native.kernel.cache_clear()
    monkeypatch.setattr(_cuda, "_load", lambda: (fake, None))
    return fake


def test_nothing_is_taken_by_faith(library):
    choice = _choice.choose("auto", PROBLEM)
    assert choice.implementation == "reference"
    assert choice.declined["native"].startswith("Nothing was measured on cuda")


def test_a_table_decides(library, monkeypatch):
    key = _choice.bucket(PROBLEM)
    monkeypatch.setattr(_choice, "own_table", lambda isa: {key: "native"} if isa == "cuda" else {})
    choice = _choice.choose("auto", PROBLEM)
    assert (choice.implementation, choice.isa) == ("native", "cuda")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_it_can_be_asked_for(library, dtype):
    choice = _choice.choose("native", PROBLEM._replace(dtype=dtype))
    assert (choice.implementation, choice.isa) == ("native", "cuda")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dtype": torch.float64}, "CUDA kernels take float32, bfloat16 and float16, got float64."),
        ({"groups": 2}, "Native kernels take groups=1, got 2."),
        ({"dilation": (2, 2)}, "Native kernels take dilation=1, got (2, 2)."),
        ({"x": (7, 16, 30, 30)}, "CUDA kernels do not like 7 images."),
    ],
    ids=["dtype", "groups", "dilation", "library"],
)
def test_reasons(library, change, sentence):
    problem = PROBLEM._replace(**change)
    assert _choice.choose("auto", problem).declined["native"] == sentence
    with pytest.raises(CnnzooError) as caught:
        _choice.choose("native", problem)
    assert str(caught.value) == f'implementation="native" cannot run: {sentence}'


def test_a_missing_library_is_a_reason(monkeypatch):
    monkeypatch.setattr(_cuda, "_load", lambda: (None, "torch finds no GPU"))
    assert _choice.why_not_native(PROBLEM) == "The CUDA kernels are not there: torch finds no GPU."


@pytest.mark.parametrize(("variable", "value"), [("CNNZOO_CUDA", "0"), ("CNNZOO_NATIVE", "0")])
def test_the_environment_hides_it(monkeypatch, variable, value):
    monkeypatch.setenv("CNNZOO_CUDA", "1")
    monkeypatch.setenv(variable, value)
    assert _cuda._load.__wrapped__() == (None, "they are hidden by the environment")


def test_tf32_follows_torch(library):
    conv = torch.backends.cudnn.conv
    before = conv.fp32_precision
    try:
        for conv.fp32_precision in ("ieee", "tf32"):
            _cuda.follow_tf32()
    finally:
        conv.fp32_precision = before
    assert library.told == [False, True]


def test_tensors_are_made_ready(library):
    x, weight = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 3, 3)
    got = _cuda.ready(x, weight, None, torch.bfloat16)
    assert got[0].dtype == got[1].dtype == torch.bfloat16
    assert got[2] is None
    assert library.told == []  # TF32 is nothing to bfloat16
    assert _cuda.ready(x, weight, x[0, 0, 0], torch.float32)[2] is not None
    assert len(library.told) == 1
