"""How long one image takes through a network, and how many go through at a time: `cnnzoo.freeze`.

    python -m benchmarks.bench_latency                    mnist_cnn, one thread and two
    python -m benchmarks.bench_latency --quick            few rounds, nobody who compiles

Answers are asserted first, against float64. Then the candidates take turns, called from Python as a
program would call them: ready-made input, output that a program can read. A call of one image is
timed by itself, so its 99th percentile can be told; throughput is that of a batch of 128. Peers get
the same malloc, as many threads, and what makes them fastest: bound buffers for the engines,
channels_last for eager, everything constant for the compilers.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import environment

OURS = "frozen"


def candidates(
    model: Any, images: Any, threads: int, quick: bool
) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """Return name → one call that returns logits, and why others are not there."""
    import torch

    import cnnzoo
    from benchmarks import peers
    from cnnzoo.errors import CnnzooError

    plain = cnnzoo.build(model.spec["model"], conv_relu_maxpool="eager").eval()
    plain.load_state_dict(model.state_dict())
    last = images.to(memory_format=torch.channels_last)
    plain_last = cnnzoo.build(model.spec["model"], conv_relu_maxpool="eager").eval()
    plain_last.load_state_dict(model.state_dict())
    plain_last = plain_last.to(memory_format=torch.channels_last)
    frozen = cnnzoo.freeze(model, images)
    assert frozen.freeze_report.whole, frozen.freeze_report
    ready: dict[str, Callable[[], Any]] = {
        OURS: lambda: frozen(images),
        "cnnzoo, not frozen": lambda: model(images),
        "eager": lambda: plain(images),
        "eager channels_last": lambda: plain_last(last),
    }
    missing: dict[str, str] = {}
    makers: dict[str, Callable[[], Callable[[], Any]]] = {}
    if quick:
        missing["torch.compile, AOTInductor"] = "--quick leaves out who compiles."
    else:

        def compiled() -> Callable[[], Any]:
            torch._dynamo.reset()
            run = torch.compile(plain_last, dynamic=False, fullgraph=True)
            return lambda: run(last)

        makers["torch.compile"] = compiled
        makers["AOTInductor"] = lambda: _ahead_of_time(plain_last, last)
    for name in ("onnxruntime", "openvino"):

        def engine(name: str = name) -> Callable[[], Any]:
            call = peers.PEERS[name](plain, images, threads)
            return lambda: call()[0]

        makers[name] = engine
    for name, make in makers.items():
        try:
            ready[name] = make()
        except (CnnzooError, RuntimeError) as error:
            missing[name] = str(error).strip().partition("\n")[0]
    return ready, missing


def _ahead_of_time(model: Any, images: Any) -> Callable[[], Any]:
    import torch

    folder = tempfile.mkdtemp()
    program = torch.export.export(model, (images,))
    path = str(Path(folder) / "model.pt2")
    torch._inductor.aoti_compile_and_package(program, package_path=path)
    run = torch._inductor.aoti_load_package(path)
    return lambda: run(images)


def measure(
    name: str, batch: int, threads: int, rounds: int, turn: float, quick: bool
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
    samples: dict[str, list[float]] = {}
    turns: dict[str, list[float]] = {}
    with torch.no_grad():
        expected = (right(images.double()),)
        ready, missing = candidates(model, images, threads, quick)
        for each, call in ready.items():
            answers.check(each, (call(),), expected, (answers.NETWORK,))
        contenders = {each: timing.Candidate(call) for each, call in ready.items()}
        counts = {each: timing._calls(one, turn, 0.1) for each, one in contenders.items()}
        for _ in range(rounds):
            for each, one in contenders.items():
                timing.wait_until_quiet()
                seconds = one.measure(counts[each])
                samples.setdefault(each, []).extend(seconds)
                turns.setdefault(each, []).append(statistics.median(seconds))
    rows = {}
    for each, seconds in samples.items():
        spread = timing.ratio(turns[each], turns[OURS])
        rows[each] = {
            "median_us": statistics.median(seconds) * 1e6,
            "p99_us": statistics.quantiles(seconds, n=100)[98] * 1e6,
            "calls": len(seconds),
            "us_an_image": statistics.median(seconds) * 1e6 / batch,
            "times_as_long": [spread.median, spread.low, spread.high],
        }
    return {"model": name, "batch": batch, "threads": threads, "rows": rows, "missing": missing}


def show(case: dict[str, Any]) -> None:
    """Print a case as a table."""
    print(f"\n{case['model']}, batch {case['batch']}, {case['threads']} threads")
    print(f"{'':22}{'median us':>11}{'p99 us':>10}{'us/image':>10}{'times as long':>22}")
    for name, row in sorted(case["rows"].items(), key=lambda item: item[1]["median_us"]):
        median, low, high = row["times_as_long"]
        print(
            f"{name:22}{row['median_us']:11.1f}{row['p99_us']:10.1f}{row['us_an_image']:10.2f}"
            f"{median:10.2f} ({low:.2f}-{high:.2f})"
        )
    for name, why in case["missing"].items():
        print(f"{name}: {why}")


def main() -> None:
    """Measure, print, and write a file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mnist_cnn")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 128])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="5 rounds, nobody who compiles")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    environment.start_again(environment.wanted(threads=max(options.threads)))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    import torch

    rounds, turn = (5, 0.1) if options.quick else (options.rounds, 0.3)
    cases = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        for batch in options.batch:
            cases.append(measure(options.model, batch, threads, rounds, turn, options.quick))
            show(cases[-1])
    if options.json:
        machine = environment.describe(max(options.threads))
        options.json.write_text(json.dumps({"environment": machine, "cases": cases}, indent=1))


if __name__ == "__main__":
    main()
