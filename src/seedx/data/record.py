"""`Record`: one sample as its source stores it, before a format makes messages of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from seedx.data import storage
from seedx.data.sample_errors import SampleError


@dataclass(frozen=True)
class Record:
    """
    Attributes:
        where: the sample, for messages: "shards/00012.tar/000123", "edits.jsonl:17", "part-0.parquet:5".
        fields: what it holds. Of a tar by extension without the first dot ("jpg" bytes, "json" parsed, "txt" a string;
            `000123.source.jpg` is "source.jpg"), of JSONL by key, of Parquet by column (pictures in the layout of
            Hugging Face's datasets stay {"bytes", "path"}).
        folder: where files beside the source lie; None in a tar, whose samples hold their files.
    """

    where: str
    fields: dict[str, Any]
    folder: str | None = None

    def image(self, value: Any) -> bytes | str:
        """What a field holds, as what `Image` takes: the bytes of a picture file, or its local path.

        Args:
            value: bytes; {"bytes", "path"}; the path or URL of a file, relative to the source's folder; in a tar the
                name of a member of this sample ("000123.jpg") or its extension ("jpg").

        Raises:
            SampleError: "missing file", or "bad format" for a value that is none of these.
            OSError: a remote file could not be read, again and again.
        """
        match value:
            case bytes():
                return value
            case {"bytes": bytes(content)}:
                return content
            case {"path": str(path)} | str(path) if path:
                return self._member(path) if self.folder is None else self._beside(path, self.folder)
        raise SampleError(
            "bad format", self.where, f"a picture is bytes, a path or {{bytes, path}}, not {_short(value)}"
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
        try:
            if storage.remote(path):
                with storage.open_file(path) as file:
                    return file.read()
        except FileNotFoundError as error:
            raise SampleError("missing file", self.where, path) from error
        if not os.path.isfile(path):
            raise SampleError("missing file", self.where, path)
        return path


def _short(value: Any) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown[:60]}" + ("..." if len(shown) > 60 else "")
