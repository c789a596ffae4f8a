"""Adapters in requests: each reply and image is what the merged model alone gives, whatever shares its batch."""

import threading

import numpy as np
import pytest
import torch

import seedx
from random_adapters import language_updates, random_updates, unet_names
from seedx.checkpoint.adapters import sampled_places, write_adapter
from seedx.errors import SeedxError
from seedx.inference import pipeline

PROMPTS = [("what is there?", ()), ("how many stars are there on the left?", ()), ("hello", ())]
SETTINGS = {"max_new_tokens": 12, "drawing": "forbid"}


@pytest.fixture(scope="module")
def folders(tiny, tmp_path_factory):
    """Three adapters of the model `tiny`: two of the language model, one of it and the U-Net."""
    root, llm, unet = tmp_path_factory.mktemp("adapters"), tiny.model.seedx.language.llm, tiny.model.detokenizer.unet
    for name, seed in (("one", 1), ("two", 2)):
        write_adapter(root / name, "language", language_updates(llm, seed, size=1.5), llm)
    write_adapter(root / "both" / "language", "language", language_updates(llm, 3, size=1.5), llm)
    write_adapter(root / "both" / "unet", "unet", random_updates(unet, unet_names(unet), seed=4), unet)
    return {name: root / name for name in ("one", "two", "both")}


@pytest.fixture(scope="module")
def several(tiny_folder, folders):
    return pipeline.load(tiny_folder, adapter=folders)


def merged(tiny_folder, folder):
    model = pipeline.load(tiny_folder, adapter=folder)
    model.merge_adapter()
    assert model.adapters == ()
    return model


def same(one, other, tolerance=2):
    return np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max() <= tolerance


def test_a_batch_of_several_is_each_alone(tiny, tiny_folder, folders, several):
    alone = {name: merged(tiny_folder, folder).chat_batch(PROMPTS, **SETTINGS) for name, folder in folders.items()}
    alone["base"] = tiny.chat_batch(PROMPTS, **SETTINGS)
    texts = {name: [reply.text for reply in replies] for name, replies in alone.items()}
    assert len({tuple(each) for each in texts.values()}) == 4
    names = ["two", "base", "both", "one", None, "two", "both", "one", "base"]
    mixed = several.chat_batch(PROMPTS * 3, adapters=names, **SETTINGS)
    for i, (name, reply) in enumerate(zip(names, mixed, strict=True)):
        assert reply.text == texts[name or "base"][i % 3]
    assert [each.text for each in several.chat_batch(PROMPTS, adapter="one", **SETTINGS)] == texts["one"]


@pytest.mark.slow
def test_images_are_drawn_by_each_requests_adapter(tiny, tiny_folder, folders, several):
    whole = merged(tiny_folder, folders["both"])
    words = ["a star", "a dog", "a cat"]
    drawn = several.draw_batch(words, [1, 2, 3], adapters=["both", "base", "both"])
    for i, model in enumerate((whole, tiny, whole)):
        assert same(drawn[i], model.draw(words[i], seed=i + 1))
    assert not same(drawn[0], tiny.draw(words[0], seed=1), tolerance=20)
    picture = drawn[0]
    assert same(several.reconstruct(picture, adapter="both"), whole.reconstruct(picture))
    assert np.array_equal(
        several.reconstruct(picture, adapter="one"), tiny.reconstruct(picture)
    )  # the U-Net is the base
    assert np.array_equal(several.reconstruct(picture), tiny.reconstruct(picture))


def test_one_folder_is_the_default(tiny, tiny_folder, folders):
    model = seedx.load(tiny_folder, adapter=folders["one"])
    assert model.adapters == ("one",)
    by_default = model.chat(*PROMPTS[0], **SETTINGS).text
    assert by_default == model.chat(*PROMPTS[0], adapter="one", **SETTINGS).text
    base = model.chat(*PROMPTS[0], adapter="base", **SETTINGS).text
    assert base == tiny.chat(*PROMPTS[0], **SETTINGS).text != by_default


def test_a_saved_model_is_the_base_and_a_merged_one_is_whole(tiny_folder, folders, tmp_path):
    model = pipeline.load(tiny_folder, adapter=folders["both"])
    model.save(tmp_path / "base")
    assert (tmp_path / "base/language.safetensors").read_bytes() == (tiny_folder / "language.safetensors").read_bytes()
    expected = model.chat(*PROMPTS[0], **SETTINGS).text
    model.merge_adapter("both")
    model.save(tmp_path / "merged")
    assert pipeline.load(tmp_path / "merged").chat(*PROMPTS[0], **SETTINGS).text == expected
    with pytest.raises(SeedxError, match="say which adapter to merge; loaded are: none"):
        model.merge_adapter()


def test_a_session_reads_again_for_another_adapter(tiny, tiny_folder, folders, several):
    session, fresh = several.session(), several.session()
    options = {"max_new_tokens": 8, "drawing": "forbid"}
    session.send("what is there?", **options)
    state = session._state
    changed = session.send("and now?", adapter="one", **options)
    assert state.read.adapter is None and session._state.read.adapter == "one"
    fresh.send("what is there?", **options)
    conversation = [*fresh.messages, several.engine.turn("and now?")]
    whole = several.reply_batch([conversation], adapter="one", **options)
    assert changed.text == whole[0].text
    kept = session._state
    session.send("more?", adapter="one", **options)
    assert session._state.read.length > kept.read.length
    with pytest.raises(SeedxError, match="there is no adapter 'tow'; did you mean 'two'"):
        session.send("again?", adapter="tow")
    assert len(session.messages) == 6


def test_threads_have_their_own(several):
    def ask(name, found):
        found[name] = [reply.text for reply in several.chat_batch(PROMPTS, adapter=name, **SETTINGS)]

    alone, together = {}, {}
    for name in ("one", "two", "base"):
        ask(name, alone)
    threads = [threading.Thread(target=ask, args=(name, together)) for name in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_mistakes_are_named(tiny, tiny_folder, folders, several, tmp_path):
    with pytest.raises(SeedxError, match="this model was loaded without any"):
        tiny.chat("hello", adapter="one")
    with pytest.raises(SeedxError, match="there is no adapter 'on'; did you mean 'one'"):
        several.draw("a star", adapter="on")
    with pytest.raises(SeedxError, match="one adapter a prompt: 2 prompts came with 1 adapters"):
        several.draw_batch(["a", "b"], adapters=["one"])
    torch.manual_seed(5)
    other = pipeline.load(tiny_folder)
    with torch.no_grad():
        other.model.seedx.language.llm.model.embed_tokens.weight.normal_()
    other.save(tmp_path / "other")
    with pytest.raises(SeedxError, match="'one' was trained on another model's language model"):
        pipeline.load(tmp_path / "other", adapter=folders["one"])
    results = several.chat_batch([("hello", ()), ("", ())], on_error="return", adapters=["one", "two"], **SETTINGS)
    assert (
        isinstance(results[1], SeedxError) and results[0].text == several.chat("hello", adapter="one", **SETTINGS).text
    )


@pytest.mark.parametrize("size", [64, 4330 * 640, 49_482 * 576, 32_330 * 5120])
def test_the_values_that_tell_a_model_lie_within_its_weight(size):
    places = sampled_places(size)
    assert places[0] == 0 and len(places.unique()) == 64 and size - 64 < places[-1] < size
