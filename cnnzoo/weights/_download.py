"""Weights from an address: downloaded once, kept under their SHA-256, never used unchecked.

An address without a hash is refused: who may change the file would decide what is loaded.
"""

from __future__ import annotations

import http.client
import re
import sys
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import torch

from cnnzoo.data._download import impatient
from cnnzoo.errors import CnnzooError
from cnnzoo.weights._cards import sha256_of

_FORM = "https://…/file.safetensors#sha256=<64 hexadecimal digits>"


def fetch(address: str) -> Path:
    """Return the file behind an address, from torch's cache (``$TORCH_HOME``) if it is there.

    Args:
        address: ``https://`` or ``file://``, with ``#sha256=`` and the hash of the file.

    Raises:
        CnnzooError: the address has no hash or is of another kind, the download fails, or what came
            has another hash.
    """
    url, fragment = urldefrag(address)
    if urlsplit(url).scheme.lower() not in ("https", "file"):
        raise CnnzooError(f"Weights are downloaded by https only, as {_FORM}; got {url}.")
    hashed = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if not hashed:
        raise CnnzooError(
            f"The address {url} needs the SHA-256 of its file, as {_FORM}; got "
            f"{f'#{fragment}' if fragment else 'none'}. `sha256sum FILE` prints it."
        )
    wanted = hashed[1].lower()
    folder = Path(torch.hub.get_dir()) / "cnnzoo"
    target = folder / f"{wanted}.safetensors"
    if target.is_file() and sha256_of(target) == wanted:  # and not damaged since
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with impatient():
            torch.hub.download_url_to_file(
                url, str(target), hash_prefix=wanted, progress=sys.stderr.isatty()
            )
    except RuntimeError as error:  # torch's word for another hash
        found = re.search(r'got "([0-9a-f]+)"', str(error))
        raise CnnzooError(
            f"What came from {url} is not the file that was meant: its SHA-256 is "
            f"{found[1][:12] + '…' if found else 'another'}, expected {wanted[:12]}…."
        ) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CnnzooError(
            f"{url} could not be downloaded ({reason}). Get the file on another machine and give "
            "its path."
        ) from error
    return target
