"""Check of a plugin as a whole: that it could be imported."""

from __future__ import annotations

from cnnzoo.conformance._check import checks_on, expect
from cnnzoo.plugins import Plugin, load_plugins
from cnnzoo.registry import datasets, layers, models


def _plugin(name: str) -> Plugin:
    return next(plugin for plugin in load_plugins() if plugin.name == name)


plugin_check = checks_on("plugin", _plugin)


@plugin_check
def loads(plugin: Plugin) -> None:
    """Its module is imported without an error and registers at least one name."""
    expect(
        plugin.error is None, f"Expected {plugin.module} to be imported; it ended in {plugin.error}"
    )
    given = [
        name for shelf in (models, layers, datasets) for name in shelf.names(f"{plugin.name}:*")
    ]
    expect(
        given,
        f"Expected {plugin.module} to register a model, a layer or a data set; it registers none.",
    )
