"""The one thread that runs the model for all requests: replies and images join and leave between passes.

Callers in other threads prepare a `Job` (`prepare`: pictures are tiled and the prompt encoded there), submit it, and
get its events by a callback. Each round of the loop does a little for everyone:

    aborted jobs leave, waiting jobs join
    prompts     one pass over at most `prompt_tokens` tokens, the shortest rests first
    spans       one pass over the placeholders of images that were begun
    tokens      one pass over one token of every other reply
    images      one denoising step of the current batch of images

A denoising step takes as long as many tokens. So before the next one, replies go on for as long as the last one took:
a short answer does not wait for images, token by token, and images have half of the time. Rows of one pass are padded
to the longest, hence the kinds are apart. A job's events do not depend on the other jobs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from seedx.errors import SeedxError
from seedx.inference.engine import Engine, Request
from seedx.inference.events import EndEvent, ImageEvent, TextEvent
from seedx.inference.generate import Generation
from seedx.inference.rows import Row, RowRequest, prompt_passes
from seedx.serve.drawings import Drawings
from seedx.serve.errors import ServeError, draining, failed, queue_full, timed_out
from seedx.serve.jobs import Emit, Ended, ImageBegun, ImageDone, Job, JobEvent, TextPiece
from seedx.serve.metrics import Metrics
from seedx.serve.prefix_cache import PrefixCache, keys_of
from seedx.serve.settings import Batching

log = logging.getLogger("seedx.serve")


class Scheduler:
    """
    Args:
        max_queue: jobs that may wait.
    """

    def __init__(self, engine: Engine, batching: Batching, max_queue: int, metrics: Metrics) -> None:
        self.engine, self.batching, self.max_queue, self.metrics = engine, batching, max_queue, metrics
        self.generation: Generation = engine.generation()
        self.cache = PrefixCache(batching.cache_tokens)
        self._waiting: deque[Job] = deque()
        self._rows: dict[Row, Job] = {}
        self._drawings = Drawings(engine.image_decoder, batching.max_drawn, metrics)
        self._image_seconds = 0.0  # of the last denoising step
        self._wake = threading.Condition()
        self._draining = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="seedx-scheduler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def prepare(self, request: Request, emit: Emit, previews: int = 0, deadline: float = float("inf")) -> Job:
        """A job that can be submitted. It does the work of the CPU, in the caller's thread.

        Raises:
            SeedxError: as `Engine.respond`.
        """
        row = self.engine.row_request(request)
        self.generation.checked(row)
        return Job(request, row, keys_of(row.prompt), emit, previews, deadline)

    def submit(self, jobs: Sequence[Job]) -> None:
        """All of them, or none.

        Raises:
            ServeError: too many are waiting (429), or the server is shutting down (503).
        """
        with self._wake:
            if self._draining:
                raise draining()
            if len(self._waiting) + len(jobs) > self.max_queue + self._places():
                self.metrics.rejected.labels("queue_full").inc()
                raise queue_full(len(self._waiting))
            self._waiting.extend(jobs)
            self._wake.notify()

    def abort(self, job: Job) -> None:
        """It leaves before the next pass, and gets no more events."""
        with self._wake:
            job.aborted = True
            self._wake.notify()

    def drain(self) -> None:
        """Refuse new jobs; those that were submitted are finished."""
        with self._wake:
            self._draining = True
            self._wake.notify()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end after `drain`; False if it has not come in so many seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End now: jobs in progress get a `ServeError` that says to send them again."""
        with self._wake:
            self._draining = self._stopped = True
            self._wake.notify()
        self._thread.join()

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._busy()

    @property
    def is_draining(self) -> bool:
        return self._draining

    def _places(self) -> int:
        return max(0, self.batching.max_rows - len(self._rows))

    # The scheduler's thread.

    def _run(self) -> None:
        while self._wait():
            try:
                self._round()
            except Exception:  # a bug, or no memory: what was in the batch is lost, and nothing else
                log.exception("a pass failed; the %d replies and images in progress are answered 500", self._busy())
                self._reset(failed())
        self._reset(draining())

    def _wait(self) -> bool:
        """Wait until there is work; False at the end."""
        with self._wake:
            while not self._stopped and not self._waiting and not self._busy():
                if self._draining:
                    return False
                self._wake.wait()
            return not self._stopped

    def _busy(self) -> int:
        return len(self._rows) + len(self._drawings)

    def _round(self) -> None:
        start = time.monotonic()
        self._reply()
        while self._rows and self._drawings and time.monotonic() - start < self._image_seconds:
            self._reply()
        self._draw()
        self.metrics.waiting.set(len(self._waiting))
        self.metrics.running.set(len(self._rows))
        self.metrics.drawing.set(len(self._drawings))

    def _reply(self) -> None:
        """A pass of each kind."""
        self._drop_ended()
        self._admit()
        rows = list(self._rows)
        for group in prompt_passes([row for row in rows if row.unread], self.batching.prompt_tokens):
            self._pass("prompt", group)
        self._pass("span", [row for row in rows if not row.unread and row.span is not None])
        self._pass("token", [row for row in rows if not row.unread and row.span is None and row in self._rows])

    def _drop_ended(self) -> None:
        """Let aborted jobs and those that took too long leave."""
        now = time.monotonic()
        with self._wake:
            jobs = {*self._waiting, *self._rows.values(), *self._drawings.jobs}
            gone = {job for job in jobs if job.aborted or job.deadline < now}
            self._waiting = deque(job for job in self._waiting if job not in gone)
        for job in gone:
            if not job.aborted:
                self._emit(job, timed_out(now - job.submitted))
                job.aborted = True
            self.metrics.aborted.inc()
        for row in [row for row, job in self._rows.items() if job in gone]:
            del self._rows[row]
            self.generation.leave(row)
        self._drawings.drop(gone)

    def _admit(self) -> None:
        """Let waiting jobs join: as many as there is room for rows, and for tiles to encode at once."""
        jobs: list[Job] = []
        tiles = 0
        with self._wake:
            while self._waiting and len(jobs) < self._places():
                count = 0 if self._waiting[0].row.prompt.tiles is None else len(self._waiting[0].row.prompt.tiles)
                if jobs and tiles + count > self.batching.max_tiles:
                    break
                tiles += count
                jobs.append(self._waiting.popleft())
        if not jobs:
            return
        requests = [self._continued(job) for job in jobs]
        with self.metrics.seconds.labels("encode").time():
            try:
                self._rows.update(zip(self.generation.join(requests), jobs, strict=True))
            except Exception:
                for job, request in zip(jobs, requests, strict=True):
                    self._join_alone(job, request)

    def _join_alone(self, job: Job, request: RowRequest) -> None:
        """After one of several could not join: each by itself, so that the others are not lost with it."""
        try:
            [row] = self.generation.join([request])
        except SeedxError as error:
            self._emit(job, ServeError(str(error), 400, "invalid_value"))
        except Exception:  # no memory, or a bug; the replies in progress are not touched
            log.exception("a reply can't begin and is answered 500")
            self._emit(job, failed())
        else:
            self._rows[row] = job

    def _continued(self, job: Job) -> RowRequest:
        """The job's row, without what was read in an earlier turn."""
        state = self.cache.take(job.row.prompt, job.keys, job.row.adapter)
        self.metrics.cache.labels("miss" if state is None else "hit").inc()
        if state is None:
            return job.row
        job.cached = state.length
        prompt = job.row.prompt.after(state.length, self.engine.model.config.bridge.queries)
        return RowRequest(prompt, job.row.settings, state, job.row.adapter)

    def _pass(self, kind: str, rows: list[Row]) -> None:
        if not rows:
            return
        self.metrics.batch.labels(kind).observe(len(rows))
        with self.metrics.seconds.labels(kind).time():
            events = self.generation.step(self.batching.prompt_tokens, only=rows)
        for row, event in events:
            job = self._rows[row]
            job.tokens = len(row.new)
            if isinstance(event, TextEvent):
                self._emit(job, TextPiece(event.text))
            elif isinstance(event, ImageEvent):
                request = self.engine.image_request(job.request, job.begun, event.features)
                self._emit(job, ImageBegun(job.begun))
                self._drawings.add(job, job.begun, request)
                job.begun += 1
            else:
                self._end(row, job, event)

    def _end(self, row: Row, job: Job, event: EndEvent) -> None:
        state = self.generation.leave(row, keep=self.cache.max_tokens > 0)
        del self._rows[row]
        if state is not None:
            keys = np.concatenate([job.keys, np.array(event.ids, dtype=np.int64)])
            self.cache.put(keys, len(job.keys), state, job.row.adapter)
        self.metrics.tokens.labels("prompt").inc(len(job.keys))
        self.metrics.tokens.labels("cached").inc(job.cached)
        self.metrics.tokens.labels("reply").inc(len(event.ids))
        job.ended = Ended(event.reason, len(event.ids), job.cached)
        self._finish(job)

    def _finish(self, job: Job) -> None:
        if job.over:
            assert job.ended is not None
            self._emit(job, job.ended)

    def _draw(self) -> None:
        """One denoising step of the images in progress."""
        start = time.monotonic()
        events = self._drawings.step()
        self._image_seconds = time.monotonic() - start
        for job, event in events:
            self._emit(job, event)
            if isinstance(event, ImageDone):
                job.drawn += 1
                self._finish(job)

    def _emit(self, job: Job, event: JobEvent) -> None:
        if job.aborted:
            return
        if job.first and not isinstance(event, ServeError):
            self.metrics.first.observe(time.monotonic() - job.submitted)
            job.first = False
        job.emit(event)

    def _reset(self, error: ServeError) -> None:
        """Answer everything in progress with an error, and begin with an empty batch."""
        jobs = {*self._rows.values(), *self._drawings.jobs}
        if self._stopped or self._draining:
            with self._wake:
                jobs |= set(self._waiting)
                self._waiting.clear()
        for job in jobs:
            self._emit(job, error)
        self._rows = {}
        self._drawings.clear()
        self.generation = self.engine.generation()
        self.cache.clear()
