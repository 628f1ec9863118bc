"""Translations are counted: what is missing, what is stale, what has grown."""

import json

import pytest

pytest.importorskip("sphinx", reason="needs the extra `docs`")
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from zoodocs import catalogues


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A page ``learn/one`` with three sentences, of which two are translated."""
    monkeypatch.setattr(catalogues, "LOCALE", tmp_path / "locale")
    monkeypatch.setattr(catalogues, "ALLOWANCE", tmp_path / "locale/allowance.json")
    templates = tmp_path / "templates"
    save(templates / "learn/one.pot", {"A digit.": "", "A kernel.": "", "A loss.": ""})
    save(templates / "reference/other.pot", {"Nobody translates this.": ""})
    translated = {"A digit.": "一个数字。", "A kernel.": "一个卷积核。", "A loss.": ""}
    save(catalogues.catalogue_of("learn/one"), translated)
    monkeypatch.setattr(catalogues, "extract", lambda folder: copy(templates, folder))
    return templates


def copy(source, folder):
    for file in source.rglob("*.pot"):
        target = folder / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())


def save(path, messages, fuzzy=()):
    catalogue = Catalog(locale="zh_CN")
    for english, chinese in messages.items():
        catalogue.add(english, chinese, flags=["fuzzy"] if english in fuzzy else [])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        write_po(stream, catalogue)


def test_missing_sentences_are_counted(site):
    assert catalogues.count_all(site) == {"learn/one": catalogues.Count(3, 1, 0)}


def test_more_than_allowed_fails_and_the_table_says_where(site, capsys):
    assert catalogues.main(["check"]) == 1
    assert "learn/one" in capsys.readouterr().out
    catalogues.main(["allow"])
    assert json.loads(catalogues.ALLOWANCE.read_text()) == {"learn/one": 1}
    assert catalogues.main(["check"]) == 0
    # A new sentence in the English counts from the day it is written.
    messages = {"A digit.": "", "A kernel.": "", "A loss.": "", "A slope.": ""}
    save(site / "learn/one.pot", messages)
    capsys.readouterr()
    assert catalogues.main(["check"]) == 1
    assert "more than allowed" in capsys.readouterr().out


def test_a_changed_sentence_becomes_fuzzy_and_counts(site):
    changed = {"A digit.": "", "A big kernel.": "", "A loss.": ""}
    save(site / "learn/one.pot", changed)
    assert catalogues.main(["update"]) == 0
    assert catalogues.count_all(site)["learn/one"] == catalogues.Count(3, 1, 1)
    kept = catalogues.read(catalogues.catalogue_of("learn/one"))
    assert kept["A digit."].string == "一个数字。"


def test_names_of_figures_outlive_an_update_from_pages_that_did_not_run(site):
    file = catalogues.catalogue_of("learn/one")
    save(file, {"A digit.": "一个数字。", "06 forward pass, 1": "第6章图1"})
    catalogues.main(["update"])
    assert catalogues.read(file)["06 forward pass, 1"].string == "第6章图1"
    assert catalogues.count_all(site)["learn/one"] == catalogues.Count(3, 2, 0)


def test_an_update_without_news_changes_no_file(site):
    file = catalogues.catalogue_of("learn/one")
    before = file.read_bytes()
    catalogues.main(["update"])
    assert file.read_bytes() == before


def test_the_catalogue_of_a_page_that_is_gone_goes(site):
    save(catalogues.catalogue_of("learn/old"), {"x": "y"})
    save(catalogues.catalogue_of("sphinx"), {"Next": "下一页"})
    catalogues.main(["update"])
    assert not catalogues.catalogue_of("learn/old").exists()
    assert catalogues.catalogue_of("sphinx").exists()
