"""Takes the pictures of the web page for the guide: `python docs/make_screenshots.py`, after `make test-extras`.

Writes docs/images/page-*.png: a conversation with a box, an edit, a story, a slide, and a narrow, dark page.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import PIL.Image
from playwright.sync_api import Browser, Page

import seedx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from extras import page as pages  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDE = {"viewport": {"width": 1000, "height": 1000}}
NARROW = {"viewport": {"width": 375, "height": 720}, "color_scheme": "dark"}
COLOURS = 160  # of a picture's palette: small files
SLOW = 240_000  # milliseconds


def start(browser: Browser, url: str, example: str, **context: object) -> Page:
    """The page after an example was clicked; the list of examples is closed, to show more of the rest."""
    page = pages.visit(browser, url, **context)
    page.set_default_timeout(SLOW)
    page.get_by_role("button", name=re.compile(example)).click()
    return page


def ended(page: Page) -> None:
    page.wait_for_function(
        "() => [...document.querySelectorAll('button.seedx-stop')].filter(b => b.offsetParent).every(b => b.disabled)"
    )


def save(page: Page, name: str) -> None:
    page.get_by_role("button", name="Examples").click()
    page.wait_for_timeout(1500)  # pictures fade in, and the list closes
    with PIL.Image.open(io.BytesIO(page.screenshot(full_page=True))) as taken:
        small = taken.convert("RGB").quantize(COLOURS, dither=PIL.Image.Dither.NONE)
        small.save(IMAGES / f"page-{name}.png", optimize=True)
    page.context.close()


def main() -> None:
    with pages.served(seedx.load("tiny")) as running, pages.browser() as browser:
        page = start(browser, running.url, "draw a cat and a tree", **WIDE)
        page.locator("#seedx-chat figcaption", has_text="box").wait_for()
        ended(page)
        save(page, "chat")

        page = start(browser, running.url, "put sunglasses", **WIDE)
        page.locator("#seedx-slider img").nth(1).wait_for()
        ended(page)
        slider = page.locator("#seedx-slider").bounding_box()
        assert slider is not None
        middle = (slider["x"] + slider["width"] / 2, slider["y"] + slider["height"] / 2)
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(slider["x"] + 0.25 * slider["width"], middle[1], steps=8)
        page.mouse.up()
        save(page, "edit")

        page = start(browser, running.url, "a cat with a hat", **WIDE)
        page.locator("#seedx-story figure.seedx:not(.live)").nth(4).wait_for()
        ended(page)
        save(page, "story")

        page = start(browser, running.url, "a slide about", **WIDE)
        page.locator("#seedx-slide figure.slide").wait_for()
        ended(page)
        save(page, "slide")

        page = start(browser, running.url, "find the tree", **NARROW)
        page.locator("#seedx-chat figcaption").wait_for()
        ended(page)
        save(page, "narrow")


if __name__ == "__main__":
    main()
