"""What does not fit is said in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import images

from cnnzoo import plots
from cnnzoo.errors import CnnzooError


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plots.samples(images(0), []), "nothing to show"),
        (lambda: plots.samples(images(3), [1, 2]), "3 images but 2 labels"),
        (lambda: plots.samples(images(3)[:, 0], [1, 2, 3]), r"\(N, C, H, W\)"),
        (lambda: plots.samples(images(3) / 255, [1, 2, 3]), "uint8"),
        (lambda: plots.samples(images(3), [1, 2, 3], count=0), "at least 1"),
        (lambda: plots.samples(images(3), ["a", "b", "c"]), "numbers"),
        (lambda: plots.curves([]), "at least one epoch"),
        (lambda: plots.confusion(np.ones((2, 3))), r"\(2, 3\)"),
        (lambda: plots.confusion(np.eye(3), ["a"]), "3 class names"),
        (lambda: plots.filters(np.ones((3, 3))), r"\(K, C, R, S\)"),
        (lambda: plots.feature_maps(np.ones((1, 2, 3, 3))), r"\(K, H, W\)"),
    ],
)
def test_wrong_input_is_said_in_a_sentence(call, says):
    with pytest.raises(CnnzooError, match=says):
        call()
