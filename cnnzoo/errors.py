"""What goes wrong, said in a sentence.

Every error that a caller's input can cause is a `CnnzooError`. Its message says what was expected,
what arrived and what to try; the command line prints it and exits with code 2, without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CnnzooError(ValueError):
    """Bad input: a name, a value, a file or a shape that cnnzoo cannot work with."""


def did_you_mean(word: str, legal: Iterable[str]) -> str:
    """Return ``' Did you mean "…"?'`` for the nearest of ``legal``, or an empty string.

    >>> did_you_mean("mnist_cn", ["lenet5", "mnist_cnn"])
    ' Did you mean "mnist_cnn"?'
    """
    by_fold = {name.casefold(): name for name in legal}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.5)
    return f' Did you mean "{by_fold[near[0]]}"?' if near else ""
