"""Each tutorial starts as if it ran alone: the site runs them all in one process.

What a tutorial registered is gone before the next one, and plugins are looked for anew, because a
tutorial may have made one.
"""

from __future__ import annotations

from typing import Any

from cnnzoo import plugins, registry

_own: dict[str, dict[str, Any]] = {}  # kind → entries of cnnzoo alone


def forget(gallery_conf: dict[str, Any], fname: str) -> None:
    """Put registries and plugins back (sphinx-gallery calls it before each script)."""
    plugins.forget()
    for shelf in (registry.models, registry.layers, registry.datasets):
        kept = _own.setdefault(shelf.kind, dict(shelf._own()))
        shelf._entries = dict(kept)
