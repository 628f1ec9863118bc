"""The size of an image on the command line."""

from __future__ import annotations

from cnnzoo.errors import CnnzooError


def parse_size(size: str) -> tuple[int, int, int]:
    """Read C,H,W.

    Raises:
        CnnzooError: it is something else.

    >>> parse_size("3,224,224")
    (3, 224, 224)
    """
    try:
        channels, height, width = (int(part) for part in size.split(","))
    except ValueError:
        raise CnnzooError(f'--input takes C,H,W, such as 1,28,28; got "{size}".') from None
    return channels, height, width
