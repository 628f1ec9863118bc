"""What the build looks for after Sphinx: warnings that a page printed, bold that is none."""

import importlib.util

import pytest

pytest.importorskip("sphinx", reason="needs the extra `docs`")
from documents import ROOT
from zoodocs import links

spec = importlib.util.spec_from_file_location("site_build", ROOT / "docs/build.py")
site_build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(site_build)


def test_a_warning_in_a_page_is_found(tmp_path):
    page = tmp_path / "plot_01.rst"
    page.write_text("    /x/torch/nn.py:12: UserWarning: old\n")
    assert site_build.python_warnings(tmp_path) == [
        "plot_01.rst: a tutorial warns: /x/torch/nn.py:12: UserWarning: old"
    ]
    page.write_text("A sentence about a Warning: it is none.\n")
    assert site_build.python_warnings(tmp_path) == []


def test_bold_that_stayed_stars_is_found(tmp_path):
    page = tmp_path / "index.html"
    page.write_text("<p>这是**粗体**字</p><pre>f(**more)</pre><code>**x</code>")
    assert len(site_build.literal_stars(tmp_path)) == 1
    page.write_text("<p>这是<b>粗体</b>字</p><pre>f(**more)</pre><code>**x</code>")
    assert site_build.literal_stars(tmp_path) == []
    page.write_text(
        '<dt class="sig">f(<span>**</span>kw)</dt><li><strong>**kw</strong> – more</li>'
    )
    assert site_build.literal_stars(tmp_path) == []


def test_links_to_files_of_the_repository_lead_into_the_site():
    def rewrite(text):
        return links.rewrite(text, ROOT / "docs")

    assert rewrite("[map](../csrc/README.md)") == "[map](/design/kernels.md)"
    assert rewrite("[`a.h`](../csrc/conv_relu_maxpool.h#x)") == "`a.h`"
    assert rewrite("[struct](../csrc/conv_relu_maxpool.h)") == "struct (`csrc/conv_relu_maxpool.h`)"
    for kept in ("[x](training.md)", "[x](../no/such.md)", "[x](https://example.org/a)", "[x](#y)"):
        assert rewrite(kept) == kept


def test_every_page_that_stands_for_a_file_exists():
    for file, page in links.PAGES.items():
        assert (ROOT / file).exists()
        assert (ROOT / "docs" / page.lstrip("/")).exists()
