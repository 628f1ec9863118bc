import gzip
import hashlib
import shutil

import numpy as np
import pytest
from small_files import write_idx, write_mnist

from cnnzoo.data import load_data
from cnnzoo.data._idx import check_idx
from cnnzoo.errors import CnnzooError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
HEADER = 16  # bytes before the pixels


@pytest.fixture
def raw(tmp_path):
    return write_mnist(tmp_path)


def test_pixels_and_labels_arrive_as_written(raw, tmp_path, no_network):
    train, test = load_data("mnist", root=tmp_path)
    written = np.frombuffer((raw / TRAIN_IMAGES).read_bytes()[HEADER:], np.uint8)
    assert np.array_equal(train.images.numpy().ravel(), written)
    assert train.labels.tolist() == [i % 10 for i in range(40)]
    assert (len(train), len(test)) == (40, 20)


def keep(n):
    return lambda content: content[:n]


@pytest.mark.parametrize("file", [TRAIN_IMAGES, TRAIN_LABELS, "t10k-images-idx3-ubyte"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (keep(-1), r"is damaged: it has [\d,]+ bytes, its header announces [\d,]+"),
        (keep(6), "is damaged: it has 6 bytes, not even the whole header"),
        (keep(0), "begins with nothing"),
        (lambda content: content + b"\0", "is damaged"),
        (lambda content: b"<html>" + content, "should begin with 00 00 08 0., and begins with 3c"),
        (lambda content: bytes((0, 0, 13)) + content[3:], "is no IDX file"),
        (gzip.compress, r"still packed \(gzip\)"),
        (lambda content: content[:4] + bytes(4) + content[8:], "is damaged"),
        (lambda content: content[:4] + b"\xff" * 12, "is damaged"),
    ],
)
def test_a_damaged_file_is_named(raw, tmp_path, no_network, file, damage, said):
    path = raw / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CnnzooError, match=said) as caught:
        load_data("mnist", root=tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_of_images_is_refused(tmp_path):
    write_idx(tmp_path / "none", np.zeros((0, 28, 28)))
    with pytest.raises(CnnzooError, match=r"holds nothing: its sizes are \(0, 28, 28\)"):
        check_idx(tmp_path / "none", rank=3)


def test_images_and_labels_of_different_sets_are_refused(raw, tmp_path):
    shutil.copy(raw / "t10k-labels-idx1-ubyte", raw / TRAIN_LABELS)
    with pytest.raises(CnnzooError, match=r"holds 40 images and train-labels.* 20 labels"):
        load_data("mnist", root=tmp_path)


def test_a_label_outside_the_classes_is_refused(raw, tmp_path):
    labels = np.arange(40) % 10
    labels[17] = 10
    write_idx(raw / TRAIN_LABELS, labels)
    with pytest.raises(CnnzooError, match=f"{TRAIN_LABELS}: label 10 at position 17"):
        load_data("mnist", root=tmp_path)


def test_an_unreadable_path_is_refused(tmp_path):
    with pytest.raises(CnnzooError, match="cannot be read"):
        check_idx(tmp_path, rank=1)


def test_packed_files_are_unpacked_without_a_network(raw, tmp_path, monkeypatch, no_network):
    from torchvision.datasets import MNIST

    expected = load_data("mnist", root=tmp_path).train.fingerprint()
    table = []
    for name, _ in MNIST.resources:
        plain = raw / name.removesuffix(".gz")
        (raw / name).write_bytes(gzip.compress(plain.read_bytes()))
        table.append((name, hashlib.md5((raw / name).read_bytes()).hexdigest()))
        plain.unlink()
    monkeypatch.setattr(MNIST, "resources", table)
    assert load_data("mnist", root=tmp_path).train.fingerprint() == expected
