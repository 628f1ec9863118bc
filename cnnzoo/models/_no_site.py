"""The argument ``conv_relu_maxpool`` of networks that have no such layer.

They take it so that every model of the zoo is built alike, and check it: a typing mistake is found
in every model or in none.
"""

from __future__ import annotations

import torch

from cnnzoo.layers import build_layer


def check_implementation(conv_relu_maxpool: str) -> None:
    """Raise a `CnnzooError` unless this is an implementation of the layer.

    >>> check_implementation("eager")
    """
    with torch.device("meta"):  # takes no memory and draws no random numbers
        build_layer("conv_relu_maxpool", conv_relu_maxpool, 1, 1, 1)
