"""What the classifier head in one call is worth: whole training steps with it and without, in turn.

    python -m benchmarks.bench_head --threads 2 --rounds 60

A step is zero_grad, forward, cross entropy, backward and torch's fused SGD; both candidates have
the native convolution blocks. Answers are compared before anything is timed. Prints a row a
candidate: lowest and median microseconds an image, the ratio of the turns to PyTorch's head
(median, quartiles), and page faults a step once it runs steadily.
"""

from __future__ import annotations

import argparse
import resource
import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

import cnnzoo
from benchmarks import timing

LEARNING_RATE = 1e-4  # small: the thousandth step on the same batch should still be like the first


def step_of(model: str, head: str, images: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    """Build a model with this head, always with the same weights, and return its training step."""
    torch.manual_seed(0)
    network = cnnzoo.build(model, conv_relu_maxpool="native", classifier_head=head)
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE, momentum=0.9, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def faults(step: Callable[[], Tensor], steps: int = 50) -> float:
    """Page faults a step."""
    for _ in range(10):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / steps


def main() -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mnist_cnn", choices=("mnist_cnn", "lenet5"))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--turn", type=float, default=0.05, help="seconds")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(1)
    images = torch.rand(given.batch, 1, 28, 28)
    labels = torch.randint(10, (given.batch,))
    steps = {head: step_of(given.model, head, images, labels) for head in ("reference", "native")}
    losses = {head: torch.stack([step() for _ in range(5)]) for head, step in steps.items()}
    torch.testing.assert_close(losses["native"], losses["reference"], rtol=1e-4, atol=1e-5)

    candidates = {head: timing.Candidate(step) for head, step in steps.items()}
    turns = timing.alternate(candidates, given.rounds, given.turn)
    print(f"{given.model}, batch {given.batch}, {given.threads} threads, {cnnzoo.ops.status().isa}")
    for head, seconds in turns.items():
        image = [1e6 * each / given.batch for each in seconds]
        spread = timing.ratio(seconds, turns["reference"])
        print(
            f"{head:9}  lowest {min(image):6.2f}  median {statistics.median(image):6.2f} µs/image"
            f"  ratio {spread.median:.3f} ({spread.low:.3f}-{spread.high:.3f})"
            f"  {faults(steps[head]):.1f} page faults a step"
        )


if __name__ == "__main__":
    main()
