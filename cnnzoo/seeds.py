"""Random numbers that depend on named numbers alone, such as (seed, epoch)."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def seed_of(*key: int) -> int:
    """Return a seed of 64 bits that stands for these whole numbers.

    It is the first eight bytes, little-endian, of the SHA-256 of the numbers in decimal, joined by
    commas. A hash, because torch keeps only the low 32 bits of a seed, and because sums such as
    seed + epoch repeat an order under the next seed.
    """
    digest = hashlib.sha256(",".join(str(int(number)) for number in key).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def private_generator(*key: int) -> torch.Generator:
    """Return a generator of its own for these whole numbers; the global one is left alone."""
    generator = torch.Generator()
    generator.manual_seed(seed_of(*key))
    return generator


def random_order(n: int, *key: int) -> Tensor:
    """Return the numbers below ``n`` in the order that belongs to ``key``: int64 (n,)."""
    return torch.randperm(n, generator=private_generator(*key))
