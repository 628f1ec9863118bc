"""Pictures for the demo: strokes, as a hand would draw them, and files of them."""

import io

from PIL import Image, ImageDraw

# Strokes on a paper of 280 × 280, as a hand would draw them.
THREE = [(85, 75), (130, 52), (185, 75), (185, 112), (135, 135), (188, 160), (185, 205), (85, 215)]
SEVEN = [(70, 65), (130, 66), (205, 64), (180, 120), (150, 180), (132, 235)]


def png(image, kind="png", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawn(points, ink="white", ground="black", size=280, mode="RGB"):
    """A picture of strokes."""
    image = Image.new(mode, (280, 280), ground)
    ImageDraw.Draw(image).line(points, fill=ink, width=24, joint="curve")
    return image.resize((size, size), Image.Resampling.BILINEAR)
