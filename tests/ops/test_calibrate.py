"""The tables that are shipped: `benchmarks.calibrate` writes the one that the choice looks for."""

import sys

import pytest
import torch

from benchmarks import calibrate
from cnnzoo.ops import _tables, explain, tuning

LAYER = tuning.Layer((2, 3, 12, 12), (4, 3, 3, 3), {"padding": 1, "pool_size": 2})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_file_is_the_one_that_is_looked_for(native, environment, monkeypatch, tmp_path, dtype):
    monkeypatch.setattr(calibrate.environment, "start_again", lambda variables: None)
    monkeypatch.setattr(calibrate, "grid", lambda most_flops: [LAYER])
    monkeypatch.setattr(tuning.Measurement, "choice", "reference")
    threads = str(torch.get_num_threads())
    line = ["calibrate", "--dtype", dtype, "--threads", threads, "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", [*line, "--out", str(tmp_path)])
    assert calibrate.main() == 0

    monkeypatch.setattr(_tables, "__file__", str(tmp_path / "_tables.py"))
    _tables.table.cache_clear()
    environment()
    try:
        for each in ("float32", "bfloat16"):
            arguments = (
                torch.zeros(s, dtype=getattr(torch, each)) for s in (LAYER.x, LAYER.weight)
            )
            said = explain(*arguments, **LAYER.options)
            measured = said.reason.startswith("Measured as faster for infer")
            assert measured == (each == dtype), said
    finally:
        _tables.table.cache_clear()


def test_the_grid_is_limited_by_its_work():
    assert len(list(calibrate.grid(1e7))) < len(list(calibrate.grid(2e9)))
    largest = max(calibrate.grid(1e7), key=lambda layer: torch.Size(layer.x).numel())
    assert torch.Size(largest.x).numel() < 1e6
