"""The running batch: a reply is what it is alone, whoever joins, leaves, aborts or fails beside it."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from serving import same

from random_adapters import language_updates
from running_batch import Client, images_of, text_of, together, written
from seedx.checkpoint.adapters import write_adapter
from seedx.inference import pipeline
from seedx.inference.engine import Request
from seedx.inference.pipeline import Pipeline
from seedx.inference.settings import Settings
from seedx.serve.errors import ServeError
from seedx.serve.jobs import Ended, ImageDone, Preview
from seedx.serve.metrics import Metrics
from seedx.serve.scheduler import Scheduler
from seedx.serve.settings import Batching

SMALL = Batching(max_rows=3, max_drawn=2, prompt_tokens=20, max_tiles=4, cache_tokens=2000)
ADAPTERS = ("one", "two", "base")


@pytest.fixture
def scheduler(tiny: Pipeline) -> Iterator[Scheduler]:
    made = Scheduler(tiny.engine, SMALL, 64, Metrics())
    yield made
    if made._thread.is_alive():
        made.stop()


def requests(model: Pipeline, count: int) -> list[Request]:
    """Questions about pictures of other sizes, and drawings, sampled and greedy, some longer than one piece."""
    rng = random.Random(5)
    made = []
    for number in range(count):
        colour = tuple(rng.randrange(256) for _ in range(3))
        picture = PIL.Image.new("RGB", rng.choice(((40, 40), (120, 40), (60, 90))), colour)
        drawing = rng.choice(("force", "forbid", "auto"))
        turn = model.engine.turn("what is it? " * rng.randrange(1, 8), [picture] if number % 2 else [])
        settings = Settings(seed=number, temperature=0.8 * (number % 3), max_new_tokens=rng.choice((3, 25, 60)))
        if settings.max_new_tokens < 20:
            drawing = "forbid"
        made.append(Request([turn], settings, drawing))  # type: ignore[arg-type]
    return made


def test_any_reply_is_the_one_alone(tiny: Pipeline, scheduler: Scheduler) -> None:
    """Fourteen replies through a batch of three rows and two images; some are aborted at a random moment."""
    asked = requests(tiny, 14)
    alone = [tiny.engine.reply([request])[0] for request in asked]
    clients = [Client(scheduler, request) for request in asked]
    scheduler.start()
    rng, aborted = random.Random(1), set(random.Random(2).sample(range(14), 4))
    for number, client in enumerate(clients):
        scheduler.submit([client.job])
        if number in aborted:
            threading.Timer(rng.random() * 0.3, scheduler.abort, [client.job]).start()
        time.sleep(rng.random() * 0.02)
    for number, (client, reply) in enumerate(zip(clients, alone, strict=True)):
        if number in aborted:
            continue
        events = client.all()
        assert isinstance(events[-1], Ended) and events[-1].reason == reply.reason
        assert text_of(events) == written(reply)
        drawn = images_of(events)
        assert len(drawn) == len(reply.images)
        assert all(same(event.image, image) for event, image in zip(drawn, reply.images, strict=True))


def test_rows_of_one_batch_have_adapters_of_their_own(tiny: Pipeline, tiny_folder: Path, tmp_path: Path) -> None:
    """Two adapters and none, in turns, each reply the one alone; the same question again is read from the cache."""
    llm = tiny.model.seedx.language.llm
    for name, seed in (("one", 1), ("two", 2)):
        write_adapter(tmp_path / name, "language", language_updates(llm, seed, size=1.5), llm)
    model = pipeline.load(tiny_folder, adapter={name: tmp_path / name for name in ("one", "two")})
    asked = [
        dataclasses.replace(request, adapter=ADAPTERS[number % 3]) for number, request in enumerate(requests(model, 9))
    ]
    asked += asked[:3]
    alone = [model.engine.reply([request])[0] for request in asked]
    assert (
        len({written(model.engine.reply([dataclasses.replace(asked[1], adapter=each)])[0]) for each in ADAPTERS}) == 3
    )
    scheduler = Scheduler(model.engine, SMALL, 64, Metrics())
    for events, reply in zip(together(scheduler, asked), alone, strict=True):
        assert text_of(events) == written(reply)
        drawn = images_of(events)
        assert len(drawn) == len(reply.images)
        assert all(same(event.image, image) for event, image in zip(drawn, reply.images, strict=True))
    scheduler.stop()


def test_a_short_answer_does_not_wait_for_images(
    tiny: Pipeline, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A denoising step that takes as long as twenty passes, by a clock that only they advance."""
    now, steps = [0.0], [0]
    step, draw = scheduler.generation.step, scheduler._drawings.step

    def passed(*args: Any, **kwargs: Any) -> Any:
        now[0] += 1.0
        return step(*args, **kwargs)

    def drawn() -> Any:
        now[0] += 20.0 * bool(scheduler._drawings)
        steps[0] += bool(scheduler._drawings)
        return draw()

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(scheduler.generation, "step", passed)
    monkeypatch.setattr(scheduler._drawings, "step", drawn)
    image = Client(scheduler, Request([tiny.engine.turn("draw it")], Settings(steps=40), "now", one_image=True))
    scheduler.submit([image.job])
    while not steps[0]:
        scheduler._round()
    answer = Client(scheduler, Request([tiny.engine.turn("what is it?")], Settings(max_new_tokens=60), "forbid"))
    scheduler.submit([answer.job])
    while answer.job.ended is None:
        scheduler._round()
    assert answer.job.tokens > 15
    assert steps[0] <= 2 + answer.job.tokens // 20 + 1
    while not image.job.over:
        scheduler._round()
    assert isinstance(image.all()[-1], Ended)


def test_an_aborted_reply_frees_its_row_and_is_silent(tiny: Pipeline, scheduler: Scheduler) -> None:
    long = [
        Client(scheduler, Request(r.conversation, Settings(max_new_tokens=300), "forbid")) for r in requests(tiny, 3)
    ]
    short = Client(scheduler, requests(tiny, 1)[0])
    scheduler.submit([client.job for client in long])
    scheduler.submit([short.job])  # waits: three rows are all there are
    for client in long:
        scheduler.abort(client.job)
    scheduler.start()
    assert isinstance(short.all()[-1], Ended)
    assert all(client.events.empty() for client in long)
    assert not scheduler.generation.rows


def test_a_full_queue_and_a_shutdown(tiny: Pipeline) -> None:
    scheduler = Scheduler(tiny.engine, SMALL, 2, Metrics())
    clients = [Client(scheduler, request) for request in requests(tiny, 6)]
    for client in clients[:5]:  # three rows and two that wait
        scheduler.submit([client.job])
    with pytest.raises(ServeError) as full:
        scheduler.submit([clients[5].job])
    assert (full.value.status, full.value.retry_after) == (429, 2)
    scheduler.drain()
    with pytest.raises(ServeError) as gone:
        scheduler.submit([clients[5].job])
    assert gone.value.status == 503 and gone.value.retry_after
    scheduler.start()
    assert all(isinstance(client.all()[-1], Ended) for client in clients[:5])  # what was accepted is finished
    assert scheduler.join(10)


def test_a_reply_that_takes_too_long_ends(tiny: Pipeline, scheduler: Scheduler) -> None:
    late = Client(scheduler, requests(tiny, 1)[0], deadline=time.monotonic() - 1)
    scheduler.submit([late.job])
    scheduler.start()
    [event] = late.all()
    assert isinstance(event, ServeError) and event.status == 504


def test_a_failing_pass_is_answered_and_the_next_replies_are_right(
    tiny: Pipeline, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Client(scheduler, request) for request in requests(tiny, 2))
    alone = tiny.engine.reply([requests(tiny, 2)[1]])[0]
    broken, works = True, scheduler.generation.step

    def step(*values: object, **options: object) -> object:
        if broken:
            raise RuntimeError("no memory")
        return works(*values, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(scheduler.generation, "step", step)
    scheduler.submit([first.job])
    scheduler.start()
    event = first.all()[-1]
    assert isinstance(event, ServeError) and event.status == 500 and "memory" not in str(event)
    scheduler.submit([second.job])
    events = second.all()
    assert isinstance(events[-1], Ended)
    assert text_of(events) == written(alone)


def test_previews_are_spread_over_the_steps(tiny: Pipeline, scheduler: Scheduler) -> None:
    turn = tiny.engine.turn("draw it")
    client = Client(scheduler, Request([turn], Settings(steps=8, max_new_tokens=40), "now"), previews=3)
    scheduler.submit([client.job])
    scheduler.start()
    events = [event for event in client.all() if isinstance(event, Preview | ImageDone)]
    assert [getattr(event, "index", None) for event in events] == [0, 1, 2, None]


def test_a_known_conversation_is_not_read_again(tiny: Pipeline, scheduler: Scheduler) -> None:
    """Another picture of the same size, or another first turn, is not known."""
    scheduler.start()
    picture, other = PIL.Image.new("RGB", (40, 40), "red"), PIL.Image.new("RGB", (40, 40), "blue")

    def cached(shown: PIL.Image.Image) -> int:
        request = Request([tiny.engine.turn("what is it?", [shown])], Settings(max_new_tokens=4), "forbid")
        client = Client(scheduler, request)
        scheduler.submit([client.job])
        event = client.all()[-1]
        assert isinstance(event, Ended)
        return event.cached

    assert cached(picture) == 0
    assert cached(other) == 0
    assert cached(picture) > 5
    assert scheduler.cache.tokens <= SMALL.cache_tokens
