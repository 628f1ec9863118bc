"""From anybody's picture to what a model expects.

    picture.py     what a picture is here, and the error of what is none
    modes.py       a PIL image of any mode to plain bytes
    arrays.py      an array of any layout and range to plain bytes
    reading.py     any source to plain bytes, safely
    fitting.py     plain bytes to a model's size and channels
    ink.py         what is ink and what is ground, where that can be said
    looking.py     what differs from the training pictures
    repairing.py   the model's input, repaired on request

Reading and fitting are all that training needs of it, and prediction does the same: a model meets
at work what it met in training.
"""

from cnnzoo.pictures.fitting import PreprocessingLike, fit
from cnnzoo.pictures.looking import PictureWarning, look
from cnnzoo.pictures.picture import MAX_PIXELS, ImageLike, Picture, PictureError, Pixels
from cnnzoo.pictures.reading import SUFFIXES, read_picture
from cnnzoo.pictures.repairing import Prepared, prepare

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "ImageLike",
    "Picture",
    "PictureError",
    "PictureWarning",
    "Pixels",
    "Prepared",
    "PreprocessingLike",
    "fit",
    "look",
    "prepare",
    "read_picture",
]
