"""Names in docstrings lead to the page on which they are documented.

A docstring says `` `ImageSet` `` and a signature ``cnnzoo.data._base.ImageSet``; the reference
documents ``cnnzoo.ImageSet``. What Sphinx cannot find is looked up here: by the place where the
object was defined, then by the end of its name if that belongs to one object alone.

Single backticks also stand around names that are no links: arguments, files, private helpers. Those
stay code. A name that begins with ``cnnzoo.`` must exist, or the build fails.
"""

from __future__ import annotations

import importlib
from typing import Any, TypeVar

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode


def find(name: str) -> Any:
    """Return the object with this dotted name; None where there is none."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found
    return None


def _places(domain: PythonDomain) -> dict[str, str]:
    """Where an object was defined → the name it is documented under."""
    places: dict[str, str] = {}
    for name in domain.objects:
        found = find(name)
        module, qualified = (getattr(found, key, None) for key in ("__module__", "__qualname__"))
        if isinstance(module, str) and isinstance(qualified, str):
            places.setdefault(f"{module}.{qualified}", name)
    return places


def _documented(env: BuildEnvironment, target: str, module: str | None) -> str | None:
    """Return the documented name that ``target`` means."""
    domain: PythonDomain = env.domains.python_domain
    count = len(domain.objects)
    if getattr(env, "zoodocs_places", (0, {}))[0] != count:
        env.zoodocs_places = (count, _places(domain))  # type: ignore[attr-defined]
    places: dict[str, str] = env.zoodocs_places[1]  # type: ignore[attr-defined]
    for name in (target, f"{module}.{target}"):
        if name in places:
            return places[name]
        found = find(name) if name.startswith("cnnzoo.") else None
        place = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
        if place in places:
            return places[place]
    ends = {name for name in domain.objects if name.endswith(f".{target}")}
    return ends.pop() if len(ends) == 1 else None


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.Node | None:
    """Answer Sphinx's question for a name it does not know."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].lstrip(".~!")
    name = _documented(env, target, node.get("py:module"))
    if name is not None:
        entry = env.domains.python_domain.objects[name]
        return make_refnode(
            app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, name
        )
    if not target.startswith("cnnzoo."):
        return contnode if node["reftype"] == "obj" else None
    found = find(target)
    if found is not None and (node["reftype"] == "obj" or _is_private(found, target)):
        return contnode
    return None


def _is_private(found: Any, target: str) -> bool:
    """Say whether a signature shows what nobody is meant to look up."""
    return isinstance(found, TypeVar) or any(part.startswith("_") for part in target.split("."))


COLON = "\ue000"


def hide_colon(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon from reading the words before a colon as a type: ours are sentences."""
    if what in ("attribute", "property") and lines:
        lines[0] = lines[0].replace(":", COLON)


def show_colon(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(COLON, ":") for line in lines]


def mend_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: Any
) -> tuple[str, Any] | None:
    """A default that a dataclass makes anew is written ``<factory>``, which Sphinx cannot read."""
    return (signature.replace("<factory>", "..."), returned) if signature else None


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", hide_colon, priority=100)
    app.connect("autodoc-process-docstring", show_colon, priority=900)
    app.connect("autodoc-process-signature", mend_signature)
    app.connect("missing-reference", resolve)
