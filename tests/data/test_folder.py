import os
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from small_files import write_pictures

from cnnzoo.data import Preprocessing, load_data
from cnnzoo.errors import CnnzooError
from cnnzoo.pictures import prepare, read_picture


def shades(part):
    """Return the greys of the pictures, which `write_pictures` makes all different."""
    return sorted(part.images[:, 0, 0, 0].tolist())


@pytest.fixture
def top(tmp_path):
    return write_pictures(tmp_path / "pictures")


def test_classes_come_in_natural_order_with_their_pictures(tmp_path):
    write_pictures(tmp_path, ["class10", "class9", "Class1"][::-1], n=2)
    train, test = load_data("folder", root=tmp_path)
    assert train.classes == ("Class1", "class9", "class10")
    for part in (train, test):
        assert part.labels.tolist() == [0, 1, 2]
        assert [shade // 100 for shade in part.images[:, 0, 0, 0].tolist()] == [0, 1, 2]


@pytest.mark.parametrize(("n", "fraction", "n_test"), [(2, 0.01, 1), (2, 0.99, 1), (10, 0.3, 3)])
def test_the_split_is_stratified_complete_and_disjoint(tmp_path, n, fraction, n_test):
    write_pictures(tmp_path, n=n)
    train, test = load_data("folder", root=tmp_path, test_fraction=fraction)
    for label in (0, 1):
        assert int((test.labels == label).sum()) == n_test
        assert int((train.labels == label).sum()) == n - n_test
    assert sorted(shades(train) + shades(test)) == [100 * c + i for c in (0, 1) for i in range(n)]


def test_the_split_depends_on_the_seed_alone(tmp_path):
    write_pictures(tmp_path, n=20)
    tests = [shades(load_data("folder", root=tmp_path, seed=seed).test) for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


def test_train_and_test_folders_are_taken_as_they_are(tmp_path):
    write_pictures(tmp_path / "train", n=3)
    write_pictures(tmp_path / "test", n=1)
    train, test = load_data("folder", root=tmp_path)
    assert shades(train) == [0, 1, 2, 100, 101, 102]
    assert shades(test) == [0, 100]
    write_pictures(tmp_path / "train", ["bird"])
    with pytest.raises(CnnzooError, match="class 'bird' is in only one of train and test"):
        load_data("folder", root=tmp_path)


def test_size_and_channels_are_those_asked_for(top):
    train, _ = load_data("folder", root=top, image_size=12, channels=3)
    assert train.images.shape == (8, 3, 12, 12)


def test_broken_pictures_are_left_out_named_and_counted(top):
    for i in range(5):
        (top / "cat" / f"broken{i}.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"left out 5 broken picture\(s\)") as caught:
        train, test = load_data("folder", root=top)
    said = str(caught[0].message)
    assert f"cat{os.sep}broken0.png is not a picture" in said
    assert "broken2" in said
    assert "broken3" not in said
    assert said.endswith("and 2 more.")
    assert caught[0].filename == __file__  # it points at the caller
    assert len(train) + len(test) == 10


def test_of_several_pictures_in_a_file_the_first_is_taken(top):
    pages = [Image.new("L", (9, 9), shade) for shade in (77, 90, 200)]
    for name in ("film.gif", "fax.tiff"):
        pages[0].save(top / "cat" / name, save_all=True, append_images=pages[1:])
    train, test = load_data("folder", root=top)
    assert (shades(train) + shades(test)).count(77) == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_prediction_sees_what_training_saw(tmp_path, channels):
    random = np.random.default_rng(0)
    half = (0.5,) * channels
    seen = []
    for shape, name in (((90, 50, 3), "a.png"), ((700, 900, 3), "b.jpg"), ((30, 64), "c.png")):
        picture = Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8))
        for part in ("train", "test"):
            for label in ("cat", "dog"):
                (tmp_path / part / label).mkdir(parents=True, exist_ok=True)
                picture.save(tmp_path / part / label / name)
        path = tmp_path / "train" / "cat" / name
        seen.append(prepare(read_picture(path), Preprocessing(channels, 28, 28, half, half)).image)
    for part in load_data("folder", root=tmp_path, channels=channels):
        assert torch.equal(part.images, torch.stack(seen * 2))


def test_hidden_and_other_files_are_passed_over_without_a_word(top):
    (top / ".cache").mkdir()
    (top / "notes.txt").write_text("at the top")
    (top / "cat" / ".hidden.png").write_bytes(b"no picture")
    (top / "cat" / "Thumbs.db").write_bytes(b"no picture")
    (top / "cat" / ".thumbnails").mkdir()
    (top / "cat" / ".thumbnails" / "a.png").write_bytes(b"no picture")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train, test = load_data("folder", root=top)
    assert train.classes == ("cat", "dog")
    assert len(train) + len(test) == 10


def test_pictures_may_lie_deeper(top):
    write_pictures(top / "cat", ["monday"], n=3)
    train, test = load_data("folder", root=top)
    assert train.classes == ("cat", "dog")
    assert len(train) + len(test) == 13


def test_loops_of_links_do_not_hang(top):
    (top / "cat" / "up").symlink_to(top, target_is_directory=True)
    (top / "cat" / "self.png").symlink_to("self.png")
    (top / "itself").symlink_to("itself")
    (top / "nowhere").symlink_to("missing")
    train, test = load_data("folder", root=top)
    assert train.classes == ("cat", "dog")
    assert len(train) + len(test) == 10


def test_a_class_may_be_a_link_but_not_to_its_parents(top, tmp_path):
    write_pictures(tmp_path / "elsewhere", ["bird"])
    (top / "bird").symlink_to(tmp_path / "elsewhere" / "bird", target_is_directory=True)
    assert load_data("folder", root=top).train.classes == ("bird", "cat", "dog")
    (top / "loop").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(CnnzooError, match="loop is a link back to a folder around it"):
        load_data("folder", root=top)


def test_a_pipe_does_not_block(top):
    os.mkfifo(top / "cat" / "pipe.png")
    assert len(load_data("folder", root=top).train) == 8


def one_class(top):
    for file in (top / "dog").iterdir():
        file.unlink()
    (top / "dog").rmdir()


def no_class(top):
    one_class(top)
    (top / "cat").rename(top / ".cat")


def empty_class(top):
    (top / "empty").mkdir()


def one_picture(top):
    (top / "single").mkdir()
    Image.new("L", (4, 4)).save(top / "single" / "a.png")


def only_broken(top):
    for file in (top / "dog").iterdir():
        file.write_bytes(b"")


def empty_train(top):
    (top / "train").mkdir()
    (top / "test").mkdir()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (one_class, "at least two class folders, found one, 'cat'"),
        (no_class, "at least two class folders, found none"),
        (empty_class, r"empty: no picture in this class \(known endings: .bmp, "),
        (one_picture, r"single: 1 picture\(s\) can be read, and 2 or more are needed"),
        (only_broken, r"dog: 0 picture\(s\) can be read.*0.png is empty"),
        (empty_train, "train: expected at least two class folders"),
    ],
)
def test_a_folder_that_makes_no_data_set_is_refused(top, change, said):
    change(top)
    with pytest.raises(CnnzooError, match=said):
        load_data("folder", root=top)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image_size": 0}, "image_size must be a whole number from 1 to 4096, got 0"),
        ({"image_size": "28"}, "got '28'"),
        ({"channels": 2}, r"channels must be 1 \(grey\) or 3 \(RGB\), got 2"),
        ({"test_fraction": 0}, "test_fraction must lie between 0 and 1, got 0"),
        ({"test_fraction": 1.0}, "between 0 and 1, got 1.0"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"root": None}, '"folder" needs root=DIR'),
        ({"root": "no such folder"}, "no such folder is no folder"),
    ],
)
def test_wrong_options_are_refused(top, options, said):
    with pytest.raises(CnnzooError, match=said):
        load_data("folder", **{"root": top, **options})
