import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Subset

from cnnzoo.data import ImageSet, Preprocessing
from cnnzoo.errors import CnnzooError

BYTES = np.zeros((3, 1, 2, 2), np.uint8)


def test_is_an_ordinary_torch_dataset(small_set):
    image, label = small_set[5]
    assert image.dtype == torch.float32
    assert image.shape == (3, 4, 5)
    assert type(label) is int
    assert label == 1
    assert torch.equal(image, small_set.preprocessing(small_set.images[5:6])[0])
    assert torch.equal(small_set[-1][0], small_set[22][0])
    assert len(list(small_set)) == len(small_set) == 23  # the old iteration protocol ends
    with pytest.raises(IndexError, match=r"23 image\(s\); there is no image 23"):
        small_set[23]


def test_works_in_a_subset_and_in_worker_processes(small_set):
    loader = DataLoader(Subset(small_set, [4, 2]), batch_size=2, num_workers=1)
    images, labels = next(iter(loader))
    assert labels.tolist() == [0, 2]
    assert torch.equal(images[0], small_set[4][0])


def test_survives_pickle(small_set):
    copy = pickle.loads(pickle.dumps(small_set))
    assert copy.fingerprint() == small_set.fingerprint()
    assert copy.preprocessing == small_set.preprocessing


@given(st.lists(st.integers(-23, 22), min_size=1))
def test_take_is_indexing_a_list(indices):
    labels = list(range(23))
    images = np.arange(23, dtype=np.uint8).reshape(23, 1, 1)
    taken = ImageSet.from_tensors(images, labels).take(indices)
    expected = [labels[i] for i in indices]
    assert taken.labels.tolist() == expected
    assert taken.images.flatten().tolist() == expected


@pytest.mark.parametrize(
    "part", [slice(3), slice(2, 20, 5), slice(None, None, -1), slice(-4, None)]
)
def test_slices_are_smaller_sets_with_the_same_statistics(small_set, part):
    taken = small_set[part]
    assert isinstance(taken, ImageSet)
    assert torch.equal(taken.images, small_set.images[list(range(23))[part]])
    assert taken.preprocessing is small_set.preprocessing
    assert (taken.name, taken.split, taken.classes) == ("small", "all", tuple("abcd"))


@pytest.mark.parametrize(
    ("indices", "said"),
    [
        ([0, 23], "23 .* there is no image 23"),
        ([-24], "there is no image -24"),
        ([], "no image of small is left"),
        (slice(30, 40), "no image of small is left"),
        ([0.5], "expected a list of positions"),
        (3, "expected a list of positions"),
        ("abc", "array of numbers|list of positions"),
        (torch.ones(23, dtype=torch.bool), "got a mask"),
    ],
)
def test_take_says_what_is_wrong(small_set, indices, said):
    with pytest.raises(CnnzooError, match=said):
        small_set.take(indices)


def test_fingerprint_notices_every_change(small_set):
    def changed(**changes):
        parts = {"images": small_set.images, "labels": small_set.labels, "classes": list("abcd")}
        return ImageSet.from_tensors(**{**parts, **changes}, name="other").fingerprint()

    one_pixel, one_label = small_set.images.clone(), small_set.labels.clone()
    one_pixel[22, 2, 3, 4] ^= 1
    one_label[0] = 3
    assert changed() == small_set.fingerprint()  # the name is no part of it
    assert len(changed()) == 64
    prints = {
        small_set.fingerprint(),
        changed(images=one_pixel),
        changed(labels=one_label),
        changed(classes=list("abce")),
        changed(images=small_set.images.view(23, 3, 5, 4)),
        small_set[::-1].fingerprint(),
    }
    assert len(prints) == 6


def test_from_tensors_copies_and_measures():
    grey = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    made = ImageSet.from_tensors(grey, np.array([1, 0], np.uint8))
    assert made.images.shape == (2, 1, 2, 2)
    assert made.labels.dtype == torch.int64
    assert made.classes == ("0", "1")
    assert made.preprocessing == Preprocessing.of(made.images)
    assert (made.mean, made.std) == (made.preprocessing.mean, made.preprocessing.std)
    grey[:] = 99
    assert made.images.max() == 7
    read_only = np.broadcast_to(np.uint8(3), (2, 1, 4, 4))[:, :, ::-1]
    assert ImageSet.from_tensors(read_only, [0, 0]).images.is_contiguous()


def test_from_tensors_uses_the_statistics_it_is_given(small_set):
    other = ImageSet.from_tensors(
        small_set.images[:2], [0, 0], preprocessing=small_set.preprocessing
    )
    assert other.mean == small_set.mean


@pytest.mark.parametrize(
    ("images", "labels", "classes", "said"),
    [
        (BYTES / 255.0, [0] * 3, None, r"must be uint8, 0..255; got torch.float64. Try \(images"),
        (BYTES[:0], [], None, "at least one image"),
        (BYTES[0, 0], [0, 0], None, r"must be \(N, C, H, W\), got shape \(2, 2\)"),
        (np.zeros((2, 28, 28, 3), np.uint8), [0, 0], None, r"transpose\(0, 3, 1, 2\)"),
        (BYTES, [0, 0], None, r"one for each of the 3 image\(s\); got torch.int64 of shape \(2,\)"),
        (BYTES, [0, 1.0, 2], None, "labels must be whole numbers"),
        (BYTES, [0, 3, 1], ["a", "b"], r"label 3 of image 1 is outside the 2 .* 0..1; 1 label"),
        (BYTES, [0, 0, -1], None, "label -1 of image 2"),
        (BYTES, [0, 0, 0], "ab", "classes must be a list of names, got 'ab'"),
        (BYTES, [0, 0, 0], ["a", "a"], "two classes have the same name"),
        ([["x"]], [0], None, "Expected an array of numbers"),
    ],
)
def test_wrong_arrays_are_refused_with_a_sentence(images, labels, classes, said):
    with pytest.raises(CnnzooError, match=said):
        ImageSet.from_tensors(images, labels, classes)


def test_the_constructor_compares_size_and_preprocessing(small_set):
    grey = Preprocessing(1, 28, 28, (0.5,), (0.5,))
    with pytest.raises(CnnzooError, match=r"\(3, 4, 5\) .* for \(1, 28, 28\)"):
        ImageSet(small_set.images, small_set.labels, small_set.classes, grey)
    with pytest.raises(CnnzooError, match=r"int64.*got torch.int32"):
        ImageSet(small_set.images, small_set.labels.int(), "abcd", small_set.preprocessing)


def test_repr_says_what_it_is(small_set):
    assert repr(small_set).startswith("ImageSet(small, all: 23 images 3x4x5, 4 classes a, b, c, d;")
