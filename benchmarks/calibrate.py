"""Make the tables that `implementation="auto"` chooses by: ``make calibrate``.

    python -m benchmarks.calibrate [--threads 2] [--isa avx2] [--out FOLDER]

Both implementations of a grid of layers are timed in turns, for inference and for training, and
the faster one of each bucket goes into ``cnnzoo/ops/choices_<isa>.json``. The grid: every layer of
`workloads`, and channels × sizes × batches around them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import environment

TABLES = Path(__file__).parents[1] / "cnnzoo" / "ops"
MOST_FLOPS = 2e9  # of a forward pass: about 20 ms
CHANNELS = (
    (1, 32),
    (3, 32),
    (3, 64),
    (16, 32),
    (32, 32),
    (64, 64),
    (128, 128),
    (256, 256),
    (512, 512),
)
SIZES = (7, 14, 28, 56, 112)
BATCHES = (1, 8, 64)
FILTERS = ((3, 1), (5, 2))  # size, padding
POOLS = ((2, 2), (3, 2))  # size, stride


def main() -> int:
    """Parse, start again with the malloc settings, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--isa", help="avx512, avx2 or scalar [default: the best here]")
    parser.add_argument("--out", type=Path, default=TABLES, help="folder of the table")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    environment.start_again(environment.wanted(options.isa, options.threads))

    import torch

    from cnnzoo import ops
    from cnnzoo.ops import tuning

    torch.set_num_threads(options.threads)
    path = options.out / f"choices_{ops.status().isa}.json"
    path.unlink(missing_ok=True)
    found: dict[str, tuning.Measurement] = {}
    for layer in grid():
        for training in (False, True):
            each = tuning.measure(layer, training=training, rounds=options.rounds, turn=0.01)
            old = found.get(each.bucket)
            # Of two layers in a bucket the one that speaks more for the reference is believed:
            # declining a gain costs less than a slow surprise.
            if old is None or each.gain < old.gain:
                found[each.bucket] = each
                print(f"{each.gain:6.2f}x  {each.bucket}", file=sys.stderr, flush=True)
    tuning.write_table(path, found.values())
    lost = [each for each in found.values() if each.choice == "reference"]
    print(f"{path}: {len(found)} buckets, in {len(lost)} the reference is faster")
    return 0


def grid() -> Iterator:
    """Yield the layers to measure, as `cnnzoo.ops.tuning.Layer`."""
    from benchmarks.workloads import LAYERS
    from cnnzoo.ops.tuning import Layer

    for each in LAYERS:
        yield Layer(each.x_shape, each.weight_shape, each.sizes, not each.opens)
    for channels, filters in CHANNELS:
        for size in SIZES:
            for batch in BATCHES:
                for kernel, padding in FILTERS:
                    flops = 2 * batch * channels * filters * (kernel * size) ** 2
                    if flops > MOST_FLOPS:
                        continue
                    for pool, stride in POOLS:
                        sizes = {"padding": padding, "pool_size": pool, "pool_stride": stride}
                        x, weight = (
                            (batch, channels, size, size),
                            (filters, channels, kernel, kernel),
                        )
                        yield Layer(x, weight, sizes, needs_input_gradient=channels > 3)


if __name__ == "__main__":
    sys.exit(main())
