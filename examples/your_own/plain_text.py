"""What a language model answers to plain questions: as training data, and before and after training.

    python examples/your_own/plain_text.py replies runs/smollm2/base runs/smollm2/plain.jsonl
    python examples/your_own/plain_text.py compare runs/smollm2/base runs/smollm2/chat --out plain.md

`replies` writes a model's own answers to simple questions as a JSONL of `messages`. Among other data they keep it
answering so (self-distillation). `compare` asks two models 20 other questions, and writes the answers side by side with
the share of questions whose answers are the same.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import tyro

import seedx

FORMS = (
    "What is {}? Answer in one sentence.",
    "What is {}?",
    "Explain {} in one sentence.",
    "Give me one short tip about {}.",
    "Write one sentence about {}.",
    "Why do people like {}?",
)
TOPICS = (
    "bread", "rain", "a bicycle", "chess", "the moon", "gardening", "a library", "coffee", "sleep", "music",
    "a volcano", "mathematics", "friendship", "a river", "cooking", "winter", "a computer", "swimming", "history",
    "honey", "electricity", "a bridge", "football", "the desert", "tea", "a museum", "painting", "oxygen", "a train",
    "democracy",
)  # fmt: skip
SINGLE = (
    "What is the capital of Spain?", "What is the capital of Japan?", "What is 3 + 5?", "What is 10 - 4?",
    "Who wrote Hamlet?", "Who painted the Mona Lisa?", "Name three animals.", "Name three cities.",
    "Name a famous singer.", "Why is grass green?", "Why do leaves fall in autumn?", "How do I make tea?",
    "How do I cook rice?", "Tell me a story.", "Tell me a riddle.", "What is the smallest planet?",
    "What is the longest river?", "Translate 'thank you' into French.", "Translate 'hello' into German.",
    "What do cows eat?", "What do birds build?", "How many months are in a year?", "How many hours are in a day?",
    "Write a short poem about the moon.", "Write a short letter to a friend.", "Who was Isaac Newton?",
    "Who was Marie Curie?", "Give me an idea for a gift.", "Give me an idea for a holiday.",
    "What is the opposite of big?", "What is the opposite of fast?", "What is a hammer used for?", "Say thank you.",
    "Good morning!", "How are you?", "What can you do?", "What is your name?",
)  # fmt: skip
ASKED = (
    "What is the capital of France?", "Who wrote Romeo and Juliet?", "What is 2 + 2?", "Name three colours.",
    "Why is the sky blue?", "How do I boil an egg?", "What is photosynthesis?", "Tell me a joke.",
    "What is the largest planet?", "Translate 'good morning' into Spanish.", "What do bees make?",
    "How many days are in a week?", "Write a short poem about the sea.", "What is gravity?", "Who was Albert Einstein?",
    "Give me an idea for dinner.", "What is the opposite of hot?", "Name a famous painter.", "What is Python used for?",
    "Say hello.",
)  # fmt: skip


def replies(model: str, out: Path, /, *, max_new_tokens: int = 64) -> None:
    """Write a model's answers to simple questions, but for those that are longer: they would teach it to end early."""
    loaded = seedx.load(model)
    with out.open("w", encoding="utf-8") as file:
        asked = [*SINGLE, *(form.format(topic) for form, topic in product(FORMS, TOPICS))]
        for start in range(0, len(asked), 16):
            group = asked[start : start + 16]
            answers = loaded.chat_batch([(text, ()) for text in group], drawing="forbid", max_new_tokens=max_new_tokens)
            for text, answer in zip(group, answers, strict=True):
                if answer.reason != "stop":
                    continue
                said = [{"role": "user", "content": text}, {"role": "assistant", "content": answer.text}]
                file.write(json.dumps({"messages": said}) + "\n")


def compare(before: str, after: str, /, *, out: Path = Path("plain.md"), max_new_tokens: int = 48) -> None:
    """Write the answers of two models side by side."""
    answers = []
    for model in (before, after):
        loaded = seedx.load(model)
        given = loaded.chat_batch([(text, ()) for text in ASKED], max_new_tokens=max_new_tokens)
        answers.append([answer.text.replace("\n", " ") for answer in given])
    same = sum(first == second for first, second in zip(*answers, strict=True))
    rows = [f"| {text} | {first} | {second} |" for text, first, second in zip(ASKED, *answers, strict=True)]
    table = "\n".join([f"| asked | {before} | {after} |", "|---|---|---|", *rows])
    out.write_text(f"{table}\n\n{same} of {len(ASKED)} answers are the same.\n", encoding="utf-8")
    print(f"{out}: {same} of {len(ASKED)} answers are the same")


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"replies": replies, "compare": compare})
