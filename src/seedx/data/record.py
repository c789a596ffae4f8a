"""`Record`: one sample as its source stores it, before a format makes messages of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from seedx.data import storage
from seedx.data.sample_errors import SampleError
from seedx.errors import shorten

MAX_BYTES = 64 << 20  # of a record with its pictures, and of a file that it names
MAX_JSON = 32 << 20  # of its JSON, which takes up to twenty times as much as Python's objects


@dataclass(frozen=True)
class Record:
    """
    Attributes:
        where: the sample, for messages: "shards/00012.tar/000123", "edits.jsonl:17", "part-0.parquet:5".
        fields: what it holds. Of a tar by extension without the first dot ("jpg" bytes, "json" parsed, "txt" a string;
            `000123.source.jpg` is "source.jpg"), of JSONL by key, of Parquet by column (pictures in the layout of
            Hugging Face's datasets stay {"bytes", "path"}).
        folder: where files beside the source lie; None in a tar, whose samples hold their files.
        roots: folders and URL prefixes, besides `folder`, in which files may lie that the record names.
    """

    where: str
    fields: dict[str, Any]
    folder: str | None = None
    roots: tuple[str, ...] = ()

    def image(self, value: Any) -> bytes | str:
        """What a field holds, as what `Image` takes: the bytes of a picture file, its local path, or a `data:` URI.

        Args:
            value: bytes; {"bytes", "path"}; a `data:` URI; the path or URL of a file in the source's folder; in a tar
                the name of a member of this sample ("000123.jpg") or its extension ("jpg").

        Raises:
            SampleError: "missing file", "too large", "outside" for a file in none of the folders that the recipe
                allows, or "bad format" for a value that is none of these.
            OSError: a remote file could not be read, again and again.
        """
        match value:
            case bytes():
                return value
            case {"bytes": bytes(content)}:
                return content
            case str(uri) if uri.startswith("data:"):
                return uri
            case {"path": str(path)} | str(path) if path:
                return self._member(path) if self.folder is None else self._beside(path, self.folder)
        raise SampleError(
            "bad format",
            self.where,
            f"a picture is bytes, a path or {{bytes, path}}, not {type(value).__name__} {shorten(value)}",
        )

    def _member(self, name: str) -> bytes:
        """By the rule that named the sample: its key is the member's path up to the first dot of the file name."""
        folder, slash, file = name.rpartition("/")
        stem, _, extension = file.partition(".")
        of_sample = self.where.endswith(f"/{folder}{slash}{stem}")
        if of_sample and isinstance(content := self.fields.get(extension), bytes):
            return content
        if isinstance(content := self.fields.get(name), bytes):
            return content
        raise SampleError("missing file", self.where, f"no member {name!r} in this sample")

    def _beside(self, name: str, folder: str) -> bytes | str:
        path = storage.join(folder, name)
        if not self._allowed(path, folder or "."):
            if storage.remote(path):
                raise SampleError(
                    "outside",
                    self.where,
                    f"{shorten(name)} is a URL: download the pictures first (img2dataset does), or list the beginning "
                    "of the URLs in the option roots",
                )
            raise SampleError(
                "outside",
                self.where,
                f"{shorten(name)} is not in the folder {folder or '.'!r}: if the data may name such files, list their "
                "folder or URL in the option roots",
            )
        try:
            if storage.remote(path):
                with storage.open_file(path) as file:
                    return self._bounded(file.read(MAX_BYTES + 1), name)
        except FileNotFoundError as error:
            raise self._missing(path) from error
        if not os.path.isfile(path):
            raise self._missing(path)
        if os.path.getsize(path) > MAX_BYTES:
            raise self._too_large(name)
        return path

    def _allowed(self, path: str, folder: str) -> bool:
        try:
            return any(storage.inside(path, root) for root in (folder, *self.roots))
        except ValueError as error:
            raise SampleError("bad format", self.where, f"no path: {shorten(path)}") from error

    def _bounded(self, content: bytes, name: str) -> bytes:
        if len(content) > MAX_BYTES:
            raise self._too_large(name)
        return content

    def _missing(self, path: str) -> SampleError:
        hint = "download it, or name the folder that paths are relative to by the option images"
        return SampleError("missing file", self.where, f"{path} is not there: {hint}")

    def _too_large(self, name: str) -> SampleError:
        return SampleError("too large", self.where, f"{shorten(name)} has more than {MAX_BYTES >> 20} MiB")
