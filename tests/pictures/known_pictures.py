"""Pictures of which it is known what is in them, and short ways to look at them."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from cnnzoo.data import Preprocessing
from cnnzoo.pictures import fit, look, prepare, read_picture

# MNIST's and CIFAR-10's statistics
GREY = Preprocessing(1, 28, 28, (0.1307,), (0.3081,))
COLOUR = Preprocessing(3, 32, 32, (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))


def names(image, preprocessing=GREY) -> set[str]:
    return {warning.name for warning in look(read_picture(image), preprocessing)}


def fixed(image, preprocessing=GREY) -> np.ndarray:
    return prepare(read_picture(image), preprocessing, autofix=True).image.numpy()


def fitted(image, side: int, channels: int) -> np.ndarray:
    return fit(read_picture(image).pixels, (side, side), channels)


def bar(side: int = 280) -> np.ndarray:
    """A light "1" as MNIST would draw it: 20 of 28 high, its middle on pixel (14, 14)."""
    page, s = np.zeros((side, side), np.uint8), side // 28
    page[4 * s : 25 * s, 13 * s : 16 * s] = 255
    return page


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """Return a file that announces width x height pixels, whatever its body holds."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
