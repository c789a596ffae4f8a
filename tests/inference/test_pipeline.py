"""The verbs, on a model with random weights: inputs, outputs and the errors of mistakes."""

import dataclasses
import struct
import warnings
import zlib
from typing import get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image

from seedx.batch import IGNORE
from seedx.engines.runner import RunnerState
from seedx.errors import ContextFullError, SeedxError, SeedxWarning
from seedx.images import MAX_PIXELS, ImageError
from seedx.inference import pipeline
from seedx.inference.engine import Request
from seedx.inference.generate import generate
from seedx.inference.image_decoder import ImageRequest
from seedx.inference.reply import Reply
from seedx.inference.rows import Prompt, RowRequest, RowState, SamplingSettings
from seedx.inference.settings import DrawOptions, DrawSettings, ReplyOptions, Settings, SettingsOptions
from seedx.messages import Image as Picture
from seedx.messages import Text, assistant, user
from seedx.prompt import encode

SHORT = {"max_new_tokens": 24}
FREE = 18  # tokens of a picture


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)

    def make(width, height):
        return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))

    return make


def difference(one, other):
    return np.abs(np.asarray(one, int) - np.asarray(other, int)).max()


def test_a_batch_answers_as_each_prompt_alone(tiny, noise):
    prompts = [("what is this?", []), ("what is on the left?", [noise(96, 96)]), ("count", [noise(300, 80)] * 2)]
    together = tiny.chat_batch(prompts, drawing="forbid", **SHORT)
    assert [reply.text for reply in together] == [tiny.chat(*p, drawing="forbid", **SHORT).text for p in prompts]
    assert all(reply.text and not reply.images for reply in together)


def test_none_is_no_image(tiny):
    assert tiny.engine.turn("count", None) == tiny.engine.turn("count", [])


def test_tiles_tell_more_than_the_thumbnail(tiny, noise):
    conversation = [tiny.engine.turn("count", [noise(384, 96)])]
    tiled, alone = (tiny.engine.prompt(Request(conversation, tiling=tiling)) for tiling in (True, False))
    assert len(tiled.tiles) == 5 and len(alone.tiles) == 1
    assert tiled.tiles[-1].equal(alone.tiles[0])


def test_a_picture_comes_from_its_seed(tiny):
    one, again, other = (tiny.draw("a cat", seed=seed, **SHORT) for seed in (3, 3, 4))
    assert one.size == (96, 96) and one.mode == "RGB"
    assert difference(one, again) == 0 < difference(one, other)


def test_a_batch_of_drawings_equals_each_alone(tiny):
    together = tiny.draw_batch(["a cat", "two red stars"], [5, 6], **SHORT)
    assert difference(together[0], tiny.draw("a cat", seed=5, **SHORT)) <= 1
    assert difference(together[1], tiny.draw("two red stars", seed=6, **SHORT)) <= 1


def test_drawings_have_the_size_asked_for(tiny):
    assert tiny.draw("a cat", size=(64, 40), **SHORT).size == (64, 40)
    with pytest.raises(ValueError, match="multiples of 8"):
        tiny.draw("a cat", size=(100, 60), **SHORT)


@pytest.mark.parametrize(
    ("given", "drawn"),
    [((96, 96), (96, 96)), ((384, 96), (192, 48)), ((50, 200), (48, 192)), ((1, 1), (96, 96)), ((9000, 9), (272, 32))],
)
def test_an_edit_keeps_the_ratio_at_the_area_of_a_drawing(tiny, given, drawn):
    assert tiny.engine.image_decoder.size_for(Image.new("RGB", given)) == drawn


def test_edits_depend_on_the_picture_that_they_keep_to(tiny, noise):
    pictures = [noise(96, 96), noise(192, 96)]
    edited = tiny.edit_batch(pictures, ["add a hat"] * 2, [1, 1], **SHORT)
    assert [picture.size for picture in edited] == [(96, 96), (136, 64)]
    assert difference(edited[1], tiny.edit(pictures[1], "add a hat", seed=1, **SHORT)) <= 1
    free = tiny.chat("add a hat", [pictures[0]], drawing="force", condition=False, seed=1, **SHORT)
    assert difference(edited[0], free.images[0]) > 1


def test_reconstruction_with_and_without_a_condition(tiny, noise):
    picture = noise(96, 96)
    plain, kept = tiny.reconstruct(picture), tiny.reconstruct(picture, condition=picture)
    assert difference(plain, kept) > 1
    assert tiny.engine.image_decoder.encode([picture, picture]).shape == (2, 16, 256)
    wide = noise(192, 48)
    assert tiny.reconstruct(wide).size == (96, 96)
    assert tiny.reconstruct(wide, condition=wide).size == (192, 48)
    batch = tiny.reconstruct_batch([picture, wide], [picture, wide], [0, 7])
    assert difference(batch[0], kept) <= 1 and batch[1].size == (192, 48)


def test_the_negative_is_computed_once(tiny_folder):
    model = pipeline.load(tiny_folder)
    seen = []
    model.model.seedx.vision.register_forward_hook(lambda module, given, features: seen.append(len(features)))
    decoder = model.engine.image_decoder
    request = ImageRequest(decoder.encode([Image.new("RGB", (96, 96))])[0])
    decoder.decode([request])
    decoder.decode([request])
    assert seen == [1, 1]  # the picture, and the negative


@pytest.mark.parametrize(
    ("phrase", "said"),
    [("cat", "find the cat"), ("the cat", "find the cat"), ("All stars", "find All stars"), ("a hat", "find a hat")],
)
def test_ground_asks_for_boxes(tiny, noise, monkeypatch, phrase, said):
    boxes = "a cat <box_start><loc-112><loc-112><loc-112><loc-56><box_end>"
    asked = {}

    def replies(rows, make, seeds, on_error, **options):
        ((turn,),) = map(make, rows)
        asked.update(prompt=turn.content[-1].text, **options)
        return [Reply((Text(boxes),))]

    monkeypatch.setattr(tiny, "_replies", replies)
    (box,) = tiny.ground(noise(96, 96), phrase)
    assert asked == {"prompt": said, "drawing": "forbid"}
    assert box.box == (0.25, 0.375, 0.75, 0.625) and box.label == "a cat"


def test_a_reply_tells_its_boxes_apart_from_its_words():
    box = "<box_start><loc-112><loc-112><loc-112><loc-112><box_end>"
    picture = Image.new("RGB", (8, 8))
    reply = Reply((Text(f"cat {box} dog {box}"), Picture(picture), Text(" done")))
    assert reply.text == "cat dog done"
    assert [b.label for b in reply.boxes] == ["cat", "dog"]
    assert reply.images == [picture]


def test_a_later_turn_adds_what_the_whole_conversation_would_have(tiny, noise):
    picture, drawn = noise(96, 96), noise(96, 96)
    turns = [user(Picture(picture), "draw it"), assistant("Here it is.", Picture(drawn)), user("what is it?")]
    config, tokenizer = tiny.model.config, tiny.model.tokenizer
    whole = encode(turns, tokenizer, config, tiles=[1, 1], for_generation=True)
    before = encode(turns[:2], tokenizer, config, tiles=[1, 1], for_generation=True)
    added = tiny.engine.prompt(Request(turns, state=RowState(RunnerState(len(before), None))))
    assert added.ids.tolist() == whole.input_ids[len(before) :].tolist()
    assert len(added.tiles) == 1 and sum(added.read_mask) == config.bridge.queries
    assert whole.labels.eq(IGNORE).any()


def test_a_session_goes_on_as_if_it_had_read_all_at_once(tiny, noise):
    session = tiny.session()
    first, second = user(Picture(noise(96, 96)), "what is this?"), user("and where is it?")
    session.send("what is this?", [first.content[0].image], drawing="forbid", max_new_tokens=6)
    cached = session.send("and where is it?", drawing="forbid", max_new_tokens=6)

    def answer_to(prompt):
        settings = SamplingSettings(max_new_tokens=6, drawing="forbid")
        return generate(tiny.model.seedx, tiny.model.tokenizer, [RowRequest(prompt, settings)])[0]

    start = tiny.engine.prompt(Request([first]))
    said = answer_to(start)
    added = tiny.engine.prompt(Request([first, assistant(""), second], state=RowState(RunnerState(1, None))))
    whole = Prompt(torch.cat([start.ids, torch.tensor(said.ids), added.ids]), start.tiles, start.tile_positions)
    answer = answer_to(whole)
    assert cached.text == Reply((Text(answer.text),)).text
    assert [message.role for message in session.messages] == ["user", "assistant"] * 2


def test_a_session_changes_what_it_drew(tiny):
    session = tiny.session()
    drawn = session.send("a cat", drawing="force", size=(64, 32), **SHORT).images[0]
    changed = session.send("add a hat", drawing="force", **SHORT).images[0]
    assert drawn.size == (64, 32) and changed.size == (136, 64)


def test_conversations_of_any_length_go_on_together(tiny, noise):
    drawn = noise(128, 64)
    long = [user("a cat"), assistant("Here it is.", Picture(drawn)), user("add a hat")]
    short = [user(Picture(noise(96, 96)), "add a star")]
    together = tiny.reply_batch([long, short], drawing="force", seeds=[1, 2], **SHORT)
    alone = [tiny.reply_batch([each], drawing="force", seed=seed, **SHORT)[0] for each, seed in ((long, 1), (short, 2))]
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert together[0].images[0].size == (136, 64)
    assert all(difference(a.images[0], b.images[0]) <= 1 for a, b in zip(together, alone, strict=True))


def test_a_stream_is_the_reply_in_pieces(tiny, noise):
    *parts, reply = tiny.session().stream("what?", [noise(96, 96)], drawing="force", **SHORT)
    assert isinstance(reply, Reply) and reply.reason == "length"
    assert "".join(part.text for part in parts if isinstance(part, Text)) == reply._written
    assert [part.image for part in parts if isinstance(part, Picture)] == reply.images


def png_of(width, height):
    """The first bytes of a PNG that claims a size."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b"x"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def test_pictures_that_can_not_be_read_are_told_apart(tiny, tmp_path, noise):
    (tmp_path / "notes.png").write_text("not a picture")
    noise(200, 200).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:9000])
    (tmp_path / "huge.png").write_bytes(png_of(40_000, 40_000))
    for name, problem in (
        ("notes.png", "is not a picture"),
        ("half.png", "damaged or truncated"),
        ("huge.png", "40000 x 40000 pixels, more than"),
        ("none.png", "does not exist"),
    ):
        with pytest.raises(ValueError, match=f"{name}.*{problem}"):
            tiny.chat("what is this?", [tmp_path / name])


def test_the_limit_of_pixels_can_be_set(tiny_folder, noise):
    assert 40_000**2 > MAX_PIXELS > 13_000**2
    with pytest.raises(ValueError, match="20 x 20 pixels, more than the 399 allowed"):
        pipeline.load(tiny_folder, max_pixels=399).chat("what?", [noise(20, 20)])


def test_a_picture_of_one_pixel_is_a_picture(tiny):
    assert tiny.chat("what is this?", Image.new("RGB", (1, 1), "red"), drawing="forbid", max_new_tokens=4).text


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_an_empty_prompt_is_refused(tiny, noise, prompt):
    with pytest.raises(ValueError, match="the prompt is empty"):
        tiny.chat(prompt, [noise(9, 9)])
    with pytest.raises(ValueError, match="the prompt is empty"):
        tiny.ground(noise(9, 9), prompt)


def test_a_mistake_about_the_picture_leaves_the_session_as_it_was(tiny):
    session = tiny.session()
    for mistake in ({"size": (100, 60)}, {"sampler": "Euler"}):
        with pytest.raises(ValueError):
            session.send("draw a cat", drawing="force", **mistake)
    assert session.messages == [] and session._state is None


def test_a_long_prompt_is_refused_and_the_session_stays(tiny):
    session = tiny.session()
    session.send("hello", drawing="forbid", max_new_tokens=3)
    held = session._state
    for words in (1000, 390):  # too long alone, and with what came before
        with pytest.raises(ValueError, match="context"):
            session.send("a " * words)
    assert session._state is held and len(session.messages) == 2
    assert session.send("and now?", drawing="forbid", max_new_tokens=3).text


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"stpes": 3}, "unknown setting 'stpes'; did you mean 'steps'"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"sampler": "Euler"}, "Euler"),
        ({"temperature": -1.0}, "temperature"),
        ({"max_new_tokens": FREE - 1}, "an image takes 18 tokens"),
        ({"release_suppression": "no"}, "release_suppression is True or False"),
    ],
)
def test_options_are_checked(tiny, options, problem):
    with pytest.raises(ValueError, match=problem):
        tiny.draw("a cat", **(SHORT | options))


@pytest.mark.parametrize("name", ["huge", "no/such folder/here", "17b"])
def test_an_unknown_model_is_refused(name):
    with pytest.raises(ValueError, match=r"model|bundled"):
        pipeline.load(name)


@pytest.mark.parametrize("device", ["gpu", "meta:x", "cuda:99"])
def test_an_unknown_device_is_refused(tiny_folder, device):
    with pytest.raises(ValueError, match=f"can't use the device '{device}'"):
        pipeline.load(tiny_folder, device=device)


def test_half_precision(tiny_folder, noise):
    model = pipeline.load(tiny_folder, dtype=torch.bfloat16)
    assert model.edit(noise(96, 96), "add a hat", **SHORT).size == (96, 96)


def test_a_story_is_a_list_of_sentences_and_pictures(tiny, noise, monkeypatch):
    asked = []

    def reply_batch(self, conversations, **options):
        ((message,),) = conversations
        *given, said = message.content
        asked.append((said.text, len(given), options["condition"]))
        picture = Picture(noise(8, 8))
        return [Reply((Text("It came. "), picture, Text("It saw."), Text(" It won."), picture, Text("The end.")))]

    monkeypatch.setattr("seedx.inference.pipeline.Pipeline.reply_batch", reply_batch)
    told = tiny.story("a cat goes to the beach", frames=5)
    assert [text for text, _ in told] == [*["It came.", "It saw. It won. The end."] * 2, "It came."]
    assert len(tiny.story("The cat is here.", 1, noise(96, 96))) == 1
    assert asked == [
        ("tell a story in 5 pictures: a cat goes to the beach", 0, False),
        ("It saw. It won. The end. go on with this story in 3 pictures", 1, False),
        ("It saw. It won. The end. go on with this story in 1 pictures", 1, False),
        ("The cat is here. go on with this story in 1 pictures", 1, False),
    ]


def test_sentences_around_a_picture_stay_apart(noise):
    assert (
        Reply((Text("It came."), Picture(noise(8, 8)), Text("It saw. "), Picture(noise(8, 8)))).text
        == "It came. It saw."
    )


def test_a_story_without_an_end_is_not_gone_on_with(tiny, noise, monkeypatch):
    reply = Reply((Text("It came."), Picture(noise(8, 8)), Text(" and" * 500)), "length")
    monkeypatch.setattr("seedx.inference.pipeline.Pipeline.reply_batch", lambda *args, **options: [reply])
    assert len(tiny.story("a cat", frames=5)) == 1


def test_a_story_of_a_model_has_a_picture_at_least(tiny):
    ((_, picture),) = tiny.story("a cat", frames=1, **SHORT)
    assert picture.size == (96, 96)
    with pytest.raises(ValueError, match="at least one picture"):
        tiny.story("a cat", frames=0)
    with pytest.raises(ValueError, match="prompt is empty"):
        tiny.story(" ")


@pytest.mark.parametrize(("settings", "options"), [(DrawSettings, DrawOptions), (Settings, SettingsOptions)])
def test_options_are_the_fields_of_settings(settings, options):
    assert [field.name for field in dataclasses.fields(settings)] == list(get_type_hints(options))
    assert {*get_type_hints(SettingsOptions), "adapter", "drawing", "condition"} == {*get_type_hints(ReplyOptions)}


def test_a_stream_that_is_closed_keeps_what_was_said(tiny):
    session = tiny.session()
    stream = session.stream("hello", drawing="forbid", max_new_tokens=12)
    first = next(stream)
    stream.close()
    assert [message.role for message in session.messages] == ["user", "assistant"]
    assert session.messages[1].content == (first,)
    assert session.send("and now?", drawing="forbid", max_new_tokens=3).text


def test_an_error_in_the_first_pass_leaves_the_session_as_it_was(tiny, monkeypatch):
    """The next reply is that of a session in which the failed turn never was."""
    sessions = [tiny.session() for _ in range(2)]
    for session in sessions:
        session.send("hello", drawing="forbid", max_new_tokens=3)

    def failing(*arguments):
        raise MemoryError

    monkeypatch.setattr(tiny.model.seedx.language, "states", failing)
    with pytest.raises(MemoryError):
        sessions[0].send("what now?", drawing="forbid", max_new_tokens=3)
    monkeypatch.undo()
    assert len(sessions[0].messages) == 2
    replies = [session.send("and now?", drawing="forbid", max_new_tokens=6) for session in sessions]
    assert replies[0].text == replies[1].text


def replies_alike(one, other):
    replies = [session.send("and now?", drawing="forbid", max_new_tokens=6) for session in (one, other)]
    return replies[0].text == replies[1].text and len(one.messages) == len(other.messages)


def begun(tiny):
    session = tiny.session()
    session.send("hello", drawing="forbid", max_new_tokens=3)
    return session


def test_a_turn_while_a_stream_is_open_is_refused(tiny):
    session = begun(tiny)
    stream = session.stream("what now?", drawing="forbid", max_new_tokens=12)
    next(stream)
    with pytest.raises(SeedxError, match=r"has not ended: .*stream\.close\(\)"):
        session.send("and this?")
    assert isinstance([*stream][-1], Reply)  # the open one is as it was
    assert len(session.messages) == 4
    assert session.send("and now?", drawing="forbid", max_new_tokens=3).text


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_an_interrupt_leaves_the_session_as_it_was(tiny, monkeypatch, passes):
    """At any pass, after the first layers have stored what they read."""
    interrupted, other = begun(tiny), begun(tiny)
    states, count = tiny.model.seedx.language.states, 0

    def interrupting(*arguments):
        nonlocal count
        count += 1
        done = states(*arguments)
        if count == passes:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(tiny.model.seedx.language, "states", interrupting)
    with pytest.raises(KeyboardInterrupt):
        interrupted.send("what now, and what then?", drawing="forbid", max_new_tokens=12)
    monkeypatch.undo()
    assert replies_alike(interrupted, other)


def test_an_interrupt_while_an_image_is_decoded_leaves_the_session_as_it_was(tiny, monkeypatch):
    interrupted, other = begun(tiny), begun(tiny)

    def interrupting(requests):
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny.engine.image_decoder, "decode", interrupting)
    with pytest.raises(KeyboardInterrupt):
        interrupted.send("draw a cat", drawing="force", **SHORT)
    monkeypatch.undo()
    assert replies_alike(interrupted, other)


def test_one_bad_row_of_a_batch_is_its_own_error(tiny, noise):
    prompts = [("what is this?", [noise(96, 96)]), ("and this?", ["no/such/file.png"]), (" ", []), ("a " * 900, [])]
    options = {"drawing": "forbid", **SHORT}
    first, *errors = tiny.chat_batch([*prompts, ("count", [])], on_error="return", **options)
    assert first.text == tiny.chat(*prompts[0], **options).text
    assert errors.pop().text == tiny.chat("count", **options).text
    assert [type(error) for error in errors] == [ImageError, SeedxError, ContextFullError]
    with pytest.raises(SeedxError, match="does not exist"):
        tiny.chat_batch(prompts, **options)
    with pytest.raises(SeedxError, match="steps"):  # a mistake in the options is no row's
        tiny.chat_batch(prompts, on_error="return", steps=10**9)


def alike(one, other):  # a batch rounds otherwise than a row alone
    return difference(one, other) <= 1


def test_one_bad_picture_or_prompt_is_the_error_of_its_row(tiny, noise):
    good, torn = noise(96, 96), b"\xff\xd8\xff torn"
    drawn = tiny.draw_batch(["a cat", " ", "a " * 900, "a dog"], [1, 2, 3, 4], on_error="return", **SHORT)
    assert [type(one) for one in drawn[1:3]] == [SeedxError, ContextFullError]
    assert alike(drawn[0], tiny.draw("a cat", seed=1, **SHORT)) and alike(drawn[3], tiny.draw("a dog", seed=4, **SHORT))
    edited = tiny.edit_batch([torn, good, good], ["a hat", "a hat", ""], [1, 2, 3], on_error="return", **SHORT)
    assert [type(one) for one in (edited[0], edited[2])] == [ImageError, SeedxError]
    assert alike(edited[1], tiny.edit(good, "a hat", seed=2, **SHORT))
    settings = {"steps": SHORT["steps"]} if "steps" in SHORT else {}
    pictures, conditions = [good, "no/such.png", good], [good, good, torn]
    made = tiny.reconstruct_batch(pictures, conditions, [1, 2, 3], on_error="return", **settings)
    assert [type(one) for one in made[1:]] == [ImageError, ImageError]
    assert alike(made[0], tiny.reconstruct(good, good, seed=1, **settings))
    seeds = tiny.reconstruct_batch([good, good], None, [1, "one"], on_error="return", **settings)
    assert alike(seeds[0], tiny.reconstruct(good, seed=1, **settings)) and "seed must be" in str(seeds[1])


@pytest.mark.parametrize("on_error", ["raise", "return"])
def test_a_mistake_about_the_whole_batch_is_no_rows(tiny, noise, on_error):
    good = noise(96, 96)
    for call, message in (
        (lambda: tiny.draw_batch(["a cat"], on_error=on_error, steps=10**9), "steps"),
        (lambda: tiny.draw_batch(["a cat"], [1, 2], on_error=on_error), "one seed a prompt: 1 prompts came with 2"),
        (lambda: tiny.edit_batch([good], ["a", "b"], on_error=on_error), "1 pictures came with 2 instructions"),
        (lambda: tiny.reconstruct_batch([good], [], [1], on_error=on_error), "1 pictures came with 0 conditions"),
        (lambda: tiny.reconstruct_batch([good], None, [], on_error=on_error), "1 pictures came with 0 seeds"),
        (lambda: tiny.edit_batch([good], ["a"], on_error="log"), "on_error is"),
        (lambda: tiny.reconstruct_batch([good], None, [1], on_error="log"), "on_error is"),
    ):
        with pytest.raises(SeedxError, match=message):
            call()


@pytest.mark.parametrize("on_error", ["raise", "return"])
def test_a_batch_of_nothing_is_empty(tiny, on_error):
    assert tiny.chat_batch([], on_error=on_error) == [] == tiny.reply_batch([])
    assert tiny.draw_batch([], on_error=on_error) == [] == tiny.draw_batch([], [], on_error=on_error)
    assert tiny.edit_batch([], [], on_error=on_error) == []
    assert tiny.reconstruct_batch([], None, [], on_error=on_error) == []
    assert tiny.reconstruct_batch([], [], [], on_error=on_error) == []
    with pytest.raises(SeedxError, match="one seed a prompt"):
        tiny.draw_batch([], [1], on_error=on_error)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"steps": 1001}, "steps is at most 1000"),
        ({"sampler": "DDIMScheduler", "steps": 5000}, "steps is at most 1000"),
        ({"temperature": float("nan")}, "temperature must be a finite number"),
        ({"guidance": float("inf")}, "guidance must be a finite number"),
    ],
)
def test_what_can_not_be_drawn_is_refused_before_anything_is_generated(tiny, monkeypatch, options, problem):
    monkeypatch.setattr(tiny.model.seedx.language, "states", None)
    with pytest.raises(SeedxError, match=problem):
        tiny.draw("a cat", **options)


def test_a_sampler_that_fails_at_a_number_of_steps_is_an_error_before(tiny, monkeypatch):
    def failing(self, *arguments, **options):
        raise IndexError("index 1 is out of bounds")

    monkeypatch.setattr("diffusers.DDIMScheduler.step", failing)
    with pytest.raises(SeedxError, match=r"DDIMScheduler can't draw in 3 steps \(index 1 is out of bounds\)"):
        tiny.draw("a cat", sampler="DDIMScheduler", steps=3)


def test_a_size_far_from_what_the_model_draws_warns(tiny):
    with pytest.warns(SeedxWarning, match="draws well at about 96 x 96"):
        tiny.engine.image_decoder.check(DrawSettings(size=(512, 512)))
    with pytest.warns(SeedxWarning, match="ratio up to 8"):
        tiny.engine.image_decoder.check(DrawSettings(size=(304, 32)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny.engine.image_decoder.check(DrawSettings(size=(128, 72)))


def test_a_reply_aborted_before_its_image_was_drawn_continues_without_it(tiny):
    """`<img>` was sampled, and what it opens was not read yet."""
    rows = [
        RowRequest(Prompt(encode([user("hi")], tiny.model.tokenizer, tiny.model.config, for_generation=True).input_ids))
    ]
    generation = tiny.engine.generation()
    (row,) = generation.join(rows)
    generation.step()
    row.pending = [tiny.model.tokenizer.specials.image_start]
    row.draw()
    assert len(row.pending) == FREE and generation.leave(row, keep=True).pending == ()
