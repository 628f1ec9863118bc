"""Make the tables that `implementation="auto"` chooses by: ``make calibrate``.

    python -m benchmarks.calibrate [--dtype bfloat16] [--threads 2] [--isa avx2] [--out FOLDER]

Both implementations of a grid of layers are timed in turns, for inference and for training, and
the faster one of each bucket goes into ``cnnzoo/ops/choices_<isa>.json``, in bfloat16
``choices_<isa>_bfloat16.json``; the instruction set is that of the kernels for this dtype. The
grid: every layer of `workloads`, and channels × sizes × batches around them. Where PyTorch is ten
times slower throughout (bfloat16 on AVX2), ``--most-flops 1e8 --rounds 1`` keeps it short.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import environment

TABLES = Path(__file__).parents[1] / "cnnzoo" / "ops"
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
# What oneDNN would use on a machine without the newer instructions of the one that calibrates.
PEERS_OF_OLDER = {"avx512": "AVX512_CORE", "avx512_bf16": "AVX512_CORE_BF16"}


def main() -> int:
    """Parse, start again with the malloc settings, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--isa", help="avx512, avx2 or scalar [default: the best here]")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--out", type=Path, default=TABLES, help="folder of the table")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--most-flops", type=float, default=2e9, help="of a forward pass: some 20 ms"
    )
    options = parser.parse_args()
    variables = environment.wanted(options.isa, options.threads)
    if options.isa in PEERS_OF_OLDER:
        variables["ONEDNN_MAX_CPU_ISA"] = PEERS_OF_OLDER[options.isa]
    environment.start_again(variables)

    import torch

    from cnnzoo import ops
    from cnnzoo.ops import _tables, tuning

    torch.set_num_threads(options.threads)
    status = ops.status()
    if not status.available:
        print(f"There is nothing to choose from: {status.reason}", file=sys.stderr)
        return 2
    isa = status.kernels[options.dtype]
    path = options.out / f"choices_{_tables.table_name(isa, options.dtype)}.json"
    found: dict[str, tuning.Measurement] = {}
    for layer in grid(options.most_flops):
        for training in (False, True):
            each = tuning.measure(
                layer,
                training=training,
                dtype=getattr(torch, options.dtype),
                rounds=options.rounds,
                turn=0.01,
            )
            old = found.get(each.bucket)
            # Of two layers in a bucket the one that speaks more for the reference is believed:
            # declining a gain costs less than a slow surprise.
            if old is None or each.gain < old.gain:
                found[each.bucket] = each
                print(f"{each.gain:6.2f}x  {each.bucket}", file=sys.stderr, flush=True)
    path.unlink(missing_ok=True)
    tuning.write_table(path, found.values())
    lost = [each for each in found.values() if each.choice == "reference"]
    print(f"{path}: {len(found)} buckets, in {len(lost)} the reference is faster")
    return 0


def grid(most_flops: float) -> Iterator:
    """Yield the layers to measure, as `cnnzoo.ops.tuning.Layer`."""
    from benchmarks.workloads import LAYERS
    from cnnzoo.ops.tuning import Layer

    for each in LAYERS:
        if each.flops <= 2 * most_flops:  # people's own layers have twice the room
            yield Layer(each.x_shape, each.weight_shape, each.sizes, not each.opens)
    for channels, filters in CHANNELS:
        for size in SIZES:
            for batch in BATCHES:
                for kernel, padding in FILTERS:
                    flops = 2 * batch * channels * filters * (kernel * size) ** 2
                    if flops > most_flops:
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
