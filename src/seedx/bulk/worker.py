"""The worker: a model, and a plain callable from columns to columns.

    worker = Worker("caption", model="tiny")
    worker({"id": ["a", "b"], "image": ["a.png", png_bytes]})
    -> {"id": ["a", "b"], "answer": [...], "boxes": [[], []], "picture": [None, None], "error": [None, None],
        "seconds": [...]}

It knows nothing of who calls it: `seedx batch` does, as an actor of Ray Data or not, and so can `map_batches`, Daft or
a loop. Inputs are sorted by what they cost and answered in batches of `batch_size`; rows come back in their order. What
is wrong with one input is its row's error, and no other row's.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import PIL.Image

from seedx.bulk.rows import Answer, Query, as_columns
from seedx.bulk.tasks import TaskName, task_of
from seedx.data import storage
from seedx.data.record import MAX_BYTES
from seedx.errors import SeedxError, first_line
from seedx.images import Source, read_header
from seedx.inference.loading import LoadOptions
from seedx.inference.pipeline import Pipeline, load
from seedx.inference.reply import Reply
from seedx.inference.settings import Drawing, Settings, SettingsOptions, settings_from
from seedx.messages import Box
from seedx.tiling import tile_count

READ = ("image", "text", "seed", "error")  # columns that the worker uses up; all others are passed on
THREADS = 2  # that open pictures


class Worker:
    """
    Args:
        task: caption, chat, ground, draw or edit.
        model: as `seedx.load` takes it.
        prompt: the text of inputs that have none of their own.
        batch_size: inputs that are answered together.
        max_tiles: pictures have at most so many tiles together in a batch.
        drawing: of chat: whether it may draw.
        condition: of edit: try it with a model that was not trained to edit.
        settings: the fields of `Settings`.
        load_options: as `seedx.load` takes them.

    Raises:
        SeedxError: no such task or model, or settings that can't be.
    """

    def __init__(
        self,
        task: TaskName,
        *,
        model: str | Pipeline = "tiny",
        prompt: str | None = None,
        batch_size: int = 32,
        max_tiles: int = 320,
        drawing: Drawing = "auto",
        condition: bool | None = None,
        settings: SettingsOptions | None = None,
        load_options: LoadOptions | None = None,
    ) -> None:
        self.name, self.task = task, task_of(task)
        self.prompt, self.batch_size, self.max_tiles = prompt, batch_size, max_tiles
        self.drawing, self.condition = drawing, condition
        self.settings: SettingsOptions = settings or {}
        self.model = model if isinstance(model, Pipeline) else load(model, **(load_options or {}))
        checked = settings_from(Settings, self.settings)
        self.model.engine.image_decoder.check(checked)
        self._seed = checked.seed
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="seedx-open")

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Columns of inputs -> columns of answers, row by row.

        Args:
            batch: `image` and `text` as the task needs them, `seed` if each has its own, and `error` of those that
                could not be read, which stays. Other columns are passed on.
        """
        columns = {name: list(values) for name, values in batch.items()}
        count = max(map(len, columns.values()), default=0)
        missing: list[Any] = [None] * count
        image, text, seed, error = (columns.get(name, missing) for name in READ)
        queries = [
            Query(a, b, None if c is None else int(c), d or "")
            for a, b, c, d in zip(image, text, seed, error, strict=True)
        ]
        answers: list[Answer] = [Answer()] * count
        for group in self.groups(queries):
            opened = self.opened([queries[at] for at in group])
            for at, answer in zip(group, self.answers(opened), strict=True):
                answers[at] = answer
        return {name: values for name, values in columns.items() if name not in READ} | as_columns(answers)

    def groups(self, queries: Sequence[Query]) -> Iterator[list[int]]:
        """The numbers of inputs that are answered together: of about the same size, the largest first, so that memory
        runs out at once or not at all."""
        sizes = list(self._pool.map(self._size, queries))
        order = sorted(range(len(queries)), key=lambda at: sizes[at], reverse=True)
        group, tiles = list[int](), 0
        for at in order:
            if group and (len(group) >= self.batch_size or tiles + sizes[at][0] > self.max_tiles):
                yield group
                group, tiles = [], 0
            group.append(at)
            tiles += sizes[at][0]
        if group:
            yield group

    def opened(self, queries: Sequence[Query]) -> list[Query]:
        """The inputs with their pictures opened, or the error of each that can't be. Needs no model."""
        return list(self._pool.map(self._opened, queries))

    def answers(self, queries: Sequence[Query]) -> list[Answer]:
        """The answers to one batch of `opened` inputs.

        Raises:
            Exception: of any kind, if every one of several inputs failed by it: it is no input's fault.
        """
        start = time.perf_counter()
        good = [query for query in queries if not query.error]
        found = iter(self._tried(good))
        answers = [Answer(error=query.error) if query.error else next(found) for query in queries]
        for answer in answers:
            answer.seconds = round((time.perf_counter() - start) / len(queries), 4)
        return answers

    def _tried(self, queries: list[Query]) -> list[Answer]:
        """A batch that fails is answered one by one: for lack of memory, or for a bug that one input meets."""
        try:
            return self._run(queries) if queries else []
        except Exception as error:
            if len(queries) == 1:
                return [_failed(error)]
        answers, last = list[Answer](), None
        for query in queries:
            try:
                answers += self._run([query])
            except Exception as error:
                answers.append(_failed(error))
                last = error
        if last is not None and all(answer.error for answer in answers):
            raise last
        return answers

    def _run(self, queries: list[Query]) -> list[Answer]:
        model, options = self.model, self.settings
        images = [query.image for query in queries]
        texts = [query.text or "" for query in queries]
        seeds = [self._seed if query.seed is None else query.seed for query in queries]
        match self.name:
            case "caption":
                return [_answer(found) for found in model.caption_batch(images, on_error="return", **options)]
            case "ground":
                return [_answer(found) for found in model.ground_batch(images, texts, on_error="return", **options)]
            case "chat":
                asked = list(zip(texts, images, strict=True))
                replies = model.chat_batch(asked, on_error="return", drawing=self.drawing, **options)
                return [_answer(found) for found in replies]
            case "draw":
                return [_answer(found) for found in model.draw_batch(texts, seeds, on_error="return", **options)]
            case "edit":
                edited = model.edit_batch(images, texts, seeds, condition=self.condition, on_error="return", **options)
                return [_answer(found) for found in edited]

    def _size(self, query: Query) -> tuple[int, int]:
        """Tiles of its pictures, and characters of its text. Only headers of files are read, and nothing remote."""
        if self.task.picture == "ignored" or query.error:
            return 0, len(query.text or "")
        engine, tiles = self.model.engine, 0
        for picture in _several(query.image):
            try:
                if isinstance(picture, str) and storage.remote(picture):
                    tiles += 1
                else:
                    with read_header(picture, max_pixels=engine.max_pixels) as header:
                        tiles += tile_count(header.size, engine.model.config.tiling)
            except SeedxError:
                pass  # `opened` says what it is
        return tiles, len(query.text or "")

    def _opened(self, query: Query) -> Query:
        if query.error:
            return query
        query = replace(query, text=self.prompt if query.text is None else query.text)
        try:
            self._check(query)
            pictures = [] if self.task.picture == "ignored" else [self._picture(one) for one in _several(query.image)]
        except (SeedxError, OSError) as error:
            return replace(query, image=None, error=first_line(error))
        single = self.task.picture == "needed"
        return replace(query, image=pictures[0] if single else pictures)

    def _check(self, query: Query) -> None:
        if self.task.text and not (isinstance(query.text, str) and query.text.strip()):
            raise SeedxError(f"no text: its column is {' or '.join(self.task.text)}, or one that you name, or --prompt")
        if self.task.picture == "needed" and len(_several(query.image)) != 1:
            raise SeedxError(f"one picture is needed, not {len(_several(query.image))}")

    def _picture(self, source: Any) -> PIL.Image.Image:
        if isinstance(source, str) and storage.remote(source):
            with storage.open_file(source) as file:
                source = file.read(MAX_BYTES + 1)
            if len(source) > MAX_BYTES:
                raise SeedxError(f"the file has more than {MAX_BYTES >> 20} MiB")
        return self.model.open(cast("Source", source))


def png(picture: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _answer(found: Reply | str | list[Box] | PIL.Image.Image | SeedxError) -> Answer:
    match found:
        case SeedxError():
            return Answer(error=first_line(found))
        case Reply():
            drawn = found.images
            return Answer(found.text, tuple(found.boxes), png(drawn[0]) if drawn else None)
        case str():
            return Answer(found)
        case PIL.Image.Image():
            return Answer("", (), png(found))
    return Answer("", tuple(found))


def _failed(error: Exception) -> Answer:
    return Answer(error=f"{type(error).__name__}: {first_line(error)}")


def _several(image: Any) -> list[Any]:
    """The pictures of a cell, which may be {"bytes", "path"} as in Hugging Face's datasets."""
    listed = list(image) if isinstance(image, list | tuple) else [] if image is None else [image]
    return [(one.get("bytes") or one.get("path")) if isinstance(one, dict) else one for one in listed]
