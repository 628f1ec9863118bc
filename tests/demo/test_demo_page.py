"""The page in a real browser: drawn on, clicked, fed with good and bad files, and looked at.

Skips by name without chromium and playwright; ``CNNZOO_REQUIRE_BROWSER=1`` makes that a failure.
"""

import re
import time

import numpy as np
import pytest
from drawn_pictures import SEVEN, THREE, drawn, png
from PIL import Image

PAPER = 280  # pixels, in which the strokes are given
SOON = 20_000  # ms: a slow machine is no failure


class Visit:
    """A page in the browser, and everything it complained about or asked for."""

    def __init__(self, browser, address, width=1280, **options):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        self.page = self.context.new_page()
        self.complaints, self.requests = [], []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.answered = 0
        self.page.on("request", lambda request: self.requests.append(request.url))
        for end in ("requestfinished", "requestfailed"):
            self.page.on(end, self._answered)
        self.page.set_default_timeout(SOON)
        self.page.goto(address)
        self.page.wait_for_selector("#network option", state="attached")

    def _heard(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _answered(self, request):
        self.answered += 1

    def settle(self):
        """Wait until every question is answered and no other follows."""
        give_up = time.monotonic() + SOON / 1000
        while True:
            asked = len(self.requests)
            self.page.wait_for_timeout(300)
            if self.answered == asked == len(self.requests):
                return
            assert time.monotonic() < give_up, self.requests[-3:]

    def places(self, points):
        box = self.page.locator("#paper").bounding_box()
        scale = box["width"] / PAPER
        return [(box["x"] + x * scale, box["y"] + y * scale) for x, y in points]

    def draw(self, points):
        first, *rest = self.places(points)
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for place in rest:
            self.page.mouse.move(*place, steps=6)
        self.page.mouse.up()

    def expect(self, selector, pattern):
        """Wait until the text of an element matches a pattern."""
        self.page.wait_for_function(
            "([selector, pattern]) => new RegExp(pattern)"
            ".test(document.querySelector(selector)?.textContent ?? '')",
            arg=[selector, pattern],
        )

    def upload(self, name, body, kind="image/png"):
        self.page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": body})


@pytest.fixture
def visit(chromium, address):
    visits = []

    def start(**options):
        visits.append(Visit(chromium, address, **options))
        return visits[-1]

    yield start
    for each in visits:
        assert each.complaints == []
        assert each.requests
        away = [url for url in each.requests if not url.startswith((address, f"blob:{address}"))]
        assert away == []
        each.context.close()


def photo_of(points):
    """Dark ink on grey paper under a lamp, with noise: the reverse of MNIST in every way."""
    ink = np.asarray(drawn(points, ink="black", ground="white", mode="L"), float) / 255
    paper = np.full((450, 600), 1.0)
    paper[60:340, 60:340] = ink
    y, x = np.mgrid[0:1:450j, 0:1:600j]
    noise = np.random.default_rng(3).normal(0, 3, paper.shape)
    shades = (0.25 + 0.75 * paper) * (215 - 40 * x - 25 * y) + noise
    return png(Image.fromarray(shades.clip(0, 255).astype(np.uint8)), "jpeg", quality=85)


def test_a_three_and_a_seven_are_read_while_they_are_drawn(visit):
    seen = visit()
    seen.draw(THREE)
    seen.expect("#label", "^3$")
    asked = sum("api/answer" in url for url in seen.requests)
    assert asked >= 3, "answers come while the pen is down"
    seen.page.click("#clear")
    seen.expect("#label", r"^\?$")
    assert seen.page.locator(".tiles").count() == 0
    seen.draw(SEVEN)
    seen.expect("#label", "^7$")
    seen.expect("tr.first", r"7[5-9]\d\.\d %")
    seen.expect("#spoken", "^7, ")  # what a screen reader hears


def test_while_one_question_is_under_way_only_the_newest_waits(visit):
    seen, held = visit(), []
    answers = "**/api/answer*"
    seen.page.route(answers, lambda route: route.continue_() if held else held.append(route))
    seen.draw(SEVEN)
    seen.page.wait_for_timeout(300)
    assert sum("api/answer" in url for url in seen.requests) == 1
    held[0].continue_()
    seen.expect("#label", "^7$")  # the first question was about the first dot
    assert sum("api/answer" in url for url in seen.requests) == 2


def test_a_finger_draws_too(visit):
    seen = visit(width=375, has_touch=True, is_mobile=True)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 375
    touch = seen.context.new_cdp_session(seen.page)
    places = seen.places(SEVEN)
    kinds = ["touchStart", *["touchMove"] * (len(places) - 1)]
    for kind, (x, y) in zip(kinds, places, strict=True):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    seen.expect("#peek", r"^7: \d")
    assert seen.page.evaluate("scrollY") == 0, "the page must not scroll under the finger"
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 375


def test_an_inverted_photo_is_repaired_by_name(visit):
    seen = visit()
    seen.upload("photo.jpg", photo_of(SEVEN), "image/jpeg")
    seen.expect("#label", "^7$")
    seen.expect("#warnings", "inverted – repaired")
    assert seen.page.locator("#before").is_visible()
    seen.page.uncheck("#repair")
    seen.expect("#warnings", "inverted: ")
    assert not seen.page.locator("#before").is_visible()


def test_a_map_is_taken_apart(visit):
    seen = visit()
    seen.draw(SEVEN)
    seen.expect("#label", "^7$")
    seen.settle()  # a map that is open follows the pen, and so do its numbers
    assert seen.page.locator(".tiles button").count() == 64
    seen.page.locator(".tiles").first.locator("button").nth(9).click()
    seen.expect("#detail-name", "^Map 9 of conv1$")
    seen.settle()
    assert seen.page.locator("#kernel td").count() == 9
    assert seen.page.locator("#pool td").count() == 4
    assert seen.page.locator("#pool td.winner").count() == 1
    winner = seen.page.locator("#pool td.winner").inner_text()
    assert seen.page.locator("#sum").inner_text().endswith(f"= {winner}.")
    seen.expect("#map-place", f": {re.escape(winner)}$")
    assert seen.page.locator("#where-outline").is_visible()

    box = seen.page.locator("#map").bounding_box()  # row 4, column 6 of 13
    place = {"x": 6.5 / 13 * box["width"], "y": 4.5 / 13 * box["height"]}
    seen.page.locator("#map").click(position=place)  # waits until the page has scrolled
    seen.expect("#map-place", "^Row 4, column 6:")
    seen.page.locator("#map").focus()
    seen.page.keyboard.press("ArrowDown")
    seen.expect("#map-place", "^Row 5, column 6:")

    tile = seen.page.locator(".tiles").nth(1).locator("button").first
    tile.focus()
    seen.page.keyboard.press("End")
    seen.page.keyboard.press("ArrowLeft")
    seen.page.keyboard.press("Enter")
    seen.expect("#detail-name", "^Map 30 of conv2$")
    assert seen.page.locator("#channels button").count() == 12
    seen.page.locator("#channels button").nth(2).click()
    expected = seen.page.locator("#channels button").nth(2).inner_text().split(":")[0]
    seen.expect("#source-caption", f"^{expected} of conv1")
    seen.expect("#sum", "the other 31 maps")


def test_bad_files_are_sentences_and_the_page_goes_on(visit):
    seen = visit()
    paper = seen.page.locator("#paper").bounding_box()
    for name, body, words in (
        ("digit.png", b"I am a text.", "not a picture that can be read"),
        ("empty.png", b"", "nothing arrived"),
        ("blank.png", png(Image.new("L", (90, 90), 255)), "nothing to see yet"),
        ("large.png", None, "too large: at most 20 MB"),
    ):
        if body is None:
            seen.page.evaluate(CHOOSE_LARGE)
        else:
            seen.upload(name, body)
        seen.expect("#message", words)
        assert seen.page.locator("#label").inner_text() == "?"
        assert seen.page.locator("#paper").bounding_box() == paper  # never moves under a pen
    seen.page.click("#example")
    seen.expect("#label", "^3$")
    assert not seen.page.locator("#message").is_visible()


def test_every_example_and_every_network_works(visit):
    seen = visit()
    for digit in "372045":
        seen.page.click("#example")
        seen.expect("#label", f"^{digit}$")
    names = seen.page.locator("#network option").all_inner_texts()
    for name in names:
        seen.page.select_option("#network", name)
        seen.expect("#time", "Answered in")
        tiles = seen.page.locator(".tiles").last.locator("button")
        tiles.first.click()
        seen.expect("#detail-name", "^Map 0 of ")
        assert seen.page.locator("#kernel td").count() in (9, 25)


def test_text_can_be_read_and_nothing_sticks_out(visit):
    seen = visit()
    seen.page.click("#example")
    seen.expect("#label", "^3$")
    seen.page.locator(".tiles button").nth(40).click()
    seen.expect("#detail-name", "Map")
    for scheme in ("light", "dark"):
        seen.page.emulate_media(color_scheme=scheme)
        assert seen.page.evaluate(POOR_CONTRAST) == [], scheme
    for width in (375, 768, 1280):
        seen.page.set_viewport_size({"width": width, "height": 900})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


# A file of more than 20 MB, made in the page: sending one through the test's own wire takes long.
CHOOSE_LARGE = """() => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(20_000_001)], "large.png"));
  document.querySelector("#file").files = files.files;
  document.querySelector("#file").dispatchEvent(new Event("change"));
}"""

# Every element with text of its own: contrast of at least 4.5 to 1 (WCAG 2.2, AA).
POOR_CONTRAST = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")].filter((element) => element.checkVisibility()
      && !element.closest(".hidden, noscript, option")
      && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((element) => {
      const both = [light(numbers(getComputedStyle(element).color)), light(ground(element))];
      const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
      return [element.textContent.trim().slice(0, 30), Math.round(100 * ratio) / 100];
    }).filter(([, ratio]) => ratio < 4.5);
}"""
