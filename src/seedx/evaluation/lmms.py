"""A model for lmms-eval, the field's harness for questions about pictures.

    python -m lmms_eval --model seedx --model_args pretrained=tiny --tasks pope --batch_size 8

lmms-eval has two forms of requests. By default `SeedXChat` gets messages, texts and pictures in the order of the task;
with --force_simple `SeedX` gets the pictures followed by one text, which is also the form of tasks that compare the
likelihood of given answers (output_type multiple_choice). Nothing is drawn. A box in an answer is written as
lmms-eval's RefCOCO tasks read it: "[x0, y0, x1, y1]", as fractions of the picture.

Needs the extra `seedx[lmms]`. Written for the interface of lmms-eval 0.7 (lmms_eval/api/model.py, api/task.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from lmms_eval.api.instance import GenerationResult
from lmms_eval.api.model import lmms
from tqdm import tqdm

from seedx.errors import SeedxError
from seedx.evaluation.likelihood import score
from seedx.images import MAX_PIXELS
from seedx.inference.pipeline import load
from seedx.inference.reply import Reply
from seedx.inference.settings import Settings
from seedx.messages import Image, Message, Part, Text, assistant, pictures_first, user


class SeedX(lmms):
    """Tasks in the simple form. Each request's `args` end in (document number, task, split)."""

    is_simple = True

    def __init__(
        self,
        pretrained: str = "tiny",
        device: str | None = None,
        dtype: str | None = None,
        batch_size: int | str = 1,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """
        Args:
            pretrained: "tiny" (bundled), a folder, or a hub id.
            device: by default the accelerator that is available; with several processes (`torchrun`), one each.
            dtype: of the weights, such as bfloat16; None: float32 on the CPU, bfloat16 elsewhere.
            batch_size: requests answered at once.
            max_pixels: larger pictures are an error.

        Raises:
            SeedxError: a batch size that is no number, an unknown dtype, or as `seedx.load`.
        """
        super().__init__()
        self.accelerator = Accelerator()  # the evaluator gathers with it
        alone = self.accelerator.num_processes == 1
        self.device = torch.device(device) if device and alone else self.accelerator.device
        self.batch_size = _positive(batch_size)
        self.pipeline = load(pretrained, device=self.device, dtype=_dtype(dtype), max_pixels=max_pixels)

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """An answer to each request. Requests with the same settings are answered in batches.

        Raises:
            SeedxError: beam search, a video or a sound, or a prompt longer than the context.
        """
        groups: dict[Decoding, list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            groups[Decoding.of(self.generation_kwargs(request))].append(index)
        answers = [""] * len(requests)
        with tqdm(total=len(requests), desc="answering", disable=self.rank != 0) as bar:
            for decoding, members in groups.items():
                for chunk in _chunks(members, self.batch_size):
                    replies = self.pipeline.reply_batch(
                        [self.conversation(requests[index]) for index in chunk],
                        drawing="forbid",
                        seeds=chunk,  # so that the same question asked again may have another answer
                        temperature=decoding.temperature,
                        top_p=decoding.top_p,
                        max_new_tokens=decoding.max_new_tokens,
                    )
                    for index, reply in zip(chunk, replies, strict=True):
                        answers[index] = decoding.cut(reply_text(reply))
                    bar.update(len(chunk))
        return answers

    def loglikelihood(self, requests: Sequence[Any]) -> list[GenerationResult]:
        """The loss of each given answer (mean over its tokens, in nats), and whether greedy decoding gives it.

        lmms-eval takes the answer with the smallest number (`process_results` in its api/task.py). A bare pair would
        reach that as a string (`unwrap_generation_output` in api/instance.py), one in a result does not.

        Raises:
            SeedxError: a question and its answer longer than the context.
        """
        scores: list[GenerationResult] = []
        with tqdm(total=len(requests), desc="scoring", disable=self.rank != 0) as bar:
            for chunk in _chunks(requests, self.batch_size):
                pairs = score(self.pipeline, [self._answered(request) for request in chunk])
                scores += [GenerationResult(pair) for pair in pairs]
                bar.update(len(chunk))
        return scores

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        raise NotImplementedError("seedx answers tasks of one round: leave out those of generate_until_multi_round")

    def generation_kwargs(self, request: Any) -> dict[str, Any]:
        """The task's generation_kwargs."""
        kwargs: dict[str, Any] = request.args[1]
        return kwargs

    def conversation(self, request: Any) -> list[Message]:
        """The prompt of a request: its pictures, then its text."""
        text, doc_to_visual = request.args[0], request.args[2]
        pictures = doc_to_visual(self.document(request)) if doc_to_visual else None
        return [user(*(Image(picture) for picture in pictures or ()), text)]

    def document(self, request: Any) -> Any:
        number, task, split = request.args[-3:]
        return self.task_dict[task][split][number]

    def _answered(self, request: Any) -> list[Message]:
        """The conversation with the answer to score, which is a text or found in the document."""
        answer = request.args[1]
        given = answer(self.document(request)) if callable(answer) else answer
        return [*self.conversation(request), assistant(given.strip())]


class SeedXChat(SeedX):
    """Tasks as messages, texts and pictures in any order; those of a question followed by pictures as `chat` asks."""

    is_simple = False

    def generation_kwargs(self, request: Any) -> dict[str, Any]:
        kwargs: dict[str, Any] = request.args[2]
        return kwargs

    def conversation(self, request: Any) -> list[Message]:
        doc_to_messages = request.args[1]
        messages = doc_to_messages(self.document(request))
        parts = [(each["role"], tuple(map(_part, each["content"]))) for each in messages]
        return [Message(role, pictures_first(said) if role == "user" else said) for role, said in parts]


@dataclass(frozen=True)
class Decoding:
    """A task's decoding settings. `until`: texts before which an answer ends."""

    max_new_tokens: int
    temperature: float
    top_p: float
    until: tuple[str, ...]

    @classmethod
    def of(cls, kwargs: dict[str, Any]) -> Decoding:
        """From a task's generation_kwargs; the default is greedy decoding of `Settings`' number of tokens.

        Raises:
            SeedxError: beam search.
        """
        if (kwargs.get("num_beams") or 1) > 1:
            raise SeedxError(f"seedx has no beam search: set num_beams to 1, not {kwargs['num_beams']}")
        sampled = kwargs.get("do_sample", True)
        temperature = kwargs.get("temperature", 1.0 if kwargs.get("do_sample") else 0.0) or 0.0
        until = kwargs.get("until") or ()
        return cls(
            max_new_tokens=kwargs.get("max_new_tokens") or Settings.max_new_tokens,
            temperature=temperature if sampled else 0.0,
            top_p=kwargs.get("top_p") or 1.0,
            until=tuple(filter(None, [until] if isinstance(until, str) else until)),
        )

    def cut(self, answer: str) -> str:
        for end in self.until:
            answer = answer.split(end)[0]
        return answer


def reply_text(reply: Reply) -> str:
    """An answer as text, its boxes at the end."""
    boxes = ("[" + ", ".join(f"{value:.4f}" for value in box.box) + "]" for box in reply.boxes)
    return " ".join(filter(None, [reply.text, *boxes]))


def _part(part: dict[str, Any]) -> Part:
    """
    Raises:
        SeedxError: neither a text nor a picture.
    """
    if part["type"] == "text":
        return Text(part["text"])
    if part["type"] == "image":
        return Image(part["url"])
    raise SeedxError(f"seedx reads texts and pictures, but the task has {part['type']!r}: choose another task")


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def _positive(batch_size: int | str) -> int:
    if not str(batch_size).isdigit() or int(batch_size) < 1:
        raise SeedxError(f"--batch_size must be a number of at least 1, not {batch_size!r}")
    return int(batch_size)


def _dtype(name: str | None) -> torch.dtype | None:
    dtype = getattr(torch, name, None) if name else None
    if name and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise SeedxError(f"dtype is a floating type of torch such as bfloat16, not {name!r}")
    return dtype
