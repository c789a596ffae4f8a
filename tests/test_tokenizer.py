import json
from pathlib import Path

import pytest

from seedx.errors import SeedxError
from seedx.tokenizer import JsonTokenizer, Tokenizer, load, special_tokens, train_tokenizer, valid_unicode
from seedx.tokens import ADDED_TOKENS, box_to_text

GOLDEN = Path(__file__).parent / "golden"
CORPUS = [
    "What is in the image? A red cat.",
    "Where is the blue dog? On the left.",
    "Draw a cat on a green field.",
] * 20


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train_tokenizer(CORPUS, 700)


def test_llama_ids_and_text_are_those_of_the_pinned_version() -> None:
    tokenizer = load(GOLDEN / "llama_tokenizer")
    rows = json.loads((GOLDEN / "i_llama_tokenizer.json").read_text(encoding="utf-8"))["rows"]
    for row in rows:
        assert tokenizer.encode(row["text"]) == row["ids"], row["text"]
        assert tokenizer.decode(row["ids"]) == row["decoded"], row["text"]


def test_both_kinds_survive_saving(trained: Tokenizer, tmp_path: Path) -> None:
    text = "[INST] <img><img_00000></img> Where is it? [/INST]\nAt " + box_to_text((0, 0, 1, 1))
    for i, tokenizer in enumerate((trained, load(GOLDEN / "llama_tokenizer"))):
        folder = tmp_path / str(i)
        folder.mkdir()
        tokenizer.save(folder)
        again = load(folder)
        assert type(again) is type(tokenizer)
        assert again.encode(text) == tokenizer.encode(text)
        assert (again.specials, again.vocab_size) == (tokenizer.specials, tokenizer.vocab_size)


@pytest.mark.parametrize(
    "text",
    [
        "  two spaces, and one after \n\n a line\t[INST] x [/INST]\n",
        "a cat <img> <img_00000> </img>  b\n<loc-3> \n",
        "café 你好 😀 1234",
        "</s> <s><pad>",
        "",
    ],
)
def test_our_own_bpe_gives_every_text_back(trained: Tokenizer, text: str) -> None:
    assert trained.decode(trained.encode(text)) == text
    assert trained.decode(trained.encode_parts([text])) == text


def test_our_own_bpe_puts_the_added_tokens_last_in_order(trained: Tokenizer) -> None:
    base = trained.vocab_size - len(ADDED_TOKENS)
    assert trained.encode("".join(ADDED_TOKENS)) == list(range(base, trained.vocab_size))
    assert (trained.specials.pad, trained.specials.bos, trained.specials.eos) == (0, 1, 2)


def test_the_template_is_a_token_at_each_end(trained: Tokenizer) -> None:
    ids = trained.encode("[INST] cat [/INST]\n")
    assert [trained.decode([ids[0]]), trained.decode([ids[-1]])] == ["[INST] ", " [/INST]\n"]


def test_nobody_types_an_image_or_an_end(trained: Tokenizer) -> None:
    image = trained.specials.image(2)
    for tokenizer in (trained, load(GOLDEN / "llama_tokenizer")):
        ids = tokenizer.encode_parts(["look <img><img_00000></img></s><patch>", " <loc-5>"])
        controls = {*tokenizer.specials.image(1), tokenizer.specials.patch_start, tokenizer.specials.eos}
        assert not controls & set(ids)
        assert ids[-1] == tokenizer.specials.loc(5)
    assert trained.encode_parts(["a ", image, " b"]) == [*trained.encode("a "), *image, *trained.encode(" b")]


def test_the_size_asked_for_counts_the_added_tokens(trained: Tokenizer) -> None:
    assert train_tokenizer(CORPUS, 620).vocab_size == 620
    with pytest.raises(ValueError, match="at least 589"):
        train_tokenizer(CORPUS, 500)


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tokenizer\.model or tokenizer\.json"):
        load(tmp_path)


def test_a_tokenizer_without_our_tokens_is_refused() -> None:
    content = json.loads((GOLDEN / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    content["added_tokens"] = content["added_tokens"][:4]
    with pytest.raises(ValueError, match="lacks"):
        JsonTokenizer(json.dumps(content))


def test_special_tokens_of_both_kinds_of_file() -> None:
    llama = load(GOLDEN / "llama_tokenizer").specials
    assert (llama.bos, llama.eos, llama.pad) == (1, 2, 0)  # padded by <unk>, as the release does
    content = (GOLDEN / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8")
    parsed = json.loads(content)
    parsed["added_tokens"] = [token for token in parsed["added_tokens"] if token["content"] != "<pad>"]
    specials = JsonTokenizer(json.dumps(parsed)).specials
    assert specials.pad == specials.eos == JsonTokenizer(content).specials.eos


def test_special_tokens_are_found_by_name() -> None:
    ids = {token: 10 + i for i, token in enumerate(ADDED_TOKENS)}
    specials = special_tokens(ids | {"<|begin|>": 5, "<|end|>": 7}, bos="<|begin|>", eos="<|end|>", pad="<|end|>")
    assert (specials.bos, specials.eos, specials.pad, specials.image_start) == (5, 7, 7, 110)
    with pytest.raises(SeedxError, match="no token '</s>', which ends a sequence"):
        special_tokens(ids | {"<s>": 1}, bos="<s>", eos="</s>", pad="<s>")


def test_a_folder_says_what_starts_ends_and_pads(trained: Tokenizer, tmp_path: Path) -> None:
    for i, tokenizer in enumerate((trained, load(GOLDEN / "llama_tokenizer"))):
        folder = tmp_path / str(i)
        folder.mkdir()
        tokenizer.save(folder)
        (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "</s>"}))
        (folder / "tokenizer_config.json").write_text(
            json.dumps(
                {"pad_token": "<s>", "bos_token": {"__type": "AddedToken", "content": "</s>"}, "eos_token": None}
            )
        )
        specials = load(folder).specials
        assert (specials.bos, specials.eos, specials.pad) == (2, 2, 2)
        load(folder).save(folder)
        assert load(folder).specials == specials


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("cut \ud83d", "cut \ufffd"),
        ("\ude00 cut", "\ufffd cut"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\udcff", "\ufffd"),
        ("größer 猫 \U0001f600\n", "größer 猫 \U0001f600\n"),
    ],
)
def test_half_an_emoji_is_replaced_by_both_kinds(text: str, valid: str, trained: Tokenizer) -> None:
    assert valid_unicode(text) == valid
    for tokenizer in (trained, load(GOLDEN / "llama_tokenizer")):
        assert tokenizer.encode(text) == tokenizer.encode(valid)
        assert tokenizer.encode_parts([text, [5], text]) == tokenizer.encode_parts([valid, [5], valid])
    train_tokenizer([text] * 5, 700)
