"""`story` on a converted SEED-Story against a reference that is written out here, on transformers' Llama alone.

The reference takes the language model's weights from the download, not from the converted folder. It has no cache; for
the attention sink it has one of its own, whose keys are not rotated yet.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import mock_story
import PIL.Image
import pytest
import sentencepiece
import torch
from mock_story import ADDED, QUERIES, STORY
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from seedx.checkpoint.convert import convert
from seedx.cli import main
from seedx.errors import SeedxError
from seedx.inference import pipeline
from seedx.inference.image_decoder import ImageDecoder
from seedx.inference.pipeline import Pipeline
from seedx.inference.rounds import Rounds
from seedx.inference.settings import Settings
from seedx.model.seedx import SeedX
from seedx.tiling import one_tile
from small import TOKENIZER

WORDS = 6  # tokens of a reply before its image, which comes at the last chance
LONG = {"max_new_tokens": WORDS + QUERIES + 2}
TEXT = "The cat is here."
SP = sentencepiece.SentencePieceProcessor(model_file=str(TOKENIZER / "tokenizer.model"))
SPAN = [ADDED["<img>"], *(ADDED[f"<img_{i:05d}>"] for i in range(QUERIES)), ADDED["</img>"]]
PICTURE = PIL.Image.linear_gradient("L").resize((40, 30)).convert("RGB")
Told = list[tuple[str, Tensor]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("told")
    convert(mock_story.make(root), root / "story", variant="seed_story")
    return root / "story"


@pytest.fixture(scope="module")
def model(folder: Path) -> Pipeline:
    return pipeline.load(folder)


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    sizes = STORY.language
    config = LlamaConfig(
        vocab_size=sizes.vocab_size,
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        rms_norm_eps=sizes.rms_norm_eps,
        max_position_embeddings=sizes.context,
    )
    made = LlamaForCausalLM(config).eval()
    made.load_state_dict(mock_story.tuned())
    return made


class Streaming:
    """A Llama with a cache of keys before their rotation: what is kept has the positions of the cache."""

    def __init__(self, llama: LlamaForCausalLM) -> None:
        self.llama = llama
        self.keys: list[Tensor | None] = [None] * len(llama.model.layers)
        self.values: list[Tensor | None] = [None] * len(llama.model.layers)

    def read(self, x: Tensor) -> Tensor:
        """(T, dim) -> final states (T, dim)."""
        for i, layer in enumerate(self.llama.model.layers):
            normed = layer.input_layernorm(x)
            project = layer.self_attn
            q, k, v = (
                each(normed).unflatten(-1, (STORY.language.heads, -1)).transpose(0, 1)
                for each in (project.q_proj, project.k_proj, project.v_proj)
            )
            old_k, old_v = self.keys[i], self.values[i]
            k = k if old_k is None else torch.cat([old_k, k], dim=1)
            v = v if old_v is None else torch.cat([old_v, v], dim=1)
            self.keys[i], self.values[i] = k, v
            length, new = k.shape[1], len(x)
            scores = rotated(q, length - new) @ rotated(k, 0).transpose(1, 2) / math.sqrt(q.shape[-1])
            future = torch.ones(new, length, dtype=torch.bool).triu(length - new + 1)
            mixed = scores.masked_fill(future, -torch.inf).softmax(dim=-1) @ v
            x = x + project.o_proj(mixed.transpose(0, 1).flatten(1))
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        return self.llama.model.norm(x)

    def keep(self, indices: list[int]) -> None:
        self.keys = [keys[:, indices] for keys in self.keys if keys is not None]
        self.values = [values[:, indices] for values in self.values if values is not None]

    def copy(self) -> Streaming:
        made = Streaming(self.llama)
        made.keys, made.values = list(self.keys), list(self.values)
        return made


def rotated(x: Tensor, start: int) -> Tensor:
    """(heads, T, width) at the positions from `start` on, as Llama rotates: the halves of a head are the pairs."""
    half = x.shape[-1] // 2
    angles = torch.arange(start, start + x.shape[1])[:, None] * 10000.0 ** (-torch.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    return torch.cat(
        [first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], dim=-1
    )


def reply(read: Callable[[Tensor], Tensor], llama: LlamaForCausalLM, core: SeedX, prompt: Tensor) -> tuple[str, Tensor]:
    """The likeliest tokens, then an image: its text and its regressed features.

    Args:
        read: gives the states of embeddings that follow what it was given before.
    """
    embed, ids = llama.model.embed_tokens, []
    states = read(prompt)
    for _ in range(WORDS):
        ids.append(int(llama.lm_head(states[-1]).argmax()))
        states = read(embed(torch.tensor(ids[-1:])))
    drawn = read(embed(torch.tensor(SPAN)))[1:-1]
    return SP.decode(ids).strip(), core.output_resampler(drawn[None])[0]


def embedded(llama: LlamaForCausalLM, core: SeedX, text: str, features: Tensor) -> tuple[list[int], Tensor]:
    """A text and a picture: ids and embeddings, the placeholders' from the input resampler."""
    ids = [*SP.encode(text), *SPAN]
    embeds = llama.model.embed_tokens(torch.tensor(ids))
    embeds[-1 - QUERIES : -1] = core.input_resampler(features[None])[0]
    return ids, embeds


def whole_each_time(llama: LlamaForCausalLM) -> Callable[[Tensor], Tensor]:
    """Reads by going through everything again, without any cache."""
    before: list[Tensor] = []

    def read(x: Tensor) -> Tensor:
        before.append(x)
        return llama.model(inputs_embeds=torch.cat(before)[None], use_cache=False).last_hidden_state[0, -len(x) :]

    return read


@torch.no_grad()
def told_by_window(llama: LlamaForCausalLM, core: SeedX, frames: int, window: int) -> Told:
    features = core.vision(one_tile(PICTURE, STORY.tiling.tile)[None])[0]
    parts, told = [(TEXT, features)], []
    for _ in range(frames):
        pieces = [llama.model.embed_tokens(torch.tensor([1]))]
        pieces += [embedded(llama, core, *part)[1] for part in parts[-window:]]
        told.append(reply(whole_each_time(llama), llama, core, torch.cat(pieces)))
        parts.append(told[-1])
    return told


@torch.no_grad()
def told_with_sink(llama: LlamaForCausalLM, core: SeedX, frames: int, window: int) -> Told:
    features = core.vision(one_tile(PICTURE, STORY.tiling.tile)[None])[0]
    stream, told, text = Streaming(llama), [], TEXT
    tokens: list[int] = []  # of the whole story, those that the cache holds
    places: list[tuple[int, int]] = []  # of every picture `<img>` and `</img>` in the whole story
    count, sinks = 0, {0, 1, 2, 3}
    for _ in range(frames):
        ids, embeds = embedded(llama, core, text, features)
        if not told:
            ids, embeds = [1, *ids], torch.cat([llama.model.embed_tokens(torch.tensor([1])), embeds])
        elif len(told) >= window:
            start, end = places[len(told) - window]
            sinks |= {*range(start - 4, start + 8), *range(end - 8, end + 4)}
            kept = [i for i, number in enumerate(tokens) if number in sinks or number > end]
            stream.keep(kept)
            tokens = [tokens[i] for i in kept]
        places.append((count + ids.index(SPAN[0]), count + ids.index(SPAN[-1])))
        tokens += range(count, count + len(ids))
        count += len(ids)
        read = stream.copy()
        told.append(reply(read.read, llama, core, embeds))
        stream.read(embeds)
        text, features = told[-1]
    return told


@pytest.fixture
def verb(model: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """`story` with the features that its images are drawn from in the place of the images."""

    def told(frames: int, **options: object) -> Told:
        drawn: list[Tensor] = []

        def decode(self: ImageDecoder, requests: list) -> list[PIL.Image.Image]:
            drawn.extend(request.features for request in requests)
            return [PICTURE] * len(requests)

        monkeypatch.setattr(ImageDecoder, "decode", decode)
        frames_told = model.story(TEXT, frames, PICTURE, **LONG, **options)
        return [(text, features) for (text, _), features in zip(frames_told, drawn, strict=True)]

    return told


def same(ours: Told, expected: Told) -> None:
    assert [text for text, _ in ours] == [text for text, _ in expected]
    assert max(float((a - b).abs().max()) for (_, a), (_, b) in zip(ours, expected, strict=True)) < 1e-5


@pytest.mark.parametrize(("frames", "window"), [(5, 2), (10, None)])
def test_a_window_of_pictures_is_read_anew_each_round(model, llama, verb, frames, window) -> None:
    expected = told_by_window(llama, model.model.seedx, frames, window or 8)
    assert len({text for text, _ in expected}) > 1
    same(verb(frames, window=window), expected)


@pytest.mark.parametrize(("frames", "window"), [(6, 2), (11, 8)])
def test_the_sink_keeps_what_the_paper_keeps(model, llama, verb, frames, window) -> None:
    expected = told_with_sink(llama, model.model.seedx, frames, window)
    same(verb(frames, window=window, sink=True), expected)
    without = told_by_window(llama, model.model.seedx, frames, window)
    same(expected[:window], without[:window])  # nothing was dropped yet
    assert not torch.allclose(expected[-1][1], without[-1][1], atol=1e-4)


@pytest.mark.parametrize("sink", [False, True])
def test_25_rounds_take_no_more_memory_than_the_window(model: Pipeline, sink: bool) -> None:
    rounds = Rounds(model.engine, 8, sink)
    rounds.add(TEXT, torch.zeros(16, 32))
    lengths, slots, settings = [], [], Settings(**LONG)
    for _ in range(25):
        text, features = rounds.ask(settings, "force")
        lengths.append(rounds._state.read.length if sink else len(rounds._prompt().ids))
        slots.append(rounds._state.read.content.keys[0].untyped_storage().nbytes() if sink else 0)
        assert len(rounds.parts) <= 8 and len(rounds._new) <= (0 if sink else 26)
        rounds.add(text, features)
    longest = max(len(SP.encode(part.text)) for part in rounds.parts) + len(SPAN)
    if not sink:
        assert max(lengths) <= 1 + 8 * max(longest, len(SP.encode(TEXT)) + len(SPAN)) and rounds._state is None
        return
    grown = [after - before for before, after in itertools.pairwise(lengths[9:])]
    assert max(grown) <= 24 < longest  # of every dropped picture its sink alone
    wide = STORY.language.hidden_size * 4  # bytes of a token's keys in one layer
    assert max(slots) <= (max(lengths) + LONG["max_new_tokens"] + 256 + longest) * wide


def test_without_a_picture_the_first_one_is_drawn(model: Pipeline) -> None:
    told = model.story(TEXT, 2, steps=1, **LONG)
    assert told[0][0] == TEXT and len(told) == 2
    again = model.story(TEXT, 2, steps=1, sink=True, **LONG)
    assert [text for text, _ in again] == [text for text, _ in told]
    with pytest.raises(SeedxError, match="say how the story begins"):
        model.story(" ", 1)
    with pytest.raises(SeedxError, match="window"):
        model.story(TEXT, 1, window=0)


def test_the_mark_between_pictures_is_kept_within_the_window_alone(model: Pipeline) -> None:
    rounds, features = Rounds(model.engine, 2, sink=False), torch.zeros(16, 32)
    for text in ("One.", "[INST]Two.", "[INST]Three."):
        rounds.add(text, features)
    expected = [1, *SP.encode("Two."), *SPAN, *SP.encode("[INST]Three."), *SPAN]
    assert rounds._prompt().ids.tolist() == expected


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PICTURE.save(tmp_path / "cat.png")
    given = ["story", TEXT, "--image", str(tmp_path / "cat.png"), "--frames", "3", "--window", "2", "--sink"]
    given += ["--steps", "1", "--max-new-tokens", str(LONG["max_new_tokens"]), "--out", str(tmp_path / "out")]
    assert main([*given, "--model", str(folder)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3 and (tmp_path / "out" / "3.png").is_file()


def test_other_models_have_no_rounds(tiny: Pipeline) -> None:
    with pytest.raises(
        SeedxError, match="our own models tells a story in one reply: window and sink are for SEED-Story"
    ):
        tiny.story("a cat", 1, window=3)
