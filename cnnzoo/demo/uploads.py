"""Bytes that a browser sent to a picture: nothing is decoded before its header was believed.

Pillow reads the size from the header; `read_picture` refuses too many pixels before any of them
exists, turns photos upright (EXIF) and lays transparency on white.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image, UnidentifiedImageError

from cnnzoo.errors import CnnzooError
from cnnzoo.pictures import MAX_PIXELS, Picture, PictureError, read_picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # what browsers show; fewer decoders, less to fear


def picture_of(body: bytes) -> Picture:
    """Read the bytes of one picture file; of an animation the first frame.

    Args:
        body: a whole file in one of `FORMATS`, recognised by its contents.

    Raises:
        CnnzooError: it is empty, no such file, damaged, or has more than `MAX_PIXELS` pixels.

    >>> file = BytesIO()
    >>> Image.new("L", (28, 20)).save(file, "png")
    >>> picture_of(file.getvalue()).pixels.shape
    (20, 28, 1)
    """
    if not body:
        raise CnnzooError("Expected a picture; nothing arrived. Draw something or choose a file.")
    try:
        with Image.open(BytesIO(body), formats=FORMATS) as image:
            return read_picture(image, first_frame=True)
    except PictureError as error:
        raise CnnzooError(f"This picture {error.reason}. {_ADVICE}") from None
    except UnidentifiedImageError:
        raise CnnzooError(
            f"This is not a picture that can be read, whatever its name says. {_ADVICE}"
        ) from None
    except Image.DecompressionBombError:
        raise CnnzooError(f"This picture has too many pixels. {_ADVICE}") from None
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error
        raise CnnzooError(f"This picture cannot be read ({error}). {_ADVICE}") from error


_ADVICE = (
    f"Expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]} of at most "
    f"{MAX_PIXELS // 10**6} million pixels: save it again as PNG or JPEG."
)
