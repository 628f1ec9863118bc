"""A process with the malloc everyone has, which times eager PyTorch in turn with the others.

The settings of malloc hold for a process, so "eager as everyone writes it" needs one of its own.
It takes its turns when asked, one JSON line each way:

    {"task": "layer" or "network", "workload": {…}, "mode": …}   → {"ready": true}
    {"calls": 5}                                                  → {"seconds": [five of them]}
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.workloads import Layer, Network


class DefaultMalloc:
    """The process, seen from the one that compares; a `timing.Contender`. Starts when needed."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.process: subprocess.Popen[str] | None = None

    def prepare(self, workload: Layer | Network, mode: str) -> DefaultMalloc:
        """Have it build this workload; its answers are those of the same code over here."""
        task = "layer" if isinstance(workload, Layer) else "network"
        self._ask({"task": task, "workload": dataclasses.asdict(workload), "mode": mode})
        return self

    def measure(self, calls: int) -> list[float]:
        return self._ask({"calls": calls})["seconds"]

    def close(self) -> None:
        """End it."""
        if self.process is None:
            return
        self.process.stdin.close()
        self.process.wait(timeout=30)

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.default_malloc", str(self.threads)],
                env=environment.with_default_malloc(),
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("The process with the default malloc has ended; see its message.")
        return json.loads(answer)


def serve(threads: int) -> None:
    """Answer until the questions end."""
    import torch

    from benchmarks import blocks, networks, timing
    from benchmarks.answers import unjudged

    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    torch.set_num_threads(threads)
    candidate = None
    for line in sys.stdin:
        question = json.loads(line)
        if "calls" in question:
            answer: dict[str, Any] = {"seconds": candidate.measure(question["calls"])}
            timing.wait_until_quiet()  # its threads must not spin into the next one's turn
        else:
            mode = question["mode"]
            if question["task"] == "layer":
                layer = Layer(**question["workload"])
                candidate = blocks.candidate(blocks.EAGER, unjudged(layer), mode)
            else:
                network = networks.unjudged(Network(**question["workload"]))
                way = networks.AS_EVERYONE_WRITES_IT
                candidate = timing.Candidate(networks.prepare(way, network, mode))
            answer = {"ready": True}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
