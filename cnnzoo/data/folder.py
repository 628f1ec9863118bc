"""People's own pictures: a folder with one sub-folder a class.

Either ``DIR/CLASS/…``, which is split here, or ``DIR/train/CLASS/…`` with ``DIR/test/CLASS/…``,
which is taken as it is. Pictures may lie deeper than the class folder; hidden files are passed
over, and links to folders are followed only at the class level, so that no loop is walked.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
import torch

from cnnzoo.data._base import DataSplits, make_splits
from cnnzoo.errors import CnnzooError
from cnnzoo.pictures import SUFFIXES, PictureError, Pixels, fit, read_picture
from cnnzoo.registry import register_dataset
from cnnzoo.seeds import private_generator

LAYOUT = (
    "Pictures belong in DIR/CLASS/, or, if already split, in DIR/train/CLASS/ and DIR/test/CLASS/"
)

NAMED = 3  # broken pictures that a message names; all are counted

Pictures = dict[str, list[Pixels]]  # by class, each picture (C, S, S)


@register_dataset("folder")
def folder(
    root: str | os.PathLike[str] | None = None,
    image_size: int = 28,
    channels: int = 1,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> DataSplits:
    """Your own pictures: a folder with one sub-folder a class.

    PNG, JPEG, BMP, GIF, WebP, TIFF (of several pictures the first) and PNM, by the ending of the
    name. They are read as in prediction: turned upright, transparency becomes white, proportions
    are kept and the rest of the square is filled with the median colour of the picture's border.

    Args:
        root: the folder.
        image_size: pixels a side of the square all pictures are scaled to.
        channels: 1 for grey, 3 for RGB.
        test_fraction: part of every class that is for testing, above 0 and below 1, at least one
            picture; not used when the folder has ``train`` and ``test`` of its own.
        seed: of that choice.

    Returns:
        Train and test set, classes in natural order (``"2"`` before ``"10"``).

    Raises:
        CnnzooError: no such folder, fewer than two classes, or a class with too few pictures.

    Warns:
        UserWarning: some pictures could not be read and were left out; the first are named.
    """
    top = _checked(root, image_size, channels, test_fraction, seed)
    broken: dict[Path, str] = {}
    if (top / "train").is_dir() and (top / "test").is_dir():
        train, test = (
            _read(top / part, image_size, channels, broken) for part in ("train", "test")
        )
        if list(train) != list(test):
            odd = min(set(train) ^ set(test), key=_natural)
            raise CnnzooError(f"{top}: class {odd!r} is in only one of train and test.")
        _check_counts(top / "train", train, 1, broken)
        _check_counts(top / "test", test, 1, broken)
    else:
        every = _read(top, image_size, channels, broken)
        _check_counts(top, every, 2, broken)
        train, test = _split(every, test_fraction, seed)
    if broken:
        said = [f"{file.relative_to(top)} {why}" for file, why in broken.items()]
        more = [f"and {len(said) - NAMED} more"] if len(said) > NAMED else []
        listed = "; ".join(said[:NAMED] + more)
        warnings.warn(f"{top}: left out {len(said)} broken picture(s): {listed}.", stacklevel=4)
    return make_splits("folder", list(train), _arrays(train), _arrays(test))


def _checked(
    root: str | os.PathLike[str] | None, image_size: int, channels: int, fraction: float, seed: int
) -> Path:
    if root is None:
        raise CnnzooError(f'"folder" needs root=DIR, the folder with your pictures. {LAYOUT}.')
    top = Path(root).expanduser()
    if not top.is_dir():
        raise CnnzooError(f"{top} is no folder. {LAYOUT}.")
    if type(image_size) is not int or not 1 <= image_size <= 4096:
        raise CnnzooError(f"image_size must be a whole number from 1 to 4096, got {image_size!r}.")
    if channels not in (1, 3):
        raise CnnzooError(f"channels must be 1 (grey) or 3 (RGB), got {channels!r}.")
    if not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise CnnzooError(f"test_fraction must lie between 0 and 1, got {fraction!r}.")
    if type(seed) is not int:
        raise CnnzooError(f"seed must be a whole number, got {seed!r}.")
    return top


def _read(top: Path, image_size: int, channels: int, broken: dict[Path, str]) -> Pictures:
    """Read all classes below ``top``; note in ``broken`` what cannot be read."""
    try:
        inside = sorted(top.iterdir())
    except OSError as error:
        raise CnnzooError(f"{top} cannot be listed: {error.strerror or error}.") from error
    folders = [path for path in inside if path.is_dir() and not path.name.startswith(".")]
    folders.sort(key=lambda path: _natural(path.name))
    if len(folders) < 2:
        found = f"one, {folders[0].name!r}" if folders else "none"
        raise CnnzooError(f"{top}: expected at least two class folders, found {found}. {LAYOUT}.")
    pictures: Pictures = {}
    for class_folder in folders:
        if class_folder.resolve() in (top.resolve(), *top.resolve().parents):
            raise CnnzooError(f"{class_folder} is a link back to a folder around it; remove it.")
        files = _files(class_folder)
        if not files:
            raise CnnzooError(
                f"{class_folder}: no picture in this class (known endings: "
                f"{', '.join(sorted(SUFFIXES))}). {LAYOUT}, or remove the folder."
            )
        pictures[class_folder.name] = []
        for file in files:
            try:
                pixels = read_picture(file, first_frame=True).pixels
            except PictureError as error:
                broken[file] = error.reason
            else:
                square = (image_size, image_size)
                pictures[class_folder.name].append(fit(pixels, square, channels))
    return pictures


def _check_counts(top: Path, pictures: Pictures, least: int, broken: dict[Path, str]) -> None:
    for name, mine in pictures.items():
        if len(mine) < least:
            folder = top / name
            bad = [f"{file.name} {why}" for file, why in broken.items() if folder in file.parents]
            raise CnnzooError(
                f"{folder}: {len(mine)} picture(s) can be read, and {least} or more are needed, so "
                f"that train and test have one each. {'; '.join(bad[:NAMED]) or LAYOUT}."
            )


def _files(class_folder: Path) -> list[Path]:
    """List picture files in natural order."""
    files: list[Path] = []
    for here, below, names in os.walk(class_folder):
        below[:] = [name for name in below if not name.startswith(".")]
        files += [Path(here, name) for name in names if not name.startswith(".")]
    wanted = [file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()]
    # Sorted twice: "1" and "01" tie in natural order, and the file system's own order is anything.
    return sorted(sorted(wanted), key=lambda file: _natural(str(file)))


def _split(pictures: Pictures, fraction: float, seed: int) -> tuple[Pictures, Pictures]:
    """Choose the same part of every class for testing, at least one and not all."""
    train: Pictures = {}
    test: Pictures = {}
    for number, (name, mine) in enumerate(pictures.items()):
        n_test = min(max(1, round(fraction * len(mine))), len(mine) - 1)
        order = torch.randperm(len(mine), generator=private_generator(seed, number)).tolist()
        chosen = set(order[:n_test])
        test[name] = [picture for i, picture in enumerate(mine) if i in chosen]
        train[name] = [picture for i, picture in enumerate(mine) if i not in chosen]
    return train, test


def _arrays(pictures: Pictures) -> tuple[Pixels, list[int]]:
    labels = [label for label, mine in enumerate(pictures.values()) for _ in mine]
    return np.stack([picture for mine in pictures.values() for picture in mine]), labels


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Sort key: digits by value, the rest by letter."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
