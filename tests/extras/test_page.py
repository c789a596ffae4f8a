"""The page in a browser: every ability, and what a visitor may do. One server and one browser for all tests."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from fastapi.testclient import TestClient
from pptx import Presentation

import seedx
from extras import page as pages
from seedx.serve.app import Access, create_app
from seedx.serve.errors import ServeError
from seedx.serve.ui.about import About, read_about
from seedx.serve.ui.mount import mount

EXAMPLES = Path(__file__).parents[2] / "examples"
MEADOW, POND = EXAMPLES / "meadow.png", EXAMPLES / "pond.png"
BOT = "#seedx-chat .bot"


@pytest.fixture(scope="module")
def running():
    with pages.served(seedx.load("tiny")) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with pages.browser() as browser:
        yield browser


@pytest.fixture
def page(browser, running):
    page = pages.visit(browser, running.url, viewport={"width": 1100, "height": 900})
    yield page
    problems = page.problems
    page.context.close()
    assert not problems


def example(page, text):
    page.get_by_role("button", name=re.compile(re.escape(text))).click()


def send(page, text, *files):
    if files:
        with page.expect_response(lambda response: "/upload" in response.url):
            page.locator("#seedx-message input[type=file]").set_input_files(files)
        page.locator("#seedx-message .thumbnail-item").nth(len(files) - 1).wait_for()
    page.locator(pages.READY).fill(text)
    said = page.locator("#seedx-chat .user").count()
    page.locator(pages.READY).press("Enter")
    page.locator("#seedx-chat .user").nth(said).wait_for()


def settings(page, **values):
    panel = page.get_by_role("button", name="Settings")
    if not page.locator("#seedx-set-steps").is_visible():
        panel.click()
    for name, value in values.items():
        field = page.locator(f"#seedx-set-{name}").locator("input, textarea").first
        field.fill(str(value))
        field.press("Tab")


def ended(page):
    """Wait until the stop button that can be seen is at rest again."""
    page.wait_for_function(
        "() => [...document.querySelectorAll('button.seedx-stop')].filter(b => b.offsetParent).every(b => b.disabled)"
    )


def opened(src):
    return PIL.Image.open(io.BytesIO(base64.b64decode(src.split(",")[1]))).convert("RGB")


def fetched(page, src):
    return PIL.Image.open(io.BytesIO(page.request.get(src).body())).convert("RGB")


def close(one, other, within=2):
    assert one.size == other.size
    return np.abs(np.asarray(one, int) - np.asarray(other.convert("RGB"), int)).max() <= within


def idle(running):
    """Nothing runs any more, soon."""
    end = time.monotonic() + 10
    while not running.service.scheduler.idle and time.monotonic() < end:
        time.sleep(0.02)
    return running.service.scheduler.idle


def test_it_tells_the_models_limits_and_has_an_example_of_each_ability(page):
    assert "nothing else" in page.locator("#seedx-about").inner_text()
    names = page.locator(".seedx-examples button").all_inner_texts()
    about = read_about(Path(seedx.__file__).parents[1] / "seedx_stickers" / "assets" / "tiny")
    assert len(names) == len(about.examples)
    assert {name.strip().split(":")[0].lower() for name in names} == {each.ability for each in about.examples}


def test_a_box_is_on_its_picture(page):
    example(page, "find the tree")
    picture = page.locator(f"{BOT} img")
    picture.wait_for()
    assert page.locator(f"{BOT} figcaption").inner_text() == "1 box: tree"
    marked = np.asarray(opened(picture.get_attribute("src")), int)
    coloured = (np.abs(marked - (0xE6, 0x19, 0x4B)) <= 3).all(-1)
    rows, columns = np.nonzero(coloured)
    assert columns.min() > marked.shape[1] // 2  # the tree is at the right
    assert len(rows) > 300


def test_several_pictures_by_the_keyboard(page, running):
    question = "which picture has more ducks?"
    send(page, question, MEADOW, POND)
    ended(page)
    assert page.locator("#seedx-chat .user img").count() == 2
    assert page.locator(BOT).inner_text().strip() == running.model.chat(question, [MEADOW, POND]).text
    send(page, "find the frog")  # the conversation goes on, and the last picture is that of the box
    page.locator(f"{BOT} figcaption").wait_for()


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_pictures_by_paste_and_drag(page, event):
    data = base64.b64encode(MEADOW.read_bytes()).decode()
    carried = page.evaluate_handle(
        """data => {
            const carried = new DataTransfer();
            const bytes = Uint8Array.from(atob(data), each => each.charCodeAt(0));
            carried.items.add(new File([bytes], "meadow.png", {type: "image/png"}));
            return carried;
        }""",
        data,
    )
    if event == "paste":
        page.evaluate(
            "([where, carried]) => document.querySelector(where).dispatchEvent("
            "new ClipboardEvent('paste', {clipboardData: carried, bubbles: true, cancelable: true}))",
            [pages.READY, carried],
        )
    else:
        page.dispatch_event(pages.READY, "drop", {"dataTransfer": carried})
    page.locator("#seedx-message .thumbnail-item").wait_for()
    send(page, "find the cat")
    page.locator(f"{BOT} figcaption").wait_for()


NOTE_LIVE = """() => new MutationObserver(() => {
    if (document.querySelector("figure.seedx.live")) window.sawLive = true;
}).observe(document.body, {childList: true, subtree: true, attributes: true})"""


def test_a_drawing_with_live_previews(page, running):
    settings(page, seed=3)
    page.evaluate(NOTE_LIVE)
    send(page, "draw a cat")
    page.wait_for_function("() => window.sawLive")  # it may have come and gone
    drawn = page.locator(f"{BOT} figure.seedx:not(.live) img")
    drawn.wait_for()
    assert close(opened(drawn.get_attribute("src")), running.model.draw("draw a cat", seed=3))
    page.get_by_role("tab", name="Gallery").click()
    page.locator("#seedx-gallery").get_by_text("seed 3").wait_for()
    page.locator("#seedx-gallery button.thumbnail-item").first.click()
    page.locator("#seedx-details dl").wait_for()
    assert " ".join(page.locator("#seedx-details").inner_text().split()) == "prompt draw a cat pixels 96 x 96 seed 3"
    settings(page, seed=5)
    page.get_by_role("button", name="Use these settings").click()
    page.wait_for_function("() => [...document.querySelectorAll('input')].some(i => i.value === '3')")


def test_drawing_is_forced_and_forbidden(page):
    settings(page, steps=2)
    page.get_by_label("always draw").check()
    send(page, "what is in the picture?", MEADOW)
    ended(page)
    assert page.locator(f"{BOT} figure").count() == 1
    page.get_by_label("words only").check()
    send(page, "draw a dog")
    page.locator(BOT).nth(1).wait_for()
    ended(page)
    assert page.locator(f"{BOT} figure").count() == 1


@pytest.mark.parametrize("way", ["button", "key"])
def test_stop_ends_the_work(page, running, way):
    settings(page, steps=100)
    page.keyboard.press("Escape")  # nothing runs: nothing happens
    page.locator("h1").click()
    page.keyboard.press("/")
    page.keyboard.type("draw a cat")
    page.keyboard.press("Enter")
    page.locator("figure.seedx.live").wait_for()
    if way == "key":
        page.keyboard.press("Escape")
    else:
        page.locator("button.seedx-stop:visible").click()
    page.get_by_text("Stopped.").wait_for()
    assert idle(running)
    send(page, "what is a cat?")  # and the conversation can go on
    page.locator(BOT).nth(1).wait_for()
    ended(page)


def test_closing_the_page_ends_its_work(browser, running):
    page = pages.visit(browser, running.url)
    settings(page, steps=100)
    send(page, "draw a cat")
    page.locator("figure.seedx.live").wait_for()
    page.context.close()
    assert idle(running)


def test_an_edit_of_a_painted_region(page):
    settings(page, steps=6)
    example(page, "put sunglasses on the cat")
    page.locator("#seedx-slider img").first.wait_for()
    ended(page)
    canvas = page.locator("#seedx-editor canvas").first
    page.locator("#seedx-editor").get_by_role("button", name=re.compile("brush|draw", re.I)).first.click()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.55 * box["height"], steps=5)
    page.mouse.up()
    page.locator("#seedx-edit-prompt textarea").fill("change the background to night")
    before_src = page.locator("#seedx-slider img").last.get_attribute("src")
    page.locator("#seedx-edit").click()
    page.wait_for_function(
        "src => ![...document.querySelectorAll('#seedx-slider img')].some(i => i.src === src)", arg=before_src
    )
    ended(page)
    one, other = (
        np.asarray(fetched(page, each.get_attribute("src")), int)
        for each in page.locator("#seedx-slider img").all()[:2]
    )
    changed = np.abs(one - other).max(-1) > 40
    high, wide = changed.shape
    assert changed[int(0.4 * high) : int(0.65 * high), int(0.2 * wide) : int(0.5 * wide)].any()
    assert not changed[:, int(0.7 * wide) :].any() and not changed[int(0.8 * high) :].any()


def test_a_story_as_a_strip(page):
    settings(page, steps=3)
    page.get_by_role("tab", name="Story").click()
    page.locator("#seedx-story-prompt textarea").fill("a cat with a hat goes to the beach")
    page.get_by_label("number input for Pictures").fill("2")
    page.get_by_label("number input for Pictures").press("Tab")
    page.locator("#seedx-tell").click()
    page.locator("#seedx-story figure.seedx:not(.live)").nth(1).wait_for()
    ended(page)
    assert page.locator("#seedx-story li").count() == 2
    assert all("cat" in sentence for sentence in page.locator("#seedx-story li p").all_inner_texts())


def test_a_slide_and_its_file(page, tmp_path):
    settings(page, steps=3)
    example(page, "a slide about a picnic for a dog")
    page.locator("#seedx-slide figure.slide").wait_for()
    ended(page)
    with page.expect_download() as download:
        page.locator("#seedx-pptx").click()
    download.value.save_as(tmp_path / "slide.pptx")
    [slide] = Presentation(str(tmp_path / "slide.pptx")).slides
    assert any(shape.has_text_frame and shape.text_frame.text for shape in slide.shapes)


def test_a_turn_that_can_not_be_is_said(page):
    settings(page, steps=1000)
    send(page, "draw a cat")
    page.locator(".seedx-error").wait_for()
    settings(page, steps=2)
    send(page, "draw a cat")
    page.locator(f"{BOT} figure.seedx:not(.live)").wait_for()


def test_what_is_written_is_shown_as_it_is(page):
    written = "<img src=x onerror=alert(1)> **cat** $x$"
    send(page, written)
    ended(page)
    assert page.locator("#seedx-chat .user").inner_text().strip() == written


def test_a_narrow_screen(browser, running):
    page = pages.visit(browser, running.url, viewport={"width": 375, "height": 720})
    for tab in ("Conversation", "Edit", "Story", "Slide", "Gallery"):
        found = page.get_by_role("tab", name=tab)
        if not found.is_visible():  # gradio puts tabs without room into a menu
            page.locator(".overflow-menu > button").click()
        page.locator(f"button:visible:has-text('{tab}')").last.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, tab
    page.context.close()


def test_dark_mode(browser, running):
    light = {}
    for scheme in ("light", "dark"):
        page = pages.visit(browser, running.url, color_scheme=scheme)
        colours = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('h1')).color]"
        )
        light[scheme] = [sum(map(int, re.findall(r"\d+", colour)[:3])) > 382 for colour in colours]
        page.context.close()
    assert light == {"light": [True, False], "dark": [False, True]}


@pytest.fixture(scope="module")
def guarded(running):
    app = create_app(running.service, Access(keys=("a key",)))
    mount(app, running.service, About())
    return TestClient(app)  # outside of a `with`: the service is not started again


def test_a_key_opens_the_page(guarded):
    assert guarded.get("/ui/").status_code == 401
    assert "Basic" in guarded.get("/ui/").headers["WWW-Authenticate"]
    assert guarded.get("/ui/", auth=("anyone", "another key")).status_code == 401
    assert guarded.get("/ui/config", auth=("anyone", "a key")).status_code == 200
    assert guarded.get("/v1/models", auth=("anyone", "a key")).status_code == 401  # the API takes no passwords
    assert guarded.get("/v1/models", headers={"Authorization": "Bearer a key"}).status_code == 200


def test_the_disk_and_other_addresses_stay_closed(guarded):
    def status(path):
        return guarded.get(f"/ui/gradio_api/{path}", auth=("anyone", "a key")).status_code

    assert status("file=/etc/passwd") == status(f"file={MEADOW}") == status("file=pyproject.toml") == 403
    assert status("proxy=http://example.org/") == status("file=http://example.org/") == status("call/send") == 404
    with ThreadPoolExecutor(1) as pool:  # playwright has a loop in this thread
        for block in guarded.app.state.page.blocks.values():
            with pytest.raises(ServeError, match="not by address"):
                pool.submit(asyncio.run, block.async_move_resource_to_block_cache("http://127.0.0.1:1/a.png")).result()
