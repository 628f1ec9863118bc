"""Packages that add to the zoo: found, prefixed, and quarantined when they fail."""

import json
import sys

import pytest
from click.testing import CliRunner

import cnnzoo
from cnnzoo import plugins, registry
from cnnzoo.cli import main

GOOD = """
from torch import nn
from cnnzoo import register_layer, register_model
from cnnzoo.layers import ConvReluMaxPool

@register_model("tiny", aliases=("small",))
def tiny(num_classes: int = 2):
    \"\"\"A plugin's model.\"\"\"
    return nn.Linear(3, num_classes)

@register_layer("conv_relu_maxpool.odd")
class Odd(ConvReluMaxPool):
    def forward(self, x):
        return x
"""
BROKEN = """
from cnnzoo import register_model
register_model("half")(dict)
raise RuntimeError("the disk of this plugin is on fire")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package with an entry point, for this test only."""
    monkeypatch.syspath_prepend(tmp_path)
    shelves = (registry.models, registry.layers, registry.datasets)
    for shelf in shelves:
        shelf.names()  # cnnzoo's own first
        monkeypatch.setattr(shelf, "_entries", dict(shelf._entries))
    modules = set(sys.modules)

    def make(name, source):
        (tmp_path / f"{name}_package").mkdir()
        (tmp_path / f"{name}_package" / "__init__.py").write_text("")
        (tmp_path / f"{name}_package" / "zoo.py").write_text(source)
        info = tmp_path / f"{name}_package-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}_package\nVersion: 1.2\n"
        )
        points = f"[cnnzoo.plugins]\n{name} = {name}_package.zoo\n"
        (info / "entry_points.txt").write_text(points)
        plugins.forget()

    yield make
    for module in set(sys.modules) - modules:
        if "_package" in module:
            del sys.modules[module]
    monkeypatch.undo()
    plugins.forget()


def test_names_carry_the_plugins_prefix(install):
    install("acme", GOOD)
    assert cnnzoo.list_models("*tiny*") == ["acme:tiny"]
    assert cnnzoo.build("acme:small", num_classes=5).out_features == 5
    assert cnnzoo.model_info("ACME:Tiny").plugin == "acme"
    with pytest.raises(cnnzoo.CnnzooError, match='Did you mean "acme:tiny"'):
        cnnzoo.build("tiny")


def test_prefix_does_not_depend_on_who_imports_first(install):
    install("acme", GOOD)
    import acme_package.zoo  # noqa: F401

    assert cnnzoo.list_models("*tiny*") == ["acme:tiny"]


def test_a_plugins_layer_is_an_implementation(install):
    install("acme", GOOD)
    model = cnnzoo.build(
        "single_layer_cnn", conv_relu_maxpool="acme:odd", image_size=28, num_classes=1
    )
    assert type(model.conv1).__name__ == "Odd"
    assert model.state_dict().keys() == cnnzoo.build("single_layer_cnn").state_dict().keys()


def test_a_broken_plugin_is_quarantined(install):
    install("acme", GOOD)
    install("broken", BROKEN)
    assert cnnzoo.list_models("*:*") == ["acme:tiny"], (
        "what it registered before it failed is hidden"
    )
    assert cnnzoo.build("mnist_cnn").num_classes == 10
    with pytest.raises(cnnzoo.CnnzooError, match="come from broken, which failed to load"):
        cnnzoo.build("broken:half")
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        cnnzoo.build("acme:nothing")
    assert "broken, which" not in str(caught.value), "a name of acme cannot come from broken"


def test_even_one_that_exits(install):
    install("rude", "raise SystemExit(3)")
    assert "mnist_cnn" in cnnzoo.list_models()
    assert plugins.quarantined() == {"rude"}


def test_command_shows_versions_names_and_tracebacks(install):
    install("acme", GOOD)
    install("broken", BROKEN)
    shown = CliRunner().invoke(main, ["plugins"])
    assert shown.exit_code == 0
    assert "1.2" in shown.output
    assert "acme:tiny, acme:conv_relu_maxpool.odd" in shown.output
    assert "RuntimeError: the disk of this plugin is on fire" in shown.output
    found = json.loads(CliRunner().invoke(main, ["plugins", "--json"]).output)
    assert [each["name"] for each in found] == ["acme", "broken"]
    assert found[0]["gives"] == ["acme:tiny", "acme:conv_relu_maxpool.odd"]


def test_no_plugins_is_fine():
    assert CliRunner().invoke(main, ["plugins"]).exit_code == 0
