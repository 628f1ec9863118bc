"""Small data sets in the real file formats, so that no test needs a network."""

import hashlib
import pickle
import struct

import numpy as np
from PIL import Image


def write_idx(path, array):
    """Write an IDX file of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def write_mnist(root, kind="MNIST", n_train=40, n_test=20):
    """Write the four files of the MNIST family; return their folder."""
    random = np.random.default_rng(0)
    raw = root / kind / "raw"
    for prefix, n in (("train", n_train), ("t10k", n_test)):
        images = random.integers(0, 256, (n, 28, 28))
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.arange(n) % 10)
    return raw


def write_cifar10(root, monkeypatch):
    """Write CIFAR-10's pickles with four images each and put their MD5 into torchvision's table."""
    from torchvision.datasets import CIFAR10

    random = np.random.default_rng(0)
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch():
        return {"data": random.integers(0, 256, (4, 3072), dtype=np.uint8), "labels": [0, 3, 9, 1]}

    names = [f"data_batch_{i}" for i in range(1, 6)]
    monkeypatch.setattr(CIFAR10, "train_list", [[name, write(name, batch())] for name in names])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", write("test_batch", batch())]])
    md5 = write("batches.meta", {"label_names": [f"thing{i}" for i in range(10)]})
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5})
    return folder


def write_pictures(root, classes=("cat", "dog"), n=5):
    """Write plain PNG pictures, each of a grey of its own."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            Image.new("L", (8, 8), 100 * label + i).save(root / name / f"{i}.png")
    return root
