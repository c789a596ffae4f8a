"""The official client against the server: every answer is the library's own to the same request."""

from __future__ import annotations

import numpy as np
import openai
import PIL.Image
import pytest
from serving import Running, asked, opened, png, same, uri

from seedx.inference.engine import Request
from seedx.inference.pipeline import Pipeline
from seedx.messages import Image, user

QUESTION = "what is in the picture?"


def test_a_question(running: Running, model: Pipeline, picture: PIL.Image.Image) -> None:
    answer = running.client().chat.completions.create(model="tiny", messages=asked(QUESTION, picture))
    assert answer.choices[0].message.content == model.chat(QUESTION, [picture]).text
    assert answer.choices[0].finish_reason == "stop"
    prompt = model.engine.prompt(Request([model.engine.turn(QUESTION, picture)]))
    assert answer.usage.prompt_tokens == len(prompt.ids)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_pictures_of_low_detail_are_read_as_thumbnails(running: Running, model: Pipeline) -> None:
    wide = PIL.Image.new("RGB", (300, 100), "green")
    engine, messages, tokens = model.engine, asked(QUESTION, wide), {}
    for detail in ("low", "high"):
        messages[0]["content"][0]["image_url"]["detail"] = detail
        answer = running.client().chat.completions.create(model="tiny", messages=messages, max_tokens=1)
        tokens[detail] = answer.usage.prompt_tokens
    conversation = [engine.turn(QUESTION, wide)]
    assert tokens["low"] == len(engine.prompt(Request(conversation, tiling=False)).ids)
    assert tokens["high"] == len(engine.prompt(Request(conversation)).ids) > tokens["low"]


def test_boxes_are_a_field_and_not_in_the_text(running: Running, model: Pipeline, picture: PIL.Image.Image) -> None:
    text = model.engine.variant.ground.text.format(it="all things")
    message = running.client().chat.completions.create(model="tiny", messages=asked(text, picture)).choices[0].message
    reply = model.chat(text, [picture])
    assert message.content == reply.text
    assert reply.boxes and [box["label"] for box in message.boxes] == [box.label for box in reply.boxes]
    np.testing.assert_allclose([box["box"] for box in message.boxes], [box.box for box in reply.boxes], atol=1e-4)


def test_a_drawing_in_a_chat(running: Running, model: Pipeline) -> None:
    answer = running.client().chat.completions.create(
        model="tiny", messages=asked("draw a cat"), extra_body={"seed": 5, "drawing": "force"}
    )
    reply = model.chat("draw a cat", drawing="force", seed=5)
    message = answer.choices[0].message
    assert isinstance(message.content, str) and message.content == reply.text
    assert [(item["type"], item["index"]) for item in message.images] == [("image_url", 0)]
    assert same(opened(message.images[0]["image_url"]["url"]), reply.images[0])


@pytest.mark.slow
def test_modalities_decide_what_may_be_drawn(running: Running) -> None:
    client = running.client()
    text = client.chat.completions.create(
        model="tiny", messages=asked("draw a cat"), extra_body={"modalities": ["text"]}
    )
    assert not hasattr(text.choices[0].message, "images")
    both = client.chat.completions.create(
        model="tiny", messages=asked("draw a cat"), extra_body={"modalities": ["image"]}
    )
    assert len(both.choices[0].message.images) == 1


def test_a_stream_gives_the_same_in_pieces(running: Running, model: Pipeline, picture: PIL.Image.Image) -> None:
    text = model.engine.variant.ground.text.format(it="all things")
    for question, pictures in ((text, [picture]), ("draw a cat", [])):
        reply = model.chat(question, pictures)
        stream = running.client().chat.completions.create(
            model="tiny",
            messages=asked(question, *pictures),
            stream=True,
            stream_options={"include_usage": True},
        )
        content, images, boxes, reasons, usage = "", [], [], [], None
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                assert not reasons, "nothing comes after the finish reason"
                content += choice.delta.content or ""
                images += getattr(choice.delta, "images", [])
                boxes += getattr(choice.delta, "boxes", [])
                reasons += [choice.finish_reason] if choice.finish_reason else []
        assert content == reply.text
        assert [box["label"] for box in boxes] == [box.label for box in reply.boxes]
        assert len(images) == len(reply.images)
        assert all(same(opened(i["image_url"]["url"]), each) for i, each in zip(images, reply.images, strict=True))
        assert reasons == ["stop"]
        assert usage is not None and usage.completion_tokens > 0


def test_the_helper_for_streams_parses_it(running: Running, model: Pipeline, picture: PIL.Image.Image) -> None:
    with running.client().chat.completions.stream(model="tiny", messages=asked(QUESTION, picture)) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        whole = stream.get_final_completion()
    assert whole.choices[0].message.content == "".join(pieces) == model.chat(QUESTION, [picture]).text


def test_several_choices_have_seeds_that_follow(running: Running, model: Pipeline) -> None:
    answer = running.client().chat.completions.create(
        model="tiny", messages=asked("draw a cat"), n=2, seed=3, extra_body={"drawing": "force"}
    )
    for choice, seed in zip(answer.choices, (3, 4), strict=True):
        alone = model.chat("draw a cat", drawing="force", seed=seed)
        assert same(opened(choice.message.images[0]["image_url"]["url"]), alone.images[0])


def test_max_tokens_and_stop(running: Running, model: Pipeline, picture: PIL.Image.Image) -> None:
    whole = model.chat(QUESTION, [picture]).text
    word = whole.split()[2]
    client = running.client()
    cut = client.chat.completions.create(model="tiny", messages=asked(QUESTION, picture), max_completion_tokens=2)
    assert cut.choices[0].finish_reason == "length" and cut.usage.completion_tokens == 2
    stopped = client.chat.completions.create(model="tiny", messages=asked(QUESTION, picture), stop=[word])
    assert stopped.choices[0].message.content == whole[: whole.index(word)].strip()
    assert stopped.choices[0].finish_reason == "stop"


def test_a_conversation_is_continued_from_what_was_read(running: Running, model: Pipeline) -> None:
    """Its second turn is what a session answers, and pays for its new tokens alone."""
    client, session = running.client(), model.session()
    first = "draw a cat on grass"
    drawn = session.send(first, seed=1, drawing="force")
    messages = asked(first)
    answer = (
        client.chat.completions.create(model="tiny", messages=messages, seed=1, extra_body={"drawing": "force"})
        .choices[0]
        .message
    )
    assert same(opened(answer.images[0]["image_url"]["url"]), drawn.images[0])
    messages += [answer.model_dump(), *asked(QUESTION)]
    second = client.chat.completions.create(model="tiny", messages=messages)
    assert second.choices[0].message.content == session.send(QUESTION).text
    cached = second.usage.prompt_tokens_details.cached_tokens
    assert 0 < cached < second.usage.prompt_tokens
    again = client.chat.completions.create(model="tiny", messages=messages)
    assert again.choices[0].message.content == second.choices[0].message.content
    assert again.usage.prompt_tokens_details.cached_tokens == again.usage.prompt_tokens - 1


def test_images_are_generated(running: Running, model: Pipeline) -> None:
    images = running.client().images.generate(prompt="a red car", n=2, extra_body={"seed": 7, "num_inference_steps": 4})
    assert images.output_format == "png" and images.size == "96x96" and images.usage.total_tokens > 0
    for data, seed in zip(images.data, (7, 8), strict=True):
        assert same(opened(data.b64_json), model.draw("a red car", seed=seed, steps=4))


def test_sizes_and_formats(running: Running, model: Pipeline) -> None:
    images = running.client().images.generate(
        prompt="a red car", size="128x64", output_format="webp", output_compression=80
    )
    picture = opened(images.data[0].b64_json)
    assert (picture.format, picture.size, images.size) == ("WEBP", (128, 64), "128x64")


def test_previews_of_an_image_come_before_it(running: Running, model: Pipeline) -> None:
    stream = running.client().images.generate(prompt="a red car", stream=True, partial_images=2, extra_body={"seed": 7})
    events = list(stream)
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]
    final = model.draw("a red car", seed=7)
    assert same(opened(events[-1].b64_json), final) and events[-1].usage.output_tokens > 0
    distance = [np.abs(np.asarray(opened(e.b64_json), float) - np.asarray(final, float)).mean() for e in events]
    assert distance[0] > distance[1] > distance[2]  # they come nearer


def test_an_edit(running: Running, model: Pipeline, picture: PIL.Image.Image) -> None:
    edited = running.client().images.edit(image=png(picture), prompt="make it night", extra_body={"seed": 2})
    assert same(opened(edited.data[0].b64_json), model.edit(picture, "make it night", seed=2))


def test_an_edit_within_a_mask_keeps_the_rest(running: Running, model: Pipeline, picture: PIL.Image.Image) -> None:
    """The left half is transparent: it is changed. The right half stays as the picture had it."""
    size = model.edit(picture, "make it night").size
    picture = picture.resize(size)
    mask = PIL.Image.new("RGBA", size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    result = running.client().images.edit(image=png(picture), mask=png(mask), prompt="make it night")
    got, free = np.asarray(opened(result.data[0].b64_json)), np.asarray(model.edit(picture, "make it night"))
    half = size[0] // 2
    assert (got[:, half + 1 :] == np.asarray(picture)[:, half + 1 :]).all()
    assert np.abs(got[:, : half - 1].astype(int) - free[:, : half - 1]).max() <= 1


def test_an_edit_of_several_pictures_streams(running: Running, model: Pipeline, picture: PIL.Image.Image) -> None:
    other = PIL.Image.new("RGB", (64, 64), "red")
    stream = running.client().images.edit(
        image=[png(picture), png(other)], prompt="make it night", stream=True, partial_images=1
    )
    events = list(stream)
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]
    assert opened(events[-1].b64_json).size == model.edit(picture, "make it night").size  # of the first picture


def test_a_response_with_an_image(running: Running, model: Pipeline) -> None:
    response = running.client().responses.create(
        model="tiny",
        input="draw a cat",
        tools=[{"type": "image_generation"}],
        tool_choice={"type": "image_generation"},
        extra_body={"seed": 5},
        store=False,
    )
    reply = model.chat("draw a cat", drawing="force", seed=5)
    calls = [item for item in response.output if item.type == "image_generation_call"]
    assert response.output_text == reply.text and response.status == "completed"
    assert same(opened(calls[0].result), reply.images[0]) and calls[0].status == "completed"
    # Sent back, it is a part of the conversation.
    second = running.client().responses.create(
        model="tiny",
        input=[
            {"role": "user", "content": "draw a cat"},
            *(item.model_dump() for item in response.output),
            {"role": "user", "content": QUESTION},
        ],
    )
    session = model.session()
    session.send("draw a cat", drawing="force", seed=5)
    assert second.output_text == session.send(QUESTION, drawing="forbid").text


def test_a_response_reads_pictures(running: Running, model: Pipeline, picture: PIL.Image.Image) -> None:
    """The picture comes after the question, as in OpenAI's examples; `chat` puts it first."""
    content = [{"type": "input_text", "text": QUESTION}, {"type": "input_image", "image_url": uri(picture)}]
    response = running.client().responses.create(model="tiny", input=[{"role": "user", "content": content}])
    assert response.output_text == model.chat(QUESTION, [picture], drawing="forbid").text


def test_pictures_between_texts_stay_there(running: Running, model: Pipeline, picture: PIL.Image.Image) -> None:
    messages = asked(QUESTION, picture)
    messages[0]["content"].insert(0, {"type": "text", "text": "look:"})
    answer = running.client().chat.completions.create(model="tiny", messages=messages)
    prompt = model.engine.prompt(Request([user("look:", Image(picture), QUESTION)]))
    assert answer.usage.prompt_tokens == len(prompt.ids)
    [reply] = model.reply_batch([[user("look:", Image(picture), QUESTION)]], drawing="auto")
    assert answer.choices[0].message.content == reply.text


def test_the_events_of_a_response(running: Running) -> None:
    stream = running.client().responses.create(
        model="tiny",
        input="draw a cat",
        stream=True,
        tools=[{"type": "image_generation", "partial_images": 1}],
        tool_choice="required",
    )
    events = list(stream)
    call = "response.image_generation_call."
    kinds = [event.type for event in events if event.type.startswith(call) or "text" not in event.type]
    wanted = [call + state for state in ("in_progress", "generating", "partial_image", "completed")]
    assert [kind for kind in kinds if kind.startswith(call)] == wanted
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    added = [event.item.id for event in events if event.type == "response.output_item.added"]
    done = [event.item.id for event in events if event.type == "response.output_item.done"]
    assert sorted(added) == sorted(done) == sorted(item.id for item in events[-1].response.output)


def test_models_and_health(running: Running) -> None:
    client = running.client()
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "seedx"
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.models.retrieve("gpt-5")
