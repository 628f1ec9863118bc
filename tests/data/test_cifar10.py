import os
import pickle

import numpy as np
import pytest
from small_files import write_cifar10

from cnnzoo.data import load_data
from cnnzoo.errors import CnnzooError


class Payload:
    """A pickle that makes a folder when it is read."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def pickles(tmp_path, monkeypatch):
    return write_cifar10(tmp_path, monkeypatch)


def test_rows_become_channels_first_images(pickles, tmp_path, no_network):
    train, test = load_data("cifar10", root=tmp_path)
    assert train.images.shape == (20, 3, 32, 32)
    assert test.images.shape == (4, 3, 32, 32)
    first = pickle.loads((pickles / "data_batch_1").read_bytes())["data"][0]
    assert np.array_equal(train.images[0].numpy().ravel(), first)  # the file is channels first
    assert train.classes[9] == "thing9"


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
@pytest.mark.parametrize("others", ["there", "missing"])
def test_a_pickle_with_a_wrong_checksum_is_refused_and_never_run(
    pickles, tmp_path, no_network, name, others
):
    marker = tmp_path / "it ran"
    (pickles / name).write_bytes(pickle.dumps(Payload(marker)))
    if others == "missing":
        (pickles / "data_batch_1").unlink()
    with pytest.raises(CnnzooError, match="its MD5 is not") as caught:
        load_data("cifar10", root=tmp_path)
    assert str(pickles / name) in str(caught.value)
    assert not marker.exists()
    pickle.loads((pickles / name).read_bytes())
    assert marker.exists()  # the payload does run once it is read


def test_a_wrong_archive_is_not_unpacked(tmp_path, no_network):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"not the archive")
    with pytest.raises(CnnzooError, match="could not be downloaded"):
        load_data("cifar10", root=tmp_path)
    assert not (tmp_path / "cifar-10-batches-py").exists()
