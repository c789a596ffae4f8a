"""The chat template of a language model, read off what its Jinja template makes of a conversation of known words.

    <|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nU2<|im_end|>\n ...
    start             U1 end                             A1 later                          U2 end

BOS is left out of `start`: every prompt begins with it. What follows an answer must begin with the token that ends it,
which is EOS of our prompts.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from seedx.config import Template
from seedx.damage import read_json_object
from seedx.errors import SeedxError

QUESTION, ANSWER, SECOND = "SEEDXQUESTIONONE", "SEEDXANSWERONE", "SEEDXQUESTIONTWO"


def read_template(folder: Path) -> str | None:
    """The Jinja template beside a tokenizer: chat_template.jinja, or in tokenizer_config.json; None without one."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    found: Any = read_json_object(config).get("chat_template") if config.is_file() else None
    if isinstance(found, list):  # several, by name
        found = next((each.get("template") for each in found if each.get("name") == "default"), None)
    return found if isinstance(found, str) else None


def template_of(source: str, roles: dict[str, str], special: Collection[str]) -> tuple[Template, str]:
    """The template as text, and the token that ends an answer.

    Args:
        source: in Jinja.
        roles: names of the tokens "bos" and "eos".
        special: the tokenizer's special tokens.

    Raises:
        SeedxError: it can't be rendered, or is not the same around every turn.
    """
    asked = [{"role": "user", "content": QUESTION}]
    talk = [*asked, {"role": "assistant", "content": ANSWER}, {"role": "user", "content": SECOND}]
    start, end = _cut(_render(source, asked, roles, True), QUESTION)
    first, rest = _cut(_render(source, talk, roles, True), QUESTION)
    middle, rest = _cut(rest, ANSWER)
    later, last = _cut(rest, SECOND)
    if (first, middle, last) != (start, end, end):
        raise SeedxError("the chat template is not the same around every turn; give --template inst to leave it out")
    tail = _cut(_render(source, talk[:2], roles, False), ANSWER)[1].lstrip()
    stop = max((token for token in special if tail.startswith(token)), key=len, default="")
    if not stop and tail:
        raise SeedxError("the chat template ends an answer by no special token; give --template inst to leave it out")
    bos = roles.get("bos", "")
    return Template(start.removeprefix(bos) if bos else start, later, end), stop or roles["eos"]


def _render(source: str, messages: list[dict[str, str]], roles: dict[str, str], asks: bool) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    names: dict[str, Any] = {f"{role}_token": name for role, name in roles.items()}
    try:
        made = render_jinja_template([messages], chat_template=source, add_generation_prompt=asks, **names)
    except Exception as error:  # whatever a template does
        raise SeedxError(f"the chat template can't be used ({error}); give --template inst to leave it out") from error
    return str(made[0][0])


def _cut(text: str, at: str) -> tuple[str, str]:
    before, found, after = text.partition(at)
    if not found:
        raise SeedxError("the chat template leaves out a turn; give --template inst to leave it out")
    return before, after
