"""Who runs, and what is said of it."""

import json

import pytest
import torch

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _choice, _tables, conv_relu_maxpool, explain

X, WEIGHT = torch.zeros(5, 3, 20, 20), torch.zeros(4, 3, 3, 3)


@pytest.fixture
def table(monkeypatch, environment, native):
    """Return a function that puts a measured table in the place of the shipped one."""

    def put(choices):
        monkeypatch.setattr(_choice, "table", lambda name: choices)
        environment()

    return put


def test_native_is_preferred_where_it_covers(native, table):
    table({"another bucket": "native"})
    choice = explain(X, WEIGHT)
    assert choice.implementation == "native"
    assert choice.isa == native.kernels_for("float32")
    assert list(choice.declined) == ["reference"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"x": X.double(), "weight": WEIGHT.double()}, "float32 and bfloat16, got float64."),
        ({"x": X.to("meta"), "weight": WEIGHT.to("meta")}, "on the CPU, the tensors are on meta."),
        ({"groups": 3, "weight": torch.zeros(6, 1, 3, 3)}, "groups=1, got 3."),
        ({"dilation": 2}, "dilation=1, got (2, 2)."),
        ({"pool_size": 16}, "one byte, which ends at pools of 254 positions."),
    ],
    ids=["dtype", "device", "groups", "dilation", "pool"],
)
def test_reasons(native, environment, change, sentence):
    arguments = {"x": X, "weight": WEIGHT, **change}
    choice = explain(**arguments)
    assert choice.implementation == "reference"
    assert choice.isa is None
    assert choice.declined["native"].endswith(sentence)
    with pytest.raises(CnnzooError) as caught:
        conv_relu_maxpool(**arguments, implementation="native")
    assert str(caught.value).startswith('implementation="native" cannot run: ')
    assert str(caught.value).endswith(sentence)


def test_autocast_is_a_reason(native, environment):
    with torch.autocast("cpu", torch.float16):
        assert explain(X, WEIGHT).declined["native"].endswith("bfloat16, got float16.")
    assert explain(X, WEIGHT).implementation == "native"


def test_asking_for_one(native, environment):
    assert explain(X, WEIGHT, implementation="reference").implementation == "reference"
    assert explain(X, WEIGHT, implementation="native").implementation == "native"


def test_the_environment_speaks_for_auto_only(native, environment):
    environment(CNNZOO_KERNEL="reference")
    choice = explain(X, WEIGHT)
    assert choice.implementation == "reference"
    assert "CNNZOO_KERNEL=reference" in choice.reason
    assert explain(X, WEIGHT, implementation="native").implementation == "native"
    environment(CNNZOO_KERNEL="native")
    assert explain(X, WEIGHT).implementation == "native"
    with pytest.raises(CnnzooError, match=r"CNNZOO_KERNEL=native cannot run: .* got float64"):
        conv_relu_maxpool(X.double(), WEIGHT.double())
    environment(CNNZOO_KERNEL="referense")
    with pytest.raises(CnnzooError, match=r'got "referense"\. Did you mean "reference"\?'):
        conv_relu_maxpool(X, WEIGHT)


def test_the_table_decides(native, table):
    key = "train n8 c4 k4 out16x16 filter3x3/1x1 pool2x2/2x2"
    table({key: "reference", key.replace("train", "infer"): "native"})
    trained = explain(X, WEIGHT.clone().requires_grad_())
    assert trained.implementation == "reference"
    assert key in trained.reason
    assert "faster" in trained.declined["native"]
    inferred = explain(X, WEIGHT)
    assert inferred.implementation == "native"
    assert "Measured" in inferred.reason


def test_the_table_is_a_file_per_instruction_set(monkeypatch, tmp_path):
    monkeypatch.setattr(_tables, "__file__", str(tmp_path / "_tables.py"))
    (tmp_path / "choices_made_up.json").write_text(json.dumps({"choices": {"a": "native"}}))
    assert _tables.table("made_up") == {"a": "native"}
    assert _tables.table("never measured") == {}
    _tables.table.cache_clear()


def test_bfloat16_has_a_table_of_its_own(native, monkeypatch, environment):
    names = {dtype: native.kernels_for(dtype) for dtype in ("float32", "bfloat16")}
    asked = []

    def table(name):
        asked.append(name)
        return {"another bucket": "native"}

    monkeypatch.setattr(_choice, "table", table)
    environment()
    assert explain(X, WEIGHT).isa == names["float32"]
    assert set(asked) == {names["float32"]}
    asked.clear()
    assert explain(X.bfloat16(), WEIGHT.bfloat16()).isa == names["bfloat16"]
    assert set(asked) == {f"{names['bfloat16']}_bfloat16"}
    asked.clear()
    with torch.autocast("cpu", torch.bfloat16):
        assert explain(X, WEIGHT).isa == names["bfloat16"]
    assert set(asked) == {f"{names['bfloat16']}_bfloat16"}


def test_a_library_from_before_bfloat16_says_so(native, monkeypatch, environment):
    monkeypatch.setattr(_choice._native, "_kernels", lambda _, dtype: dtype[:5] == "float" or None)
    environment()
    said = explain(X.bfloat16(), WEIGHT.bfloat16()).declined["native"]
    assert (
        said == "The native library is older than this cnnzoo. Installing cnnzoo again builds it."
    )
    assert explain(X, WEIGHT, implementation="native").implementation == "native"


def test_shipped_tables_hold_legal_choices():
    for path in _tables.tables():
        choices = json.loads(path.read_text())["choices"]
        assert set(choices.values()) <= {"native", "reference"}


def test_buckets_keep_apart_what_counts():
    def key(x, weight, **change):
        window = (1, 1, 0, 0, 2, 2, 2, 2, 0, 0)
        fields = {"dilation": (1, 1), "groups": 1, "dtype": torch.float32, "device": "cpu"}
        fields = {"window": window, "training": True, **fields, **change}
        return _choice.bucket(_choice.Problem(x=x, weight=weight, **fields))

    base = key((128, 32, 13, 13), (32, 32, 3, 3))
    assert base == key((100, 30, 13, 13), (20, 30, 3, 3))
    assert base != key((1, 32, 13, 13), (32, 32, 3, 3))
    assert base != key((128, 32, 13, 13), (32, 32, 5, 5))
    assert base != key((128, 32, 13, 13), (32, 32, 3, 3), training=False)
    assert base != key((128, 32, 13, 13), (32, 32, 3, 3), window=(1, 1, 0, 0, 2, 2, 1, 1, 0, 0))
    assert key((8, 1, 9, 9), (8, 1, 3, 3)) != key((8, 3, 9, 9), (8, 3, 3, 3))
    assert key((), ()) == "symbols"


def test_nothing_is_taken_by_faith(native, table):
    table({})
    choice = explain(X, WEIGHT)
    assert choice.implementation == "reference"
    assert "Nothing was measured on" in choice.declined["native"]


@pytest.mark.parametrize(("batch", "taken"), [(1, "reference"), (64, "native")])
def test_few_outputs_for_many_weights_go_to_the_reference(native, table, batch, taken):
    table({"another bucket": "native"})
    x, weight = torch.empty(batch, 256, 14, 14), torch.empty(256, 256, 3, 3)
    assert explain(x, weight, padding=1).implementation == taken


@pytest.mark.parametrize(("batch", "as_batch"), [(0, 1), (1, 1), (2, 8), (16, 8), (17, 64)])
def test_batches_share_buckets(native, batch, as_batch):
    problem = _choice.Problem(
        (batch, 3, 20, 20),
        (4, 3, 3, 3),
        _choice.Window(1, 1, 0, 0, 2, 2, 2, 2, 0, 0),
        (1, 1),
        1,
        torch.float32,
        "cpu",
        True,
    )
    assert f" n{as_batch} c4 " in _choice.bucket(problem)
