import numpy as np
import torch
from sklearn.datasets import load_digits

from cnnzoo.data import load_data
from cnnzoo.data.digits import _bicubic, _enlarge


def test_every_digit_is_in_both_parts_one_fifth_for_testing():
    train, test = load_data("digits")
    assert len(train) + len(test) == 1797
    for digit in range(10):
        n_train, n_test = (int((part.labels == digit).sum()) for part in (train, test))
        assert n_test == (n_train + n_test) // 5


def test_is_white_on_black_with_the_margin_of_mnist():
    for part in load_data("digits"):
        assert part.images.shape[1:] == (1, 28, 28)
        inner = part.images[:, :, 4:24, 4:24]
        assert part.images.sum() == inner.sum()
        assert inner.amax((1, 2, 3)).min() > 200  # ink in every picture, nearly white
        assert part.images.float().mean() < 60  # mostly black ground


def test_is_the_same_bytes_everywhere():
    # Whole-number arithmetic: a change here changes every run's data.
    fingerprints = [part.fingerprint() for part in load_data("digits")]
    assert fingerprints == [
        "879dca9358d5bfc4d3804b9a2c4c04091d785f45ccfb75dfdd227e002fd1a39e",
        "86e823222a1021b01c4761c57b8717902e78f9179364e5717d7b80288e91ce4b",
    ]


def test_weights_are_keys_cubic_convolution():
    def keys(t):  # the definition, in floats: a = -1/2
        t = abs(t)
        if t < 1:
            return 1.5 * t**3 - 2.5 * t**2 + 1
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0

    weights, one = _bicubic()
    expected = [[keys((i + 0.5) * 8 / 20 - 0.5 - j) for j in range(8)] for i in range(20)]
    np.testing.assert_allclose(weights / one, expected, atol=1e-12)
    assert (weights.sum(1)[4:16] == one).all()  # away from the border they sum to 1


def test_full_ink_is_white_and_none_is_black():
    cells = np.stack([np.zeros((8, 8), np.int64), np.full((8, 8), 16)])
    black, white = _enlarge(cells)
    assert black.max() == 0
    assert white[10:18, 10:18].min() == 255


def test_shrinking_it_back_gives_the_source():
    source = load_digits().images / 16
    pixels = torch.from_numpy(_enlarge((source * 16).astype(np.int64)))[:, None, 4:24, 4:24] / 255
    back = torch.nn.functional.interpolate(pixels, 8, mode="area")[:, 0].numpy()
    assert np.corrcoef(back.ravel(), source.ravel())[0, 1] > 0.97
