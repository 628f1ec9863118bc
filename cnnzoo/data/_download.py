"""Where the files of a data set lie, how they get there, and what to do without a network.

Downloading, checksums and the layout of the folder are torchvision's.
"""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cnnzoo.errors import CnnzooError

TIMEOUT = 20.0  # seconds without a byte; a firewall that swallows packets would take minutes


def data_root(root: str | os.PathLike[str] | None) -> Path:
    """Return ``root``, else ``$CNNZOO_DATA``, else ``~/.cache/cnnzoo``."""
    return Path(root or os.environ.get("CNNZOO_DATA") or "~/.cache/cnnzoo").expanduser()


def fetch(
    name: str, download: Callable[[], object], folder: Path, files: Sequence[str], address: str
) -> None:
    """Run ``download``; whatever goes wrong becomes one sentence on how to do without.

    Args:
        name: of the data set.
        download: torchvision's.
        folder: where the files belong.
        files: their names as they are offered for download; torchvision unpacks them itself.
        address: where a person can get them.

    Raises:
        CnnzooError: the download failed.
    """
    try:
        with impatient():
            download()
    except (OSError, RuntimeError, EOFError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CnnzooError(
            f'The files of "{name}" are not in {folder} and could not be downloaded ({reason}). '
            f"Without a network: get {', '.join(files)} from {address} on another machine and put "
            f"them into that folder, or pass the root of a copy (root=…, --root, or the "
            'environment variable CNNZOO_DATA). The data set "digits" needs no files at all.'
        ) from error


@contextmanager
def impatient() -> Iterator[None]:
    """Give up on silent connections: torchvision waits for ever and has no setting for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
