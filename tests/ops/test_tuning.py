"""Measuring on request, and the file that records it."""

import json
import os

import pytest
import torch
from click.testing import CliRunner

from cnnzoo.cli import main
from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _choice, _tables, explain, tuning

LAYER = tuning.Layer((2, 3, 12, 12), (4, 3, 3, 3), {"padding": 1, "pool_size": 2})


@pytest.fixture(autouse=True)
def _no_shipped_table(monkeypatch):
    monkeypatch.setattr(_choice, "table", lambda name: {"another bucket": "native"})


def measurement(bucket, native, reference, dtype="float32"):
    return tuning.Measurement(bucket, native_us=native, reference_us=reference, dtype=dtype)


@pytest.mark.parametrize(
    ("native", "reference", "choice"),
    [(10, 20, "native"), (20, 10, "reference"), (10.1, 10, "native"), (10.5, 10, "reference")],
)
def test_the_reference_has_to_win_clearly(native, reference, choice):
    assert measurement("b", native, reference).choice == choice


@pytest.mark.parametrize("training", [False, True])
def test_measures_both_for_the_bucket_the_choice_looks_up(native, training):
    found = tuning.measure(LAYER, training=training, rounds=1, turn=1e-4)
    assert found.native_us > 0 < found.reference_us
    x = torch.zeros(LAYER.x, requires_grad=training)
    said = explain(x, torch.zeros(LAYER.weight), **LAYER.options)
    assert said.implementation == "native"
    window = _choice.Window(1, 1, 1, 1, 2, 2, 2, 2, 0, 0)
    problem = _choice.Problem(
        LAYER.x, LAYER.weight, window, (1, 1), 1, torch.float32, "cpu", training
    )
    assert found.bucket == _choice.bucket(problem)


def test_a_recorded_choice_is_taken_where_the_environment_names_it(native, environment, tmp_path):
    found = tuning.measure(LAYER, training=False, rounds=1, turn=1e-4)
    path = tmp_path / "choices.json"
    tuning.write_table(path, [measurement(found.bucket, 20, 10)])
    arguments = (torch.zeros(LAYER.x), torch.zeros(LAYER.weight))
    assert explain(*arguments, **LAYER.options).implementation == "native"
    environment(CNNZOO_CHOICES=str(path))
    said = explain(*arguments, **LAYER.options)
    assert said.implementation == "reference"
    assert found.bucket in said.reason
    trained = explain(torch.zeros(LAYER.x, requires_grad=True), arguments[1], **LAYER.options)
    assert trained.implementation == "native", "training is another bucket"


def test_a_table_is_of_one_dtype(native, environment, monkeypatch, tmp_path):
    found = tuning.measure(LAYER, training=False, dtype=torch.bfloat16, rounds=1, turn=1e-4)
    assert found.dtype == "bfloat16"
    paths = {dtype: tmp_path / f"{dtype}.json" for dtype in ("float32", "bfloat16")}
    for dtype, path in paths.items():
        tuning.write_table(path, [measurement(found.bucket, 20, 10, dtype)])
        table = json.loads(path.read_text())
        assert (table["isa"], table["dtype"]) == (native.kernels_for(dtype), dtype)
    with pytest.raises(CnnzooError, match=r"is a table for .* in float32, this is .* in bfloat16"):
        tuning.write_table(paths["float32"], [found])
    with pytest.raises(CnnzooError, match="one dtype, got bfloat16, float32"):
        tuning.write_table(tmp_path / "both", [found, measurement("b", 1, 2)])

    def taken(dtype):
        arguments = (torch.zeros(LAYER.x, dtype=dtype), torch.zeros(LAYER.weight, dtype=dtype))
        return explain(*arguments, **LAYER.options).implementation

    environment(CNNZOO_CHOICES=str(paths["bfloat16"]))
    assert (taken(torch.float32), taken(torch.bfloat16)) == ("native", "reference")
    environment(CNNZOO_CHOICES=os.pathsep.join(map(str, paths.values())))
    assert (taken(torch.float32), taken(torch.bfloat16)) == ("reference", "reference")


def test_measurements_are_added_to_a_table(native, tmp_path):
    path = tmp_path / "choices.json"
    tuning.write_table(path, [measurement("a", 1, 2), measurement("b", 2, 1)])
    tuning.write_table(path, [measurement("b", 1, 2)])
    table = json.loads(path.read_text())
    assert table["choices"] == {"a": "native", "b": "native"}
    assert table["measured_us"] == {"a": [1, 2], "b": [1, 2]}
    assert table["isa"] == native.kernels_for("float32")


def test_a_table_of_another_instruction_set_is_left_alone(native, environment, tmp_path):
    path = tmp_path / "choices.json"
    path.write_text(json.dumps({"isa": "sse9", "choices": {}}))
    with pytest.raises(CnnzooError, match="is a table for sse9"):
        tuning.write_table(path, [])
    bucket = tuning.measure(LAYER, training=False, rounds=1, turn=1e-4).bucket
    path.write_text(json.dumps({"isa": "sse9", "choices": {bucket: "reference"}}))
    environment(CNNZOO_CHOICES=str(path))
    said = explain(torch.zeros(LAYER.x), torch.zeros(LAYER.weight), **LAYER.options)
    assert said.implementation == "native"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"choices": 3}', '{"choices": {"a": "fastest"}}', None]
)
def test_files_that_are_no_table(native, environment, tmp_path, text):
    path = tmp_path / "choices.json"
    if text is not None:
        path.write_text(text)
    environment(CNNZOO_CHOICES=str(path))
    with pytest.raises(CnnzooError, match=r"choices\.json"):
        explain(torch.zeros(LAYER.x), torch.zeros(LAYER.weight), **LAYER.options)


def test_command(native, tmp_path):
    path = tmp_path / "choices.json"
    line = ["tune", "mnist_cnn", "--batch-size", "2", "--out", str(path)]
    shown = CliRunner().invoke(main, line)
    assert shown.exit_code == 0, shown.output
    assert f"CNNZOO_CHOICES={path}" in shown.output
    table = json.loads(path.read_text())["choices"]
    assert sorted(key.split()[0] for key in table) == ["infer", "infer", "train", "train"]


def test_shipped_tables_are_tables():
    for path in _tables.tables():
        table = _tables.read_table(path)
        name = _tables.table_name(table["isa"], table.get("dtype", "float32"))
        assert path.name == f"choices_{name}.json"
        assert table["choices"].keys() == table["measured_us"].keys()
        assert len(table["choices"]) > 100
