"""From what a person types after ``--cnnzoo-conformance`` to the things that are checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cnnzoo.errors import CnnzooError, did_you_mean


@dataclass(frozen=True)
class Subject:
    """One registered thing, or a plugin as a whole.

    Attributes:
        kind: ``"plugin"``, ``"model"``, ``"layer"`` or ``"data set"``.
        name: as it is registered; of a plugin, its prefix.
    """

    kind: str
    name: str


def subjects(patterns: str | Iterable[str]) -> list[Subject]:
    """List what is to be checked.

    Args:
        patterns: names with shell wildcards, several with commas between them; ``package:`` means
            all names of a package. Case is folded.

    Raises:
        CnnzooError: nothing has such a name (the nearest is suggested).

    >>> subjects("mnist_cnn, digits")
    [Subject(kind='model', name='mnist_cnn'), Subject(kind='data set', name='digits')]
    """
    from cnnzoo.plugins import load_plugins
    from cnnzoo.registry import datasets, layers, models

    typed = [patterns] if isinstance(patterns, str) else list(patterns)
    wanted = [part.strip() for each in typed for part in each.split(",") if part.strip()]
    installed = {plugin.name.casefold(): plugin for plugin in load_plugins()}
    shelves = (models, layers, datasets)
    found: list[Subject] = []
    for each in wanted:
        prefix, colon, rest = each.partition(":")
        plugin = installed.get(prefix.casefold()) if colon else None
        things: list[Subject] = []
        for shelf in shelves:
            names = shelf.names(each if rest or not colon else f"{each}*")
            if not names and each in shelf:  # an alias
                names = [shelf.info(each).name]
            things += [Subject(shelf.kind, name) for name in names]
        explained = plugin and (plugin.error or not rest)  # by the check of the plugin itself
        if not things and not explained:
            known = [name for shelf in shelves for name in shelf.names()]
            known += [f"{plugin.name}:" for plugin in installed.values()]
            raise CnnzooError(
                f'No model, layer, data set or plugin is called "{each}".'
                f"{did_you_mean(each, known)} `cnnzoo list` and `cnnzoo plugins` show them all."
            )
        whole = [Subject("plugin", plugin.name)] if plugin else []
        found += [subject for subject in whole + things if subject not in found]
    if not found:
        raise CnnzooError(
            'Say what to check: a name such as "mnist_cnn", or "package:" for all of a plugin.'
        )
    return found
