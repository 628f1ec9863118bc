"""How long one image takes through a network, and how many go through at a time: `cnnzoo.freeze`.

    python -m benchmarks.bench_latency           mnist_cnn, both dtypes, one thread and two
    python -m benchmarks.bench_latency --quick   few rounds, nobody who compiles, no page faults

Answers are asserted first, against float64. Then the candidates take turns, called from Python as a
program would call them: ready-made input in the model's dtype, output that a program can read. A
call of one image is timed by itself, so its 99th percentile can be told; throughput is that of a
batch of 128. Peers get the same malloc, as many threads, and what makes them fastest: bound buffers
for the engines, channels_last for eager, everything constant for the compilers. Beside bfloat16
stand those who have float32 only. Page faults are counted in processes of their own.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.latency_ways import BFLOAT16, FLOAT32, NOT_FROZEN, OURS, candidates

RESULTS = Path(__file__).parent / "results" / "latency.json"
# dtype → microseconds of one image, and how many times the best peer takes.
GOALS = {FLOAT32: (17.0, 1.6), BFLOAT16: (8.0, 2.5)}


def measure(
    name: str, batch: int, threads: int, rounds: int, turn: float, quick: bool, dtype: str
) -> dict[str, Any]:
    """Judge everyone, then let them take turns."""
    import torch

    import cnnzoo
    from benchmarks import answers, timing

    torch.manual_seed(0)
    model = cnnzoo.build(name).eval()
    images = torch.rand(batch, model.in_channels, *model.image_size)
    right = cnnzoo.build(name, conv_relu_maxpool="eager").eval().double()
    right.load_state_dict(model.state_dict())
    limit = answers.BFLOAT16_OUTPUT if dtype == BFLOAT16 else answers.NETWORK
    samples: dict[str, list[float]] = {}
    turns: dict[str, list[float]] = {}
    with torch.no_grad():
        expected = (right(images.double()),)
        ready, missing = candidates(model, images, threads, quick, dtype)
        for each, call in list(ready.items()):
            try:
                answers.check(each, (call(),), expected, (limit,))
            except answers.WrongAnswerError as error:
                missing[each] = str(error)
                del ready[each]
        contenders = {each: timing.Candidate(call) for each, call in ready.items()}
        counts = {each: timing._calls(one, turn, 0.1) for each, one in contenders.items()}
        for _ in range(rounds):
            for each, one in contenders.items():
                timing.wait_until_quiet()
                seconds = one.measure(counts[each])
                samples.setdefault(each, []).extend(seconds)
                turns.setdefault(each, []).append(statistics.median(seconds))
    rows = {
        each: figures(seconds, turns[each], turns[OURS], batch) for each, seconds in samples.items()
    }
    return {"model": name, "dtype": dtype, "batch": batch, "threads": threads, "rows": rows,
            "missing": missing}  # fmt: skip


def figures(
    seconds: list[float], turns: list[float], ours: list[float], batch: int
) -> dict[str, Any]:
    """What is told of a candidate: ``seconds`` of each call, ``turns`` medians round by round."""
    from benchmarks import timing

    spread = timing.ratio(turns, ours)
    return {
        "median_us": statistics.median(seconds) * 1e6,
        "p99_us": statistics.quantiles(seconds, n=100)[98] * 1e6,
        "calls": len(seconds),
        "us_an_image": statistics.median(seconds) * 1e6 / batch,
        "times_as_long": [spread.median, spread.low, spread.high],
    }


def verdicts(case: dict[str, Any]) -> list[Any]:
    """The targets of one image beside what was found; none for other cases."""
    from benchmarks.timing import Spread
    from benchmarks.verdicts import Verdict

    rows, dtype = case["rows"], case["dtype"]
    if case["batch"] != 1 or OURS not in rows:
        return []
    micro, times = GOALS[dtype]
    threads = f"{case['threads']} thread" + "s" * (case["threads"] > 1)
    what = f"one image, {dtype}, {threads}"
    peers = [name for name in rows if not name.startswith((OURS, NOT_FROZEN))]
    best = min(peers, key=lambda name: rows[name]["median_us"])
    found = Spread.of([rows[OURS]["median_us"]])
    return [
        Verdict(f"{what}: ≤ {micro:g} µs", micro, found, at_most=True, note="median"),
        Verdict(
            f"{what}: ≥ {times:g}× the best peer",
            times,
            Spread(*rows[best]["times_as_long"]),
            note=f"against {best}",
        ),
    ]


def show(case: dict[str, Any]) -> None:
    """Print a case as a table, and its targets."""
    print(f"\n{case['model']}, {case['dtype']}, batch {case['batch']}, {case['threads']} threads")
    print(f"{'':22}{'median us':>11}{'p99 us':>10}{'us/image':>10}{'times as long':>22}")
    for name, row in sorted(case["rows"].items(), key=lambda item: item[1]["median_us"]):
        median, low, high = row["times_as_long"]
        print(
            f"{name:22}{row['median_us']:11.1f}{row['p99_us']:10.1f}{row['us_an_image']:10.2f}"
            f"{median:10.2f} ({low:.2f}-{high:.2f})"
        )
    for name, why in case["missing"].items():
        print(f"{name}: {why}")
    for one in verdicts(case):
        words = "met" if one.met else "missed"
        print(f"{one.what}: {one.measured.median:.2f}, {words} ({one.note})")


def main() -> None:
    """Measure, print, and keep it as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="mnist_cnn")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 128])
    parser.add_argument("--dtype", nargs="+", choices=GOALS, default=list(GOALS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="5 rounds, nobody who compiles")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file to write")
    options = parser.parse_args()
    environment.start_again(environment.wanted(threads=max(options.threads)))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    import torch

    from benchmarks import page_faults

    rounds, turn = (5, 0.1) if options.quick else (options.rounds, 0.3)
    found: dict[str, Any] = {
        "machine": environment.describe(max(options.threads)),
        "settings": {"rounds": rounds, "turn_seconds": turn, "quick": options.quick},
        "latency": [],
        "targets": [],
    }
    for threads in options.threads:
        torch.set_num_threads(threads)
        for dtype in options.dtype:
            for batch in options.batch:
                case = measure(options.model, batch, threads, rounds, turn, options.quick, dtype)
                show(case)
                found["latency"].append(case)
                found["targets"] += [verdict.as_dict() for verdict in verdicts(case)]
    if not options.quick:
        found["page_faults"] = {}
        for malloc in ("tuned", "default"):
            rows = page_faults.in_own_process(max(options.threads), malloc)
            page_faults.show(rows, malloc)
            found["page_faults"][malloc] = rows
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
