"""What every registered data set promises; a new one is tested by being registered."""

import pytest
import torch

from cnnzoo.conformance import checks
from cnnzoo.conformance.check_data import DataCase
from cnnzoo.data import DataSplits, Preprocessing, load_data
from cnnzoo.errors import CnnzooError
from cnnzoo.registry import datasets

every_dataset = pytest.mark.parametrize("name", [n for n in datasets.names() if ":" not in n])


@every_dataset
def test_keeps_the_contract(name, root_of, no_network):
    options = root_of(name)
    splits = load_data(name, **options)
    assert isinstance(splits, DataSplits)
    train, test = splits
    for part, split in ((train, "train"), (test, "test")):
        assert (part.name, part.split) == (name, split)
        assert part.images.dtype == torch.uint8
        assert part.images.ndim == 4
        assert part.images.is_contiguous()
        assert part.labels.dtype == torch.int64
        assert 0 <= part.labels.min() <= part.labels.max() < len(part.classes)
    assert train.classes == test.classes
    assert train.preprocessing == test.preprocessing == Preprocessing.of(train.images)
    again = load_data(name.upper(), **options)
    assert [each.fingerprint() for each in again] == [each.fingerprint() for each in splits]


@every_dataset
@pytest.mark.parametrize("check", checks("data set"), ids=lambda check: check.name)
def test_conforms(name, check, root_of, no_network):
    check.function(DataCase(name, **root_of(name)))


def test_unknown_name_and_option_suggest_the_nearest():
    with pytest.raises(CnnzooError, match='Did you mean "digits"'):
        load_data("digit")
    with pytest.raises(CnnzooError, match='Did you mean "image_size"'):
        load_data("folder", root=".", image_sise=28)


def test_what_is_no_data_set_is_refused(monkeypatch):
    from cnnzoo.registry import Registry

    local = Registry("data set", home="cnnzoo.data")
    local.register("broken")(lambda: (1, 2))
    monkeypatch.setattr("cnnzoo.data.datasets", local)
    with pytest.raises(CnnzooError, match="must return DataSplits; it returned tuple"):
        load_data("broken")


@pytest.mark.parametrize(
    ("name", "mean", "std", "first", "zeros"),
    [
        ("mnist", 0.1307, 0.3081, [5, 0, 4, 1, 9], 5923),
        ("fashion_mnist", 0.2860, 0.3530, [9, 0, 0, 3, 0], 6000),
    ],
)
def test_the_real_ones(name, mean, std, first, zeros, real_data, no_network):
    train, test = load_data(name, root=real_data)
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.images.shape[1:] == (1, 28, 28)
    assert train.mean == pytest.approx((mean,), abs=5e-5)  # as everybody quotes them
    assert train.std == pytest.approx((std,), abs=5e-5)
    assert train.labels[:5].tolist() == first
    assert int((train.labels == 0).sum()) == zeros
