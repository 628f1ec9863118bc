"""The size of an image on the command line."""

from __future__ import annotations

from typing import Any

import click


class ImageSize(click.ParamType[tuple[int, int, int]]):
    """Channels, height and width of an image, as ``3,224,224``.

    >>> ImageSize().convert("3,224,224", None, None)
    (3, 224, 224)
    """

    name = "C,H,W"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int, int]:
        """Read three positive integers."""
        try:
            channels, height, width = (int(number) for number in value.split(","))
        except ValueError:
            self.fail(f"expected channels, height and width such as 1,28,28; got {value!r}.")
        if min(channels, height, width) < 1:
            self.fail(f"expected positive numbers; got {value!r}.")
        return channels, height, width


def in_size(size: tuple[int, int, int] | None) -> dict[str, Any]:
    """Return the arguments of a model for images of a size; ``None``: those it has by default.

    >>> in_size((3, 32, 48))
    {'in_channels': 3, 'image_size': (32, 48)}
    """
    return {"in_channels": size[0], "image_size": size[1:]} if size else {}
