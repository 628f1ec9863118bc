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
