"""MNIST: 70,000 handwritten digits, the data of the tutorial.

Source: http://yann.lecun.com/exdb/mnist/, read through torchvision. Licence: CC BY-SA 3.0.
Citation: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to
Document Recognition", Proceedings of the IEEE 86(11), 1998.
"""

from __future__ import annotations

import os

from cnnzoo.data._base import DataSplits
from cnnzoo.data._idx import load_idx
from cnnzoo.registry import register_dataset


@register_dataset("mnist")
def mnist(root: str | os.PathLike[str] | None = None) -> DataSplits:
    """Handwritten digits, 60,000 + 10,000 grey 28x28.

    Args:
        root: folder with ``MNIST/raw/train-images-idx3-ubyte`` and its three companions, packed
            (.gz) or not; they are downloaded where they are missing. Default: ``$CNNZOO_DATA``,
            else ``~/.cache/cnnzoo``.

    Returns:
        Train and test set, classes ``"0"`` to ``"9"``.

    Raises:
        CnnzooError: no files and no network, or a file that is damaged.
    """
    from torchvision.datasets import MNIST

    classes = [str(digit) for digit in range(10)]
    return load_idx("mnist", MNIST, root, classes, MNIST.mirrors[0])
