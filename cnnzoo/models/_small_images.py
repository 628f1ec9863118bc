"""Networks drawn for 224 pixels, given images of 28: which stem they take, and what is too small.

Their convolutions are padded, so that no image is ever used up: a stride of two leaves ⌈n/2⌉ of n
pixels, and one pixel stays one. What sets the limit is batch norm, which cannot learn from a single
value a channel.
"""

from __future__ import annotations

from cnnzoo.errors import CnnzooError

Pair = tuple[int, int]
SMALL = 64  # below, a stem that divides the size by four leaves less than two pixels at the end


def is_small(image_size: Pair) -> bool:
    """Say whether an image of (H, W) pixels gets the stem for small images.

    >>> is_small((32, 32)), is_small((224, 224))
    (True, False)
    """
    return min(image_size) < SMALL


def check_last_map(model: str, image_size: Pair, total_stride: int) -> None:
    """Refuse an image of which one pixel is left at the end.

    Args:
        model: its name, for the message.
        image_size: (H, W) of the input.
        total_stride: product of the strides of all padded stages.

    Raises:
        CnnzooError: the last map is 1×1, with which one image cannot be trained on.

    >>> check_last_map("resnet18", (9, 9), 8)  # leaves 2×2
    """
    height, width = (-(-n // total_stride) for n in image_size)
    if height * width < 2:
        raise CnnzooError(
            f"{model}: an image of {image_size[0]} x {image_size[1]} is too small: divided by "
            f"{total_stride}, there is nothing left but 1 x 1, and batch norm needs two pixels. "
            f"The smallest image_size that works is {total_stride + 1}."
        )
