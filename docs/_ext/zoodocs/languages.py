"""Two languages side by side: the switch, markup beside Chinese letters, search in Chinese.

Each language is built into a folder of its own (``en``, ``zh_CN``) with the same pages, so the same
page in another language is one folder up and down. The templates draw the switch; this hands them
the languages.
"""

from __future__ import annotations

import copy
import logging
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import i18n


def give_languages(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    context["zoo_languages"] = app.config.zoodocs_languages
    context["zoo_language"] = app.config.language


def mend_search(app: Sphinx) -> None:
    """Sphinx 9.0's Chinese search asks for a stemmer that it does not define (#14229)."""
    if app.config.language == "zh_CN":
        app.add_js_file("chinese-search.js", priority=100)
        logging.getLogger("jieba").setLevel(logging.WARNING)  # it cuts sentences, and tells


def mend_markup(app: Sphinx) -> None:
    """Let bold and code of a translation stand beside letters: Chinese puts no spaces there.

    Only in translations: in English, ``channels_last`` would become a link.
    """
    publish = i18n._publish_msgstr

    def publish_beside_letters(*args: Any, settings: Any, **more: Any) -> nodes.Element:
        settings = copy.copy(settings)
        settings.character_level_inline_markup = True
        return publish(*args, settings=settings, **more)

    if app.config.language == "zh_CN" and publish.__name__ != publish_beside_letters.__name__:
        i18n._publish_msgstr = publish_beside_letters


def setup(app: Sphinx) -> None:
    app.add_config_value("zoodocs_languages", {}, "html", dict)
    app.connect("html-page-context", give_languages)
    app.connect("builder-inited", mend_search)
    app.connect("builder-inited", mend_markup)
