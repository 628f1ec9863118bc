"""The page of measurements: bfloat16, latency and page faults become tables."""

import json

import pytest
from zoodocs import results

MACHINE = {"cpu": "A processor", "threads": 2, "cores": 2, "isa": "amx", "versions": {"torch": "2"}}
SPREAD = {"median": 4.0, "low": 3.0, "high": 5.0}


@pytest.fixture
def page_of(tmp_path, monkeypatch):
    """What makes the page's section of some content."""
    monkeypatch.setattr(results, "PICTURES", tmp_path)

    def make(content):
        file = tmp_path / "some-machine.json"
        file.write_text(json.dumps({"machine": MACHINE, **content}))
        return "\n".join(results.page_of(file))

    return make


def test_bfloat16_is_compared_the_fastest_first(page_of):
    turns = {"bf16 native": [0.001] * 3, "native": [0.003] * 3, "bf16 eager": [0.002] * 3}
    kernel = {"amx": [0.004] * 3, "peak amx": [0.001] * 3}
    case = {"section": "bf16", "workload": "mnist_cnn", "mode": "training step", "images": 100}
    page = page_of(
        {
            "version": 1,
            "settings": {"rounds": 3},
            "skipped": {},
            "cases": [
                case | {"turns": turns},
                case | {"section": "bf16 kernels", "mode": "dW", "turns": kernel},
            ],
        }
    )
    rows = [
        "* - ``mnist_cnn``, training step\n     - bf16 native\n     - 10.00\n     - 1.00",
        "* -\n     - bf16 eager\n     - 20.00\n     - 2.00",
        "* -\n     - native, float32\n     - 30.00\n     - 3.00",
    ]
    assert [page.index(row) for row in rows] == sorted(page.index(row) for row in rows)
    assert "- amx\n     - 40.00\n     - 0.25" in page
    assert ".. image:: /_build/pictures/some-machine.png" in page


def test_latency_and_page_faults(page_of):
    row = {"median_us": 6.26, "p99_us": 9.5, "us_an_image": 6.26, "times_as_long": [1, 1, 1]}
    case = {"model": "mnist_cnn", "dtype": "bfloat16", "batch": 1, "threads": 1}
    slow = row | {"median_us": 40.0, "times_as_long": [6.4, 6, 7]}
    count = {"mode": "inference", "batch": 128, "who": "channels_last"}
    page = page_of(
        {
            "latency": [
                case | {"rows": {"openvino": slow, "frozen": row}, "missing": {"x_y": "Not here."}}
            ],
            "page_faults": {
                "tuned": [count | {"faults": 0.0}],
                "default": [count | {"faults": 4259.5}, count | {"who": "frozen", "missing": "No"}],
            },
            "targets": [{"what": "one image: ≤ 8 µs", "measured": SPREAD, "met": True}],
        }
    )
    assert "mnist\\_cnn, bfloat16, batch 1, 1 thread\n" in page
    assert page.index("- 6.3\n     - 9.5\n     - 6.26") < page.index("- 40.0\n")
    assert "6.40 (6.00\u2060–\u20607.00)" in page
    assert "x\\_y: Not here." in page
    assert "channels\\_last\n     - 0\n     - 4,260" in page
    assert "frozen\n     - –\n     - –" in page
    assert "4.00 (3.00\u2060–\u20605.00)\n     - met" in page


def test_training_in_bfloat16_and_labels(page_of):
    runs = [{"seed": seed, "seconds": 1.0 + seed, "accuracy": 0.99} for seed in (0, 1)]
    timed = [run | {"seconds_with_evaluation": run["seconds"] + 0.5} for run in runs]
    row = {"what": "pt2", "dtype": "bfloat16", "accuracy": 0.9957, "other_labels": 2,
           "other_labels_than_float32": 3, "largest_difference": 0.03,
           "largest_difference_to_float32": 0.05, "largest_logit": 8}  # fmt: skip
    how = {"model": "mnist_cnn", "recipe": "fast", "data": "mnist"}
    page = page_of(
        {
            "bf16": how | {
                "epochs": 3, "precisions": {"float32": runs, "bfloat16": runs},
                "difference": -0.02, "standard_error": 0.03, "target": 0.1,
            },
            "fast-bf16": how | {"precision": "bfloat16", "runs": timed, "reached": 2, "target": 2},
            "labels": {
                "model": "mnist_cnn", "images": 10000,
                "rows": [row, {"what": "onnx", "dtype": "bfloat16", "missing": "Not *here*."}],
            },
        }
    )  # fmt: skip
    assert "- bfloat16\n     - ``fast``, 3 epochs\n     - 2\n     - 1.5\n     - 99.000 %" in page
    assert "-0.020 points of 100 apart on average (standard error 0.030; target: 0.1)" in page
    assert "2 of 2 seeds reach 99 % on the test images, after 1.50 s" in page
    assert "``fast``, bfloat16" in page
    assert "2.0 ± 0.7" in page, "beside other recipes with evaluation"
    assert "10,000 test images" in page
    assert "99.57 %\n     - 2\n     - 3.0e-02\n     - 3\n     - 5.0e-02" in page
    assert "Not \\*here\\*." in page
