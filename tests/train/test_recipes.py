"""Recipes: ours are valid, and a user's mistakes are said in a sentence."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cnnzoo.errors import CnnzooError
from cnnzoo.train.config import TrainConfig
from cnnzoo.train.recipes import list_recipes, load_recipe, recipe_info


@pytest.mark.parametrize("name", list_recipes())
def test_ours_are_valid_and_described(name):
    recipe = recipe_info(name)
    assert recipe.name == name
    assert recipe.description.endswith(".")
    assert "\n" not in recipe.description
    assert "description" not in recipe.settings
    config = TrainConfig(**recipe.settings)
    assert all(getattr(config, key) == value for key, value in recipe.settings.items())


def test_the_shipped_ones():
    assert list_recipes() == ["best", "fashion", "fast", "tutorial"]


def test_tutorial_is_the_default():
    assert TrainConfig(**load_recipe("tutorial")) == TrainConfig()


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('description = "Größe"\nepochs = 3\nlr = 0.5\nnesterov = true\n', "utf-8")
    recipe = recipe_info(path)
    assert recipe.name == "mine"
    assert recipe.description == "Größe"
    assert recipe.path == path
    assert load_recipe(str(path)) == {"epochs": 3, "lr": 0.5, "nesterov": True}


def test_what_is_handed_out_is_a_copy():
    load_recipe("tutorial")["epochs"] = 99
    assert load_recipe("tutorial")["epochs"] == 10


def test_a_description_is_not_needed(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 3\n")
    assert recipe_info(path).description == ""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("epocs = 3", '"epocs" is no setting of a run. Did you mean "epochs"?'),
        ("epochs = 0", "epochs must be at least 1; got 0"),
        ('epochs = "3"', "epochs must be a whole number; got '3'"),
        ("epochs = 3\nlr = = 1", "is no TOML: Invalid value (at line 2, column 6)."),
        ("epochs = 3\nepochs = 4\n", "is no TOML: Cannot overwrite a value (at line 2"),
        ("[train]\nepochs = 3", '"train" must be a number, a string, true or false; got a table.'),
        ("lr = [0.1, 0.2]", '"lr" must be a number, a string, true or false; got a list.'),
        ("seed = 2020-01-01", '"seed" must be a number, a string, true or false; got a date.'),
        ("description = 3", "description must be a string; got 3."),
    ],
)
def test_mistakes_are_said_with_the_file(tmp_path, text, sentence):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(CnnzooError) as error:
        load_recipe(path)
    assert sentence in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b'epochs = 3\ndevice = "\xff"\n')
    with pytest.raises(CnnzooError, match=r"is no TOML: line 2 is not UTF-8 text\."):
        load_recipe(path)


def test_a_name_that_is_not_there():
    with pytest.raises(CnnzooError) as error:
        load_recipe("tutrial")
    assert 'Unknown recipe "tutrial". Did you mean "tutorial"? Known: best, ' in str(error.value)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_is_not_there(tmp_path, name):
    path = tmp_path / name if name != "." else tmp_path / "folder.toml"
    if name == ".":
        path.mkdir()
    with pytest.raises(CnnzooError, match="Cannot read the recipe"):
        load_recipe(path)


def test_reading_a_recipe_loads_no_torch():
    code = (
        "import sys; from cnnzoo.train.recipes import load_recipe, list_recipes\n"
        "load_recipe('tutorial'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_recipes_are_part_of_the_package():
    """The patterns of pyproject.toml must reach them, or an installed cnnzoo has none."""
    root = Path(__file__).parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["cnnzoo"]
    packed = {path for pattern in patterns for path in (root / "cnnzoo").glob(pattern)}
    assert {recipe_info(name).path for name in list_recipes()} <= packed
