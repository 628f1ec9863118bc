"""Public names that are imported when they are first used, so that importing a package is cheap."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module ``__getattr__`` (PEP 562) that finds ``homes``: public name → its module.

    >>> find = lazy_names("cnnzoo", {"CnnzooError": "cnnzoo.errors"})
    >>> find("CnnzooError").__name__
    'CnnzooError'
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)  # found directly from now on
        return value

    return find
