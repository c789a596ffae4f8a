"""The task of slides: the slide is what the prompt asks for, and is parsed without repairs."""

import dataclasses
import random
import re

import pytest

from seedx.inference.reply import Reply
from seedx.messages import Image, Text
from seedx.slides import Slide
from seedx.tokenizer import train_tokenizer
from seedx_stickers import scoring
from seedx_stickers.scenes import Scene, render
from seedx_stickers.tasks import sample
from seedx_stickers.tasks.slides import LAYOUTS, TOPICS
from seedx_stickers.tasks.wishes import THEMES

EXAMPLES = [sample(random.Random(f"slide{seed}"), "slide", None) for seed in range(250)]


def prompt(example) -> str:
    return example.messages[0].content[0].text.lower().strip("?. ")


def reply(example) -> Reply:
    """The answer with its picture painted."""
    content = example.messages[1].content
    return Reply(tuple(Image(render(part.image)) if isinstance(part, Image) else part for part in content))


def test_slides_are_read_back_without_a_repair_and_have_no_problem():
    for example in EXAMPLES[:80]:
        slide = Slide.parse(reply(example).content)
        assert slide.repairs == () and slide.problems() == [] and len(slide.images) == 1
        x0, y0, x1, y1 = slide.images[0].corners
        assert (x1 - x0) * slide.width == pytest.approx((y1 - y0) * slide.height, rel=0.02)  # square, as its scene is


def test_the_words_decide_all_of_a_slide():
    answers: dict[str, tuple[str, Scene]] = {}
    for seed in range(1200):
        example = sample(random.Random(seed), "slide", None)
        answer = example.expected[0].text, example.expected[0].target
        assert answers.setdefault(prompt(example), answer) == answer
    assert len(answers) < 1190  # some did meet


def test_layouts_and_titles_of_the_prompt_are_used():
    layouts, titles = set(), 0
    for example in EXAMPLES:
        slide, said = Slide.parse(reply(example).content), prompt(example)
        if found := [name for name, layout in LAYOUTS.items() if any(said.endswith(w) for w in layout.wordings)]:
            (name,) = found
            layouts.add(name)
            assert [round(value * 224) for value in slide.images[0].corners[:2]] == [*LAYOUTS[name].picture[:2]]
        if named := re.search(r'"(.+)"', said):
            titles += 1
            assert slide.title.lower() == named[1]
    assert layouts == set(LAYOUTS) and titles > 20


def test_the_body_names_what_the_picture_shows():
    for example in EXAMPLES:
        body = Slide.parse([Text(example.expected[0].text)]).texts[1].paragraphs[0].text.lower()
        assert all(re.search(rf"\b{ask.name}", body) for ask in example.expected[0].asked if ask.count == 1)


def test_every_theme_has_a_topic_of_its_own():
    assert set(TOPICS) == set(THEMES)
    assert len({topic.name for topic in TOPICS.values()} | {topic.sentence for topic in TOPICS.values()}) == 2 * len(
        THEMES
    )
    assert {topic.layout for topic in TOPICS.values()} == set(LAYOUTS)


def test_slides_are_short_enough_for_a_row():
    texts = [part.text for e in EXAMPLES for m in e.messages for part in m.content if isinstance(part, Text)]
    tokenizer = train_tokenizer(texts, 1500)
    for example in EXAMPLES:
        said = "".join(part.text for part in example.messages[0].content)
        assert len(tokenizer.encode(said + example.expected[0].text)) + 18 + 4 <= 245  # picture, template, begin, end


def test_scoring_tells_a_slide_from_none():
    example = EXAMPLES[0]
    expected, good = example.expected[0], reply(example)
    seen = scoring.truth(expected.target)
    nothing = dataclasses.replace(seen, objects=())
    assert scoring.slide(good, expected, seen) == {"valid": 1, "no_overlap": 1, "picture": 1}
    assert scoring.slide(good, expected, nothing)["picture"] == 0
    wordless = Reply((Text("I drew it."), good.content[1]))
    assert scoring.slide(wordless, expected, seen) == {"valid": 0, "no_overlap": 0, "picture": 0}
    pictureless = Reply((Text(expected.text),))
    assert scoring.slide(pictureless, expected, None) == {"valid": 0, "no_overlap": 1, "picture": 0}
    places = re.sub(r'"(x|y)": <loc-\d+>', r'"\1": <loc-20>', good.content[0].text)
    assert scoring.slide(Reply((Text(places), *good.content[1:])), expected, seen)["no_overlap"] == 0
    sideways = re.sub(r'"x": <loc-\d+>', '"x": <loc-200>', good.content[0].text, count=1)
    assert scoring.slide(Reply((Text(sideways), *good.content[1:])), expected, seen)["no_overlap"] == 0
