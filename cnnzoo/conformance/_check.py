"""A check: a function with a name, a sentence that says what it expects, and a kind of subject.

The sentence is the first line of the function's docstring. What is found wrong is a
`ConformanceError` with one more sentence: what was expected of this subject, and what came.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

Case = TypeVar("Case")


class ConformanceError(AssertionError):
    """A promise that is not kept."""


@dataclass(frozen=True)
class Check:
    """One promise, and how it is looked into.

    Attributes:
        name: for example ``"state_dict_round_trip"``.
        kind: of the subject: ``"model"``, ``"layer"``, ``"data set"`` or ``"plugin"``.
        expects: the promise, in a sentence.
        run: checks the subject of the name it is given.
        function: where it is written.
    """

    name: str
    kind: str
    expects: str
    run: Callable[[str], None]
    function: Callable[[Any], None]

    def __call__(self, subject: str) -> None:
        """Check what is registered as ``subject``; the caller's random numbers are left alone.

        Raises:
            ConformanceError: it does not keep the promise. Other errors are its own.
        """
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.run(subject)


_CHECKS: dict[tuple[str, str], Check] = {}  # by kind and name


def checks(kind: str) -> list[Check]:
    """List the checks of a kind of subject, in the order of their files.

    >>> [check.name for check in checks("plugin")]
    ['loads']
    """
    package = importlib.import_module("cnnzoo.conformance")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("check_"):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return [check for check in _CHECKS.values() if check.kind == kind]


def checks_on(
    kind: str, make_case: Callable[[str], Case]
) -> Callable[[Callable[[Case], None]], Check]:
    """Return a decorator that makes a function the check of a kind of subject.

    Args:
        kind: what it checks.
        make_case: from the subject's name to what the function is given; kept for the next check
            of the same subject, so that a model is built once.
    """
    latest = functools.lru_cache(maxsize=1)(make_case)

    def decorate(function: Callable[[Case], None]) -> Check:
        expects = (inspect.getdoc(function) or "").partition("\n")[0]
        check = Check(
            name=function.__name__,
            kind=kind,
            expects=expects,
            run=lambda subject: function(latest(subject)),
            function=function,
        )
        _CHECKS[kind, check.name] = check
        return check

    return decorate


def expect(kept: object, sentence: str) -> None:
    """Raise a `ConformanceError` with this sentence unless ``kept`` is true.

    >>> expect(2 > 1, "two is more than one")
    """
    if not kept:
        raise ConformanceError(sentence)


def expect_close(found: Any, wanted: Any, tolerance: float, what: str) -> None:
    """Raise unless two tensors agree to ``tolerance`` times the greatest value of ``wanted``."""
    expect(
        found.shape == wanted.shape,
        f"{what}: expected the shape {tuple(wanted.shape)}, got {tuple(found.shape)}.",
    )
    if not wanted.numel():
        return
    found, wanted = found.detach().double(), wanted.detach().double()
    difference = float((found - wanted).abs().max())
    limit = tolerance * max(float(wanted.abs().max()), 1e-6)
    expect(
        difference <= limit,
        f"{what}: expected a difference of at most {limit:.2g}, got {difference:.2g}.",
    )


def not_applicable(reason: str) -> NoReturn:
    """End a check that has nothing to look at: pytest shows it as skipped, with the reason."""
    import pytest

    pytest.skip(reason)
