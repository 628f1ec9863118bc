"""Writing a file so that a reader, a crash or a full disk never sees half of it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnzoo.errors import CnnzooError

# What `atomic_write` calls its temporary files: .NAME.xxxxxxxx.SUFFIX
_TEMPORARY = re.compile(r"\..+(\.\w+)\.[a-z0-9_]{8}\1")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; move it there when the block ends without an error.

    The content is synced before the rename: after a crash there is the old file or the new one.
    A process that is killed leaves its temporary file behind: see `remove_leftovers`.

    Raises:
        CnnzooError: the disk is full or the place cannot be written; the old file is intact.

    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_write(folder / "note.txt") as temporary:
    ...     _ = temporary.write_text("whole or not at all")
    >>> [path.name for path in folder.iterdir()]
    ['note.txt']
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
        )
        os.close(handle)
    except OSError as error:
        raise CnnzooError(f"Cannot write {path}: {error.strerror or error}.") from error
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o644)  # mkstemp makes it private
        os.replace(temporary, path)
        _sync(path.parent)
    except Exception as error:
        reason = _system_reason(error)
        if reason is None:
            raise
        raise CnnzooError(
            f"Cannot write {path}: {reason}. What was there before is intact."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether the name is one that `atomic_write` gives to a temporary file.

    >>> is_leftover(Path("run/.checkpoint.pt.x1_k29ab.pt")), is_leftover(Path("run/checkpoint.pt"))
    (True, False)
    """
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed writers in ``folder`` and the folders in it.

    Only where nobody else is writing: a live writer's file looks the same.
    """
    for path in folder.rglob(".*"):
        if is_leftover(path):
            path.unlink(missing_ok=True)


def _system_reason(error: BaseException | None) -> str | None:
    """Say why the system refused, or return ``None`` where that was not the reason.

    Writers in native code hide it: torch's raises a RuntimeError in whose context the OSError
    stands, that of safetensors ends in "(os error 28)".
    """
    while error is not None:
        if isinstance(error, OSError):
            return error.strerror or str(error)
        if found := re.search(r"\(os error (\d+)\)", str(error)):
            return os.strerror(int(found[1]))
        error = error.__cause__ or error.__context__
    return None


def _sync(path: Path) -> None:
    """Push a file, or a folder's list of files, out to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
