"""Questions and answers."""

import pytest
from layouts import layout, make_pictures, record, rng, shown

from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError


def llava(folder, changes=None, fixture="llava", **options):
    return shown(formats.get("llava", **options)(record(fixture, folder, **(changes or {})), rng()))


def test_llava(tmp_path):
    assert llava(tmp_path) == [
        ("user", "@000000033471.jpg", "What are the colors of the bus in the image?"),
        ("assistant", "The bus in the image is white and red."),
        ("user", "What feature can be seen on the back of the bus?"),
        ("assistant", "The back of the bus features an advertisement."),
    ]


@pytest.mark.parametrize("place", ["start", "end"])
def test_the_releases_layout(place, tmp_path):
    made = llava(tmp_path, fixture="seed_x_sft", place=place)
    first = ("@000000033471.jpg", "What are the colors of the bus in the image?")
    assert made[0] == ("user", *(first if place == "start" else first[::-1])) and len(made) == 4


def test_the_place_at_random(tmp_path):
    one = record("seed_x_sft", tmp_path)
    first = [shown(formats.get("llava", place="random")(one, rng(seed)))[0][1][0] == "@" for seed in range(20)]
    assert 0 < sum(first) < 20


def test_several_pictures_a_system_text_and_a_drawn_one(tmp_path):
    make_pictures(["a.jpg", "b.jpg", "c.jpg"], tmp_path)
    talk = [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "Is <image> older than <image>?"},
        {"from": "gpt", "value": "No. This is older:\n<image>"},
    ]
    one = Record("a.jsonl:1", {"images": ["a.jpg", "b.jpg", "c.jpg"], "conversations": talk}, str(tmp_path))
    assert shown(formats.get("llava")(one, rng())) == [
        ("system", "Be brief."),
        ("user", "Is ", "@a.jpg", " older than ", "@b.jpg", "?"),
        ("assistant", "No. This is older:", "@c.jpg"),
    ]


def test_text_alone(tmp_path):
    talk = [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi"}]
    assert llava(tmp_path, {"image": None, "conversations": talk}) == [("user", "Hello"), ("assistant", "Hi")]


def test_boxes_in_the_texts(tmp_path):
    talk = [{"from": "human", "value": "<image>\nWhere is it?"}, {"from": "gpt", "value": "[0.1,0.2,0.3,0.4]"}]
    changes = {"conversations": talk}
    assert llava(tmp_path, changes)[1] == ("assistant", "[0.1,0.2,0.3,0.4]")
    assert llava(tmp_path, changes, boxes="shikra")[1] == ("assistant", ("", 0.1, 0.2, 0.3, 0.4))


@pytest.mark.parametrize(
    "talk",
    [
        [],
        "hello",
        ["hello", "hi"],
        [{"from": "human", "value": "hello"}],
        [{"from": "gpt", "value": "hi"}, {"from": "human", "value": "hello"}],
        [{"from": "human", "value": "hello"}, {"from": "human", "value": "hello"}],
        [{"from": "human", "value": "<image><image>"}, {"from": "gpt", "value": "hi"}],
        [{"from": "human", "value": "hello"}, {"from": "gpt", "value": " "}],
        [{"from": "robot", "value": "hello"}, {"from": "gpt", "value": "hi"}],
    ],
)
def test_malformed_llava(talk, tmp_path):
    with pytest.raises(SampleError) as caught:
        llava(tmp_path, {"conversations": talk})
    assert caught.value.cause == "bad format"


def test_llavar(tmp_path):
    one = record("llavar", tmp_path)
    assert shown(formats.get("llavar")(one, rng())) == [
        ("user", "Identify any text visible in the image provided.", "@36c8cb32.jpg"),
        ("assistant", "LEARN TO SEW\nby Ann Lee"),
    ]
    assert shown(formats.get("llavar", instruct=False)(one, rng())) == [
        ("system", "@36c8cb32.jpg"),
        ("assistant", "LEARN TO SEW\nby Ann Lee"),
    ]


def vqa(folder, **changes):
    return shown(formats.get("vqa")(record("vqav2", folder, **changes), rng()))


def test_vqa(tmp_path):
    asked = ("user", "@COCO_train2014_000000458752.jpg", layout("vqav2")["question"])
    assert vqa(tmp_path) == [asked, ("assistant", "net")]
    answers = [{"answer": answer} for answer in ("netting", "net", "net")]
    assert vqa(tmp_path, multiple_choice_answer=None, answers=answers) == [asked, ("assistant", "net")]
    assert vqa(tmp_path, multiple_choice_answer=None, answers=["a", "b"]) == [asked, ("assistant", "a")]


@pytest.mark.parametrize("answer", [1, "bird"])
def test_vqa_with_choices(answer, tmp_path):
    made = vqa(tmp_path, choices=["fish", "bird"], answer=answer, multiple_choice_answer=None)
    assert made[0][2].endswith("?\nA. fish\nB. bird") and made[1] == ("assistant", "B. bird")


@pytest.mark.parametrize(
    "changes",
    [
        {"question": 3},
        {"multiple_choice_answer": 3},
        {"multiple_choice_answer": None, "answers": [{"answer": ""}]},
        {"choices": ["fish"], "multiple_choice_answer": "bird"},
        {"choices": ["fish"], "multiple_choice_answer": None, "answer": 1},
    ],
)
def test_malformed_vqa(changes, tmp_path):
    with pytest.raises(SampleError, match="bad format"):
        vqa(tmp_path, **changes)


def bound(folder, messages, images=None, **fields):
    make_pictures(["a.jpg", "b.jpg"], folder)
    extra = {} if images is None else {"images": images}
    return shown(
        formats.get("messages")(Record("a.jsonl:1", {"messages": messages, **extra, **fields}, str(folder)), rng())
    )


def test_alpacas_fields_are_a_conversation(tmp_path):
    make_pictures("a.jpg", tmp_path)
    fields = {
        "system": "Be brief.",
        "history": [["Hello.", "Hi."]],
        "instruction": "<image>Add.",
        "input": "1 and 2",
        "output": "3",
        "images": ["a.jpg"],
    }
    assert shown(formats.get("llava")(Record("a.json#1", fields, str(tmp_path)), rng())) == [
        ("system", "Be brief."),
        ("user", "Hello."),
        ("assistant", "Hi."),
        ("user", "@a.jpg", "Add.\n1 and 2"),
        ("assistant", "3"),
    ]


def test_pictures_in_a_list_beside_the_messages_take_their_places(tmp_path):
    talk = [
        {"role": "user", "content": "<image>\nIs it older than <image>?"},
        {"role": "assistant", "content": "Yes."},
    ]
    assert bound(tmp_path, talk, ["a.jpg", "b.jpg"])[0] == ("user", "@a.jpg", "Is it older than ", "@b.jpg", "?")
    parts = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    assert bound(tmp_path, [{"role": "user", "content": parts}, talk[1]], ["b.jpg"])[0] == (
        "user",
        "@b.jpg",
        "What is it?",
    )
    own = [{"type": "image", "image": "a.jpg"}, {"type": "text", "text": "older than <image>?"}]
    made = bound(tmp_path, [{"role": "user", "content": own}, talk[1]], ["b.jpg"])
    assert made[0] == ("user", "@a.jpg", "older than ", "@b.jpg", "?")
    nowhere = bound(tmp_path, [{"role": "user", "content": "Who?"}, talk[1]], ["b.jpg", "a.jpg"])
    assert nowhere[0] == ("user", "@b.jpg", "@a.jpg", "Who?")


@pytest.mark.parametrize(
    ("content", "images"),
    [
        ("<image> who?", None),
        ("<image> who?", []),
        ("<image> and <image>?", ["a.jpg"]),
        ("<image> who?", ["a.jpg", "b.jpg"]),
        ([{"type": "image"}], None),
        ([{"type": "text", "text": "<image>"}], None),
    ],
)
def test_a_picture_never_vanishes(content, images, tmp_path):
    with pytest.raises(SampleError, match=r"images and \d places for them"):
        bound(tmp_path, [{"role": "user", "content": content}, {"role": "assistant", "content": "A cat."}], images)


@pytest.mark.parametrize(
    ("format", "fields"),
    [
        ("edit", {"source_image": "a.jpg", "target_image": "a.jpg", "instruction": "add <image>"}),
        ("story", {"captions": ["<image> one", "two"], "images": ["a.jpg", "a.jpg"]}),
        ("vqa", {"image": "a.jpg", "question": "<image> or <image>?", "answer": "yes"}),
        ("referring", {"image": "a.jpg", "phrase": "<image>", "bbox": [1, 2, 3, 4]}),
    ],
)
def test_a_place_without_a_picture_is_an_error_in_every_conversation(format, fields, tmp_path):
    make_pictures("a.jpg", tmp_path)
    with pytest.raises(SampleError, match="without its picture"):
        formats.get(format)(Record("a.jsonl:1", fields, str(tmp_path)), rng())


def test_the_one_picture_of_a_question_may_have_its_place_in_the_text(tmp_path):
    make_pictures("a.jpg", tmp_path)
    one = Record("a.jsonl:1", {"image": "a.jpg", "question": "<image>\nWho?", "answer": "a cat"}, str(tmp_path))
    assert shown(formats.get("vqa")(one, rng()))[0] == ("user", "@a.jpg", "Who?")


@pytest.mark.parametrize(
    "message",
    [3, None, {"role": ["user"]}, {"role": "user", "content": 3}, {"role": "user", "content": [{"type": "text"}]}]
    + [
        {"role": "assistant", "content": [{"type": "box", "box": box, "label": label}]}
        for box, label in (([0, 0, 1, 10**400], "a"), ([0, 0, 1, "x"], "a"), ([0, 0, 1, None], "a"), ([0, 0, 1, 1], 3))
    ]
    + [{"role": "user", "content": [{"type": "text", "text": ["x" * 48_000]}]}],
)
def test_a_message_that_is_none_is_a_short_error(message, tmp_path):
    with pytest.raises(SampleError, match="bad format") as caught:
        bound(tmp_path, [message, {"role": "assistant", "content": "A cat."}])
    assert len(str(caught.value)) < 600
