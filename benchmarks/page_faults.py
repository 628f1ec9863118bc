"""Page faults a step in a steady loop: a fresh page costs most of a microsecond.

    python -m benchmarks.page_faults [--threads 2] [--default-malloc]

Steps are those of `benchmarks.networks`. Each is counted in a process of its own, forked from this
one before anything was computed, as malloc remembers the large buffers of whoever came before; its
answers are judged after the count, for the same reason. The count is the kernel's, of the whole
process, over steps after a warm-up; the smallest of several counts is what a step cannot do
without. Without --default-malloc the process starts itself again with the benchmarks' malloc
settings, which keep freed pages.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import environment

TRAINED = ("native", "channels_last", "bf16 native", "bf16 channels_last")
ASKED = ("frozen", "bf16 frozen", *TRAINED)
ROOT = Path(__file__).parents[1]


def count(step: Callable[[], Any], steps: int = 20, warm_up: int = 10, times: int = 5) -> float:
    """Return page faults a step: the smallest mean of ``times`` runs of ``steps``.

    Raises:
        CnnzooError: this system does not count them.
    """
    try:
        import resource
    except ImportError:  # Windows
        from cnnzoo.errors import CnnzooError

        raise CnnzooError("Page faults are counted where Python has the module resource.") from None
    for _ in range(warm_up):
        step()
    found = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(steps):
            step()
        found.append((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / steps)
    return min(found)


def measure(threads: int, batches: tuple[int, ...] = (128, 1)) -> list[dict[str, Any]]:
    """Count for everyone: a training step of the first batch, inference of each."""
    from benchmarks import networks  # imported once, for all that are forked

    tasks = [(name, networks.TRAINING, batches[0], threads) for name in TRAINED]
    tasks += [(name, networks.INFERENCE, batch, threads) for batch in batches for name in ASKED]
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        return pool.starmap(_one, tasks, chunksize=1)


def _one(name: str, mode: str, batch: int, threads: int) -> dict[str, Any]:
    import torch

    from benchmarks import networks
    from benchmarks.answers import WrongAnswerError
    from benchmarks.workloads import Network
    from cnnzoo.errors import CnnzooError

    torch.set_num_threads(threads)
    network = Network("mnist_cnn", batch)
    row: dict[str, Any] = {"mode": mode, "batch": batch, "who": name}
    try:
        step = networks.candidate(name, networks.unjudged(network), mode, threads).run
        row["faults"] = count(step, steps=20 if batch > 1 else 200)
        del step
        networks.candidate(name, networks.judged(network), mode, threads)
    except (CnnzooError, WrongAnswerError) as error:
        row = {**row, "missing": str(error)}
        row.pop("faults", None)
    return row


def in_own_process(threads: int, malloc: str) -> list[dict[str, Any]]:
    """`measure` in a process of its own, with the "tuned" malloc or the "default" one."""
    command = [sys.executable, "-m", "benchmarks.page_faults", "--json", "--threads", str(threads)]
    variables = dict(os.environ)
    if malloc == "default":
        command.append("--default-malloc")
        variables = environment.with_default_malloc()
    done = subprocess.run(
        command, env=variables, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def show(rows: list[dict[str, Any]], malloc: str) -> None:
    """Print the counts, or why there is none."""
    print(f"\nPage faults a step, mnist_cnn, {malloc} malloc")
    for row in rows:
        what = f"{row['mode']}, batch {row['batch']}"
        found = f"{row['faults']:10.2f}" if "faults" in row else f"    {row['missing']}"
        print(f"{what:26}{row['who']:22}{found}")


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--default-malloc", action="store_true", help="as everyone starts Python")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    if not options.default_malloc:
        environment.start_again(environment.wanted(threads=options.threads))
    rows = measure(options.threads)
    if options.json:
        print(json.dumps(rows))
    else:
        show(rows, "default" if options.default_malloc else "tuned")


if __name__ == "__main__":
    main()
