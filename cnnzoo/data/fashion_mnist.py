"""Fashion-MNIST: 70,000 pictures of clothes in MNIST's shape, and harder than digits.

Source: https://github.com/zalandoresearch/fashion-mnist, read through torchvision. Licence: MIT.
Citation: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms", arXiv:1708.07747, 2017.
"""

from __future__ import annotations

import os

from cnnzoo.data._base import DataSplits
from cnnzoo.data._idx import load_idx
from cnnzoo.registry import register_dataset


@register_dataset("fashion_mnist", aliases=("fashion-mnist", "fashionmnist"))
def fashion_mnist(root: str | os.PathLike[str] | None = None) -> DataSplits:
    """Pictures of clothes, 60,000 + 10,000 grey 28x28.

    Args:
        root: folder with ``FashionMNIST/raw/train-images-idx3-ubyte`` and its three companions,
            packed (.gz) or not; they are downloaded where they are missing. Default:
            ``$CNNZOO_DATA``, else ``~/.cache/cnnzoo``.

    Returns:
        Train and test set, classes ``"T-shirt/top"`` to ``"Ankle boot"``.

    Raises:
        CnnzooError: no files and no network, or a file that is damaged.
    """
    from torchvision.datasets import FashionMNIST

    address = "https://github.com/zalandoresearch/fashion-mnist"
    return load_idx("fashion_mnist", FashionMNIST, root, list(FashionMNIST.classes), address)
