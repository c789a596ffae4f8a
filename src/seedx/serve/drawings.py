"""The images of all jobs that wait or are drawn: one batch at a time, a denoising step at a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from seedx.inference.image_decoder import ImageDecoder, ImageRequest
from seedx.model.denoise import Denoising
from seedx.serve.jobs import ImageDone, Job, Preview
from seedx.serve.metrics import Metrics
from seedx.tiling import to_picture


@dataclass(eq=False)
class _Image:
    job: Job
    number: int
    request: ImageRequest
    previews: int = 0  # made

    @property
    def next_preview(self) -> float:
        """The share of the steps after which the next one is due; they are spread evenly."""
        wanted = self.job.previews
        return (self.previews + 1) / (wanted + 1) if self.previews < wanted else 2.0


class Drawings:
    """
    Args:
        most: images that are denoised together.
    """

    def __init__(self, decoder: ImageDecoder, most: int, metrics: Metrics) -> None:
        self.decoder, self.most, self.metrics = decoder, most, metrics
        self._waiting: list[_Image] = []
        self._drawn: list[_Image] = []  # together, by `_denoising`
        self._denoising: Denoising | None = None

    def __len__(self) -> int:
        return len(self._waiting) + len(self._drawn)

    @property
    def jobs(self) -> set[Job]:
        return {image.job for image in [*self._waiting, *self._drawn]}

    def add(self, job: Job, number: int, request: ImageRequest) -> None:
        """Image `number` of a job waits for its turn."""
        self._waiting.append(_Image(job, number, request))

    def drop(self, gone: Collection[Job]) -> None:
        """Let the images of these jobs leave; the others are drawn as they would have been."""
        self._waiting = [image for image in self._waiting if image.job not in gone]
        kept = [index for index, image in enumerate(self._drawn) if image.job not in gone]
        if self._denoising is not None and len(kept) < len(self._drawn):
            self._drawn = [self._drawn[index] for index in kept]
            if kept:
                self._denoising.keep(kept)
            else:
                self._denoising = None

    def clear(self) -> None:
        self._waiting, self._drawn, self._denoising = [], [], None

    def step(self) -> list[tuple[Job, Preview | ImageDone]]:
        """One step of the batch, the next batch if there is none; previews that are due, or the images at the end."""
        if not self._drawn:
            self._begin()
        if self._denoising is None:
            return []
        with self.metrics.seconds.labels("image").time():
            self._denoising.step()
        return self._end(self._denoising) if self._denoising.done else self._previews(self._denoising)

    def _begin(self) -> None:
        """The image that waits longest, and those that are drawn alike."""
        if not self._waiting:
            return
        kind = self.decoder.kind(self._waiting[0].request)
        alike = [image for image in self._waiting if self.decoder.kind(image.request) == kind][: self.most]
        self._denoising = self.decoder.begin([image.request for image in alike])
        self._drawn, self._waiting = alike, [image for image in self._waiting if image not in alike]
        self.metrics.batch.labels("image").observe(len(alike))

    def _previews(self, denoising: Denoising) -> list[tuple[Job, Preview | ImageDone]]:
        found: list[tuple[Job, Preview | ImageDone]] = []
        for index, image in enumerate(self._drawn):
            if denoising.number / denoising.steps >= image.next_preview:
                found.append((image.job, Preview(image.number, image.previews, to_picture(denoising.preview(index)))))
                image.previews += 1
        return found

    def _end(self, denoising: Denoising) -> list[tuple[Job, Preview | ImageDone]]:
        with self.metrics.seconds.labels("decode").time():
            pictures = [to_picture(pixels) for pixels in denoising.pixels()]
        drawn, self._drawn, self._denoising = self._drawn, [], None
        self.metrics.images.inc(len(drawn))
        return [(image.job, ImageDone(image.number, picture)) for image, picture in zip(drawn, pictures, strict=True)]
