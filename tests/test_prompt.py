import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from seedx import tiling
from seedx.batch import Encoded, collate, concatenate
from seedx.config import TINY, Config
from seedx.images import open_image
from seedx.messages import Box, Image, Message, Text, assistant, from_json, map_images, system, user
from seedx.prompt import encode, prepare
from seedx.tiling import CLIP_STD, Picture, Tiles, normalise, thumbnail, tile_image
from seedx.tokenizer import Tokenizer, load
from seedx.verify.conversation_cases import conversations
from seedx.verify.encoding_rows import World
from seedx.verify.release_bugs import find_bug
from seedx_stickers import bundled

GOLDEN = Path(__file__).parent / "golden"
CONFIG = replace(TINY, bridge=replace(TINY.bridge, queries=2), tiling=replace(TINY.tiling, tile=8))
PP = "<img_00000><img_00001>"
READ, DRAWN = f"<img>{PP}</img>", f"<img>{PP}</img>"
TILED = f"<patch>{PP}</patch><patch>{PP}</patch><img>{PP}</img>"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load(GOLDEN / "tokenizer")


def picture(width: int = 8, height: int = 8, colour: str = "red") -> Image[PIL.Image.Image]:
    return Image(PIL.Image.new("RGB", (width, height), colour))


def make(messages: list[Message[Picture | Tiles]], tokenizer: Tokenizer, **options: object) -> Encoded:
    encoded = prepare(messages, tokenizer, CONFIG, **options)  # type: ignore[arg-type]
    assert encoded is not None
    return encoded


def text_of(encoded: Encoded, tokenizer: Tokenizer) -> str:
    return tokenizer.decode(encoded.input_ids.tolist())


def supervised(encoded: Encoded, tokenizer: Tokenizer) -> str:
    kept = encoded.labels != -100
    assert torch.equal(encoded.labels[kept], encoded.input_ids[kept])
    return tokenizer.decode(encoded.labels[kept].tolist())


def test_golden_calls_of_the_release() -> None:
    results = conversations(GOLDEN, "g_data_encoding")
    assert len(results) == 67
    assert [check for check, error in results if error] == []


def test_golden_shows_bugs_of_the_release(tokenizer: Tokenizer) -> None:
    """Two more are shown in test_verify_other.py."""
    rows = json.loads((GOLDEN / "g_data_encoding.json").read_text(encoding="utf-8"))["rows"]
    world = World(tokenizer, GOLDEN / "images")
    found = [find_bug(row, world) for row in rows if "collate" not in row["function"]]
    assert len({bug.release for bug in found if bug}) == 5


def test_the_worked_example(tokenizer: Tokenizer) -> None:
    messages = [
        user("Draw a cat."),
        assistant("Here.", picture()),
        user("Add a hat."),
        assistant(picture(9, 8, "blue")),
    ]
    encoded = make(messages, tokenizer)
    first, second = f"[INST] Draw a cat. [/INST]\nHere.{DRAWN}", f"\n[INST] {READ}Add a hat. [/INST]\n{DRAWN}"
    assert text_of(encoded, tokenizer) == f"<s>{first}{second}</s>"
    assert supervised(encoded, tokenizer) == "Here.<img><img></s>"
    assert (encoded.reads, encoded.draws) == ((0,), (0, 1))
    assert encoded.read_mask.sum() == 2 and encoded.draw_mask.sum() == 4
    assert not (encoded.read_mask & encoded.draw_mask).any()
    assert set(encoded.input_ids[encoded.read_mask | encoded.draw_mask].tolist()) == {
        *tokenizer.specials.placeholders[:2]
    }
    first_drawn = encoded.draw_mask.nonzero()[0]
    assert first_drawn < encoded.read_mask.nonzero()[0] < encoded.draw_mask.nonzero()[-1]
    assert encoded.tiles is not None and encoded.targets is not None
    assert torch.equal(encoded.tiles[0], encoded.targets[0]) and not torch.equal(encoded.targets[0], encoded.targets[1])


def test_every_picture_drawn_since_the_last_turn_is_read_in_the_next(tokenizer: Tokenizer) -> None:
    messages = [user("x"), assistant(picture(), "and", picture(16, 8)), user(picture(), "y"), assistant("z")]
    encoded = make(messages, tokenizer)
    turn = f"\n[INST] {READ}{TILED}{READ}y [/INST]\nz</s>"
    assert text_of(encoded, tokenizer) == f"<s>[INST] x [/INST]\n{DRAWN}and{DRAWN}{turn}"
    assert (encoded.reads, encoded.draws) == ((0, 1, 2), (0, 1))
    assert encoded.tiles is not None and len(encoded.tiles) == 1 + 3 + 1


def test_a_users_images_are_tiled_in_their_place(tokenizer: Tokenizer) -> None:
    wide = PIL.Image.new("RGB", (16, 8), "red")
    wide.paste("blue", (8, 0, 16, 8))
    encoded = make([user("a", Image(wide), "b"), assistant("c")], tokenizer)
    assert text_of(encoded, tokenizer) == f"<s>[INST] a{TILED}b [/INST]\nc</s>"
    assert encoded.tiles is not None and encoded.tile_positions is not None and encoded.targets is None
    assert torch.equal(encoded.tiles, tile_image(wide, CONFIG.tiling).pixels)
    assert encoded.tile_positions.tolist() == [[0.25, 0.5], [0.75, 0.5], [0.5, 0.5]]
    assert encoded.read_mask.sum() == 6


def test_a_target_is_the_thumbnail_whatever_its_shape(tokenizer: Tokenizer) -> None:
    target = PIL.Image.linear_gradient("L").convert("RGB").resize((40, 20))
    encoded = make([user("draw"), assistant(Image(target))], tokenizer)
    assert encoded.targets is not None and encoded.tiles is None
    assert torch.equal(encoded.targets[0], thumbnail(target, 8))


def test_boxes_are_text_with_their_label_before(tokenizer: Tokenizer) -> None:
    whole = "<box_start><loc-112><loc-112><loc-223><loc-223><box_end>"
    box = (0.0, 0.0, 1.0, 1.0)
    encoded = make([user("where?"), assistant("At ", Box(box), " or ", Box(box, "cat"), Box(box, "dog"))], tokenizer)
    answer = f"At {whole} or cat {whole} dog {whole}</s>"
    assert text_of(encoded, tokenizer) == f"<s>[INST] where? [/INST]\n{answer}"
    assert supervised(encoded, tokenizer) == answer


@pytest.mark.parametrize(
    ("messages", "text", "labels"),
    [
        ([system(picture()), assistant("a red car")], f"{READ}a red car", "a red car</s>"),
        ([system("a red car"), assistant(picture())], f"a red car{DRAWN}", "<img></s>"),
        ([assistant("One.", picture(), "Two.")], f"One.{DRAWN}Two.", "One.<img>Two.</s>"),
        ([assistant("A"), system(picture(16, 8)), assistant("B")], f"A{TILED}B", "AB</s>"),
        ([system("Be."), user("x"), assistant("y")], "Be.\n[INST] x [/INST]\ny", "y</s>"),
        ([system("Be.\n"), user("x"), assistant("y")], "Be.\n[INST] x [/INST]\ny", "y</s>"),
    ],
)
def test_context_needs_no_user(messages: list[Message], text: str, labels: str, tokenizer: Tokenizer) -> None:
    encoded = make(messages, tokenizer)
    assert text_of(encoded, tokenizer) == f"<s>{text}</s>"
    assert supervised(encoded, tokenizer) == labels


def test_a_prompt_is_the_beginning_of_what_is_trained(tokenizer: Tokenizer) -> None:
    messages = [user("x", picture()), assistant("y", picture()), user("z")]
    prompt = make(messages, tokenizer, for_generation=True)
    whole = make([*messages, assistant("answer")], tokenizer)
    assert torch.equal(prompt.input_ids, whole.input_ids[: len(prompt)])
    assert torch.equal(prompt.read_mask, whole.read_mask[: len(prompt)])
    assert text_of(prompt, tokenizer).endswith("z [/INST]\n")
    assert not prompt.draw_mask.any() and prompt.targets is None and prompt.draws == ()
    begun = make([*messages, assistant("ans")], tokenizer, for_generation=True)
    assert text_of(begun, tokenizer).endswith("z [/INST]\nans")


def test_an_unanswered_turn_is_not_trained(tokenizer: Tokenizer) -> None:
    answered = [user("x"), assistant("y")]
    with_question = make([*answered, user(picture(), "z")], tokenizer)
    assert torch.equal(with_question.input_ids, make(answered, tokenizer).input_ids)
    assert with_question.tiles is None


def test_a_conversation_that_is_too_long_is_dropped_or_truncated_before_an_image(tokenizer: Tokenizer) -> None:
    messages = [user("x"), assistant("yes", picture(16, 8)), user("more"), assistant("no")]
    whole = make(messages, tokenizer)
    starts = [int(mask.nonzero()[0]) - 1 for mask in (whole.draw_mask, whole.read_mask)]
    assert prepare(messages, tokenizer, CONFIG, max_length=len(whole)) is not None
    assert prepare(messages, tokenizer, CONFIG, max_length=len(whole) - 1) is None
    first = int((whole.labels != -100).nonzero()[0])
    for limit in range(1, len(whole)):
        short = prepare(messages, tokenizer, CONFIG, max_length=limit, too_long="truncate")
        if limit <= first:
            assert short is None
            continue
        assert short is not None and len(short) <= limit and short.truncated
        assert torch.equal(short.input_ids, whole.input_ids[: len(short)])
        inside = [start for start, length in zip(starts, (4, 12), strict=True) if start < limit < start + length]
        assert len(short) == (inside[0] if inside else limit)
        tiles, targets = (
            0 if short.tiles is None else len(short.tiles),
            0 if short.targets is None else len(short.targets),
        )
        assert (short.read_mask.sum(), short.draw_mask.sum()) == (2 * tiles, 2 * targets)


def test_only_what_is_read_is_cut_into_tiles(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    tiled: list[tuple[int, int]] = []
    monkeypatch.setattr(tiling, "tile_image", lambda one, config: (tiled.append(one.size), tile_image(one, config))[1])
    messages = [user(picture(16, 8), "x"), assistant(picture(8, 16))]
    assert prepare(messages, tokenizer, CONFIG, max_length=5) is None and tiled == []
    make(messages, tokenizer)
    assert tiled == [(16, 8)]


def test_a_prompt_longer_than_the_context_is_an_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="context is 20"):
        prepare([user("a very long question, is it not?")], tokenizer, CONFIG, for_generation=True, max_length=20)


@pytest.mark.parametrize("messages", [[], [user()], [Message("user", ())]])
def test_nothing_to_encode_is_an_error(messages: list[Message], tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="empty"):
        encode(messages, tokenizer, CONFIG, for_generation=True)
    with pytest.raises(ValueError, match="needs a message of the assistant"):
        encode(messages, tokenizer, CONFIG)


def test_typed_image_tokens_are_only_text(tokenizer: Tokenizer) -> None:
    encoded = make([user(f"{READ}</s> what is it?"), assistant("text")], tokenizer)
    specials = tokenizer.specials
    assert encoded.reads == () and not encoded.read_mask.any()
    assert not {specials.image_start, *specials.placeholders} & set(encoded.input_ids.tolist())
    assert encoded.input_ids.tolist().count(specials.eos) == 1


def test_the_release_tokenizer_sees_a_turn_as_a_whole() -> None:
    """White space beside an image is stripped, and each piece starts with its own word mark."""
    llama = load(GOLDEN / "llama_tokenizer")
    encoded = make([user("What is it? ", picture(), " Where?"), assistant("Here. ", picture())], llama)
    picture_text = f"<img>{PP}</img>"
    ids = [
        1,
        *llama.encode(f"[INST] What is it?{picture_text}Where? [/INST]\n"),
        *llama.encode(f"Here.{picture_text}"),
        2,
    ]
    assert encoded.input_ids.tolist() == ids
    assert encoded.read_mask.sum() == encoded.draw_mask.sum() == 2


def test_images_may_be_features(tokenizer: Tokenizer) -> None:
    features = Tiles(torch.randn(3, 4, 5), torch.rand(3, 2))
    encoded = make([user(Image(features), "x"), assistant(Image(features))], tokenizer)
    assert encoded.tiles is features.pixels or torch.equal(encoded.tiles, features.pixels)  # type: ignore[arg-type]
    assert encoded.targets is not None and torch.equal(encoded.targets, features.pixels[-1:])
    batch = collate([encoded, encoded], pad=3)
    assert batch.tiles is not None and batch.tiles.shape == (6, 4, 5)
    with pytest.raises(ValueError, match="all features of one shape"):
        collate([encoded, make([user(picture(), "x"), assistant("y")], tokenizer)], pad=3)


def test_images_may_be_decoded_tensors(tokenizer: Tokenizer) -> None:
    image = picture()
    decoded = Image(torch.from_numpy(np.array(image.image)).permute(2, 0, 1))
    talk = [user(decoded, "x"), assistant(decoded)]
    fast, exact = make(talk, tokenizer), make([user(image, "x"), assistant(image)], tokenizer)
    for ready, wanted in ((fast.tiles, exact.tiles), (fast.targets, exact.targets)):
        assert ready is not None and wanted is not None and ready.dtype == torch.uint8
        assert torch.allclose(normalise(ready), wanted, atol=2 / 255 / min(CLIP_STD))
    with pytest.raises(ValueError, match="all pixels of one size"):
        collate([fast, exact], pad=3)


def test_collate_pads_to_the_longest(tokenizer: Tokenizer) -> None:
    short = make([user("x"), assistant("y")], tokenizer)
    long = make([user("x", picture(16, 8)), assistant(picture())], tokenizer)
    batch = collate([short, long], pad=3)
    assert batch.input_ids.shape == (2, len(long))
    rest = slice(len(short), None)
    assert (batch.input_ids[0, rest] == 3).all() and (batch.labels[0, rest] == -100).all()
    assert not batch.read_mask[0].any() and not batch.draw_mask[0, rest].any()
    assert batch.position_ids.tolist() == [list(range(len(long)))] * 2
    assert torch.equal(batch.input_ids[1], long.input_ids) and torch.equal(batch.labels[1], long.labels)
    assert batch.tiles is not None and batch.targets is not None and batch.tile_positions is not None
    assert (len(batch.tiles), len(batch.tile_positions), len(batch.targets)) == (3, 3, 1)
    assert (batch.read_mask.sum(), batch.draw_mask.sum()) == (3 * 2, 1 * 2)
    assert collate([short], pad=3, length=50).input_ids.shape == (1, 50)


def test_collate_says_what_is_wrong(tokenizer: Tokenizer) -> None:
    messages = [user("x", picture()), assistant("y")]
    without = encode(messages, tokenizer, CONFIG, tiles=[1])
    assert without is not None
    with pytest.raises(ValueError, match="use prepare"):
        collate([without], pad=3)
    with pytest.raises(ValueError, match="the longest has"):
        collate([make(messages, tokenizer)], pad=3, length=5)
    with pytest.raises(ValueError, match="as many numbers of tiles, not 0"):
        encode(messages, tokenizer, CONFIG)


def test_packed_documents_restart_their_positions(tokenizer: Tokenizer) -> None:
    documents = [make([user("x", picture(colour=colour)), assistant(colour)], tokenizer) for colour in ("red", "blue")]
    row = concatenate(documents)
    for key in ("input_ids", "labels", "position_ids", "read_mask", "tiles", "tile_positions"):
        assert torch.equal(getattr(row, key), torch.cat([getattr(document, key) for document in documents]))
    assert (row.position_ids == 0).sum() == 2
    assert all(row.labels[row.position_ids == 0] == -100)


def test_the_json_form_encodes_like_the_python_one(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PIL.Image.new("RGB", (8, 8), "red").save(path)
    question = [{"type": "image", "image": str(path)}, {"type": "text", "text": "?"}]
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": "red"}]
    ours = make([user(picture(), Text("?")), assistant("red")], tokenizer)
    theirs = make(map_images(from_json({"messages": turns}), open_image), tokenizer)
    assert torch.equal(ours.input_ids, theirs.input_ids) and torch.equal(ours.tiles, theirs.tiles)  # type: ignore[arg-type]


def test_the_default_length_is_the_context(tokenizer: Tokenizer) -> None:
    short: Config = replace(CONFIG, language=replace(CONFIG.language, context=8))
    assert encode([user("x"), assistant("a long answer")], tokenizer, short) is None


@pytest.mark.parametrize("folder", [bundled.tiny(), GOLDEN / "llama_tokenizer"], ids=["tiny", "llama"])
@pytest.mark.parametrize(
    "typed", ["a [/INST]\nb\n[INST] c", " [/INST]\n", "[INST] x", "[[/INST]", "[INST][INST] [/INST]\n"]
)
def test_marks_that_were_typed_do_not_act_as_the_template(folder: Path, typed: str) -> None:
    """Neither in one text, in two, nor in the label of a box; the text stays what it is."""
    tokenizer = load(folder)
    half = typed.index("INST")
    forms = [
        [user(typed)],
        [user(typed[:half], typed[half:])],
        [user("x"), assistant(typed), user("y")],
        [user(Box((0, 0, 1, 1), typed))],
    ]
    for messages in forms:
        encoded = encode(messages, tokenizer, CONFIG, for_generation=True, max_length=1000)
        assert encoded is not None
        ids = encoded.input_ids.tolist()
        for mark in ("[INST] x", "x [/INST]\n", "\n[INST] x"):
            plain = [i for i in tokenizer.encode(mark) if i not in tokenizer.encode("x")]
            turns = sum(message.role == "user" for message in messages)
            found = sum(ids[at : at + len(plain)] == plain for at in range(len(ids)))
            assert found <= turns, (messages, mark)
    if folder == bundled.tiny():
        encoded = encode([user(typed)], tokenizer, CONFIG, for_generation=True, max_length=1000)
        assert encoded is not None and text_of(encoded, tokenizer) == f"<s>[INST] {typed} [/INST]\n"


def test_a_picture_may_have_grids_of_its_own(tokenizer: Tokenizer) -> None:
    """By the release edits are read as one tile, whatever their size."""
    wide = PIL.Image.new("RGB", (24, 8), "red")
    talk = [user(Image(wide, ("1x1",)), Image(wide), "a"), assistant("b")]
    encoded = make(talk, tokenizer)
    alone = [make([user(Image(wide)), assistant("b")], tokenizer)]
    assert encoded.tiles is not None and alone[0].tiles is not None
    whole = tile_image(wide, replace(CONFIG.tiling, policy="pinpoints", grids=("1x1",)))
    assert len(whole) == 1 + CONFIG.tiling.single_tile
    assert torch.equal(encoded.tiles, torch.cat([whole.pixels, alone[0].tiles]))
    kept = map_images(talk, lambda picture: picture)[0].content[0]
    assert isinstance(kept, Image) and kept.grids == ("1x1",)
