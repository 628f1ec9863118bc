"""Sphinx's settings. `python docs/build.py` runs it, once a language; `--help` says what else.

    index.md            the front page
    tutorials/          scripts that run when the site is built; their pages appear in learn/
    reference/          from docstrings, registries, the command line and the sources
    design/             how it is made
    _ext/zoodocs/       directives and repairs of our own, one idea a file
    locale/             translations, one catalogue a page

Warnings are errors, and a name that leads nowhere is a warning: what is linked here exists.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]  # zoodocs; benchmarks and tests

project = "cnnzoo"
author = "The cnnzoo developers"
copyright = f"%Y, {author}"
release = version = installed_version("cnnzoo")
language = "en"  # the other build says -D language=zh_CN

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "zoodocs",
]
exclude_patterns = [
    "_build",
    "tutorials",
    "locale",
    "example_plugin",
    "cpp_example",
    "**/README.md",
]
templates_path = ["_templates"]
nitpicky = True
# Libraries whose own pages cannot be asked without a network: their types stay words.
nitpick_ignore_regex = [
    ("py:.*", rf"{library}(\..*)?")
    for library in ("torch", "nn", "numpy", "np", "PIL", "Image", "click", "matplotlib", "types")
]
nitpick_ignore_regex += [
    ("py:.*", r"(abc|collections|pathlib|os|inspect|importlib|typing|fractions)\..*"),
    (
        "py:.*",
        r"(int|float|str|bool|bytes|object|list|dict|set|frozenset|tuple|type|slice|None"
        r"|optional|callable|ValueError|TypeError|Exception|BaseException|Ellipsis|\.\.\.)",
    ),
    # What a signature shows as it is written.
    (
        "py:.*",
        r"(Any|Tensor|Optimizer|Path|Figure|Array|Shape|Callable|Iterable|Iterator|Mapping|Sequence)",
    ),
]

# -- Docstrings ------------------------------------------------------------------------------------
default_role = "py:obj"
smartquotes_action = "D"  # dashes between a parameter and its words; quotes stay as typed
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False  # our Returns: are sentences
napoleon_attr_annotations = False  # the signature of a dataclass shows them already
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80

# -- Markdown --------------------------------------------------------------------------------------
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

# -- Tutorials -------------------------------------------------------------------------------------
sphinx_gallery_conf = {
    "capture_repr": (),  # a tutorial prints what it wants to show
    "examples_dirs": ["tutorials"],
    "gallery_dirs": ["learn"],
    "filename_pattern": "plot_",
    "copyfile_regex": r"index\.rst",  # instead of a page of thumbnails that cannot be translated
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("zoodocs.light_dark.scrape",),
    "reset_modules": ("matplotlib", "zoodocs.fresh.forget"),
    "reset_modules_order": "both",
    "backreferences_dir": None,
    "download_all_examples": False,
    "remove_config_comments": True,
    # Settings that keep what is measured out of the text that is translated.
    "min_reported_time": 1e9,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
}

# -- Languages -------------------------------------------------------------------------------------
locale_dirs = ["locale"]
gettext_compact = False
gettext_location = False
gettext_uuid = False
zoodocs_languages = {"en": "English", "zh_CN": "简体中文"}

# -- Looks -----------------------------------------------------------------------------------------
html_theme = "furo"
html_title = "cnnzoo"
html_static_path = ["_static"]
html_css_files = ["cnnzoo.css"]
html_favicon = "_static/favicon.svg"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b5cad",
        "color-brand-content": "#0b5cad",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7ab8ff",
        "color-brand-content": "#7ab8ff",
    },
    "footer_icons": [],
}
