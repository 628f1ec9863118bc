"""Several processes run the same command; to the person who gave it they speak as one."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator

from cnnzoo.errors import CnnzooError
from cnnzoo.train.processes import Processes


@contextlib.contextmanager
def one_voice(processes: Processes) -> Iterator[None]:
    """Let the main process speak; the others say only what went wrong with them alone.

    Raises:
        CnnzooError: the sentence with the number of the process, where it is not the main one's.
        SystemExit: the main process has said the same, or Ctrl-C ended them all.
    """
    with warnings.catch_warnings():
        if not processes.is_main:
            warnings.simplefilter("ignore")
        try:
            yield
        except CnnzooError as error:
            ended = processes.last_words(error)
            if processes.is_main:
                raise ended from None
            if processes.main_said(ended):
                sys.exit(2)
            raise CnnzooError(f"(process {processes.rank}) {ended}") from None
        except KeyboardInterrupt:
            if processes.is_main:
                raise
            sys.exit(130)
