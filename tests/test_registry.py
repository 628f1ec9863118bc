"""Names: folding, wildcards, order, collisions, keywords, specs."""

import json
import re

import pytest

import cnnzoo
from cnnzoo import plugins
from cnnzoo.registry import Registry


@pytest.fixture
def shelf(monkeypatch):
    """A registry of nothing."""
    monkeypatch.setattr(plugins, "load_plugins", lambda: ())
    return Registry("thing", home="tests_empty_home")


@pytest.fixture(autouse=True)
def _empty_home(tmp_path, monkeypatch):
    (tmp_path / "tests_empty_home").mkdir()
    (tmp_path / "tests_empty_home" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)


def test_decorator_returns_what_it_decorates_and_build_calls_it(shelf):
    @shelf.register("Fancy", aliases=("posh",))
    def make(size=3):
        return [0] * size

    assert make(1) == [0]
    assert shelf.build("fancy") == [0, 0, 0]
    assert shelf.build("POSH", size=2) == [0, 0]
    assert "fAnCy" in shelf
    assert "plain" not in shelf


def test_name_defaults_to_the_functions_own(shelf):
    @shelf.register()
    def plain():
        """Say one line.

        And another.
        """

    entry = shelf.info("plain")
    assert (entry.name, entry.summary) == ("plain", "Say one line.")
    assert re.fullmatch(r"\w*\.?test_registry:\d+", entry.origin)


def test_names_are_in_natural_order_and_match_wildcards(shelf):
    for name in ("vgg11", "vgg2", "LeNet5", "vgg2_bn", "alexnet"):
        shelf.register(name)(dict)
    assert shelf.names() == ["alexnet", "LeNet5", "vgg2", "vgg2_bn", "vgg11"]
    assert shelf.names("VGG*") == ["vgg2", "vgg2_bn", "vgg11"]
    assert shelf.names(["lenet?", "alex*"]) == ["alexnet", "LeNet5"]
    assert shelf.names("nothing*") == []


def test_aliases_are_found_but_not_listed(shelf):
    shelf.register("lenet5", aliases=["lenet"])(dict)
    assert shelf.names() == ["lenet5"]
    assert shelf.info("lenet").name == "lenet5"


@pytest.mark.parametrize("second", [{"name": "NET"}, {"name": "other", "aliases": ["net"]}])
def test_collision_names_both_places(shelf, second):
    shelf.register("net")(dict)
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        shelf.register(**second)(list)
    places = re.findall(r"test_registry:(\d+)", str(caught.value))
    assert len(set(places)) == 2, caught.value
    assert shelf.build("net") == {}, "the first one stays"


def test_override_replaces_with_all_its_names(shelf):
    shelf.register("net", aliases=["netz"])(dict)
    shelf.register("net", override=True)(list)
    assert shelf.build("net") == []
    assert "netz" not in shelf


def test_own_name_collides_with_the_zoos_when_registered():
    with pytest.raises(cnnzoo.CnnzooError, match=r"cnnzoo\.models\.mnist_cnn:\d+"):
        cnnzoo.register_model("mnist_cnn")(dict)


def test_bad_names_are_refused(shelf):
    for name in ("a b", "a:b", "", "a/b"):
        with pytest.raises(cnnzoo.CnnzooError, match="no name for a thing"):
            shelf.register(name or " ")(dict)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(cnnzoo.CnnzooError, match='Did you mean "mnist_cnn"'):
        cnnzoo.build("mnsit_cnn")
    with pytest.raises(cnnzoo.CnnzooError, match="a string; got int 5"):
        cnnzoo.model_info(5)


def test_wrong_keyword_is_caught_before_the_constructor_runs(shelf):
    ran = []

    @shelf.register("net")
    def net(num_classes, depth=3):
        ran.append(num_classes)

    with pytest.raises(cnnzoo.CnnzooError, match=r'"num_clases".*Did you mean "num_classes"'):
        shelf.build("net", num_clases=3)
    with pytest.raises(cnnzoo.CnnzooError, match='needs the argument "num_classes"'):
        shelf.build("net")
    assert ran == []
    shelf.build("net", num_classes=3)
    assert ran == [3]


def test_open_ended_builders_take_anything(shelf):
    shelf.register("net")(lambda **options: options)
    assert shelf.build("net", anything=1) == {"anything": 1}


def test_spec_is_json_and_rebuilds_overrides_included():
    model = cnnzoo.build("LeNet", num_classes=3, form="classic")
    spec = json.loads(json.dumps(model.spec))
    again = cnnzoo.build(spec)
    assert again.spec == model.spec == spec
    assert spec["model"] == "lenet5"
    assert spec["arguments"]["form"] == "classic"
    assert again.num_classes == 3
    assert cnnzoo.build(spec, num_classes=4).num_classes == 4


@pytest.mark.parametrize("spec", [{}, {"model": 3}, {"model": "lenet5", "arguments": [1]}])
def test_bad_specs(spec):
    with pytest.raises(cnnzoo.CnnzooError, match="A spec looks like"):
        cnnzoo.build(spec)


def test_arguments_that_json_cannot_hold_are_refused():
    with pytest.raises(cnnzoo.CnnzooError, match="must fit into JSON"):
        cnnzoo.build("mnist_cnn", num_classes=object())


def test_a_home_that_fails_to_import_says_so_every_time(tmp_path):
    home = tmp_path / "tests_broken_home"
    home.mkdir()
    (home / "__init__.py").touch()
    (home / "bad.py").write_text("import no_such_module_anywhere")
    broken = Registry("thing", home="tests_broken_home")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
            broken.names()
