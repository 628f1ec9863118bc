"""Random generators that depend on named numbers alone, such as (seed, epoch)."""

from __future__ import annotations

import hashlib

import torch


def private_generator(*key: int) -> torch.Generator:
    """Return a generator of its own for these whole numbers; the global one is left alone.

    The seed is the first eight bytes, little-endian, of the SHA-256 of the numbers in decimal,
    joined by commas. A hash, because torch keeps only the low 32 bits of a seed, and because sums
    such as seed + epoch repeat an order under the next seed.
    """
    digest = hashlib.sha256(",".join(str(int(number)) for number in key).encode()).digest()
    generator = torch.Generator()
    generator.manual_seed(int.from_bytes(digest[:8], "little"))
    return generator
