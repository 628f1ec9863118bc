"""The implementations of the layer, as parameters of tests."""

import pytest

from cnnzoo import ops
from cnnzoo.layers import implementations


def layer_implementations():
    """Return the implementations of the layer as test parameters; native skips where it is not."""
    why = ops.status().reason
    return [
        pytest.param(
            name, marks=pytest.mark.skipif(name == "native" and bool(why), reason=str(why))
        )
        for name in implementations("conv_relu_maxpool")
    ]
