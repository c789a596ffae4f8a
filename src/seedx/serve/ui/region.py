"""A picture with a region painted on it, as gradio's editor sends it, within the limits of the server."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import PIL.Image
import PIL.ImageChops
from gradio.components.image_editor import AcceptBlobs, EditorData
from gradio.data_classes import FileData

from seedx.serve.errors import ServeError
from seedx.serve.messages import Pictures

MOST_LAYERS = 4
MOST_WAITING = 64  # pictures that were sent by the browser, and not yet used


@dataclass(frozen=True)
class Painted:
    """The bytes of the picture, and of the layers that were painted on it."""

    background: bytes
    layers: tuple[bytes, ...]

    def open(self, pictures: Pictures) -> tuple[PIL.Image.Image, PIL.Image.Image | None]:
        """The picture, and the mask of its region: transparent where it is painted, as the API has it. None: nothing
        is painted.

        Raises:
            ServeError: no picture, or one that is too large.
        """
        picture = pictures.of_bytes(self.background, "picture")
        painted = PIL.Image.new("L", picture.size)
        for layer in self.layers:
            opened = pictures.mask(layer).convert("RGBA").resize(picture.size, PIL.Image.Resampling.NEAREST)
            touched = opened.getchannel("A").point(lambda alpha: 255 if alpha else 0)
            painted = PIL.ImageChops.lighter(painted, touched)
        if painted.getbbox() is None:
            return picture, None
        mask = PIL.Image.new("RGBA", picture.size)
        mask.putalpha(PIL.ImageChops.invert(painted))
        return picture, mask


def limit_editor() -> None:
    """From here on gradio's editor gives a handler `Painted` (None: no picture).

    Its own reading opens pictures of any size, and it keeps what browsers send without a bound. The class itself is
    changed: gradio makes new objects of it as it likes, and writes a .pyi file beside the source of every subclass.
    """
    accept = gr.ImageEditor.accept_blobs
    if hasattr(accept, "bounded"):
        return

    def bounded(editor: gr.ImageEditor, data: AcceptBlobs) -> None:
        index = str(data.data["index"])
        if index.isdigit() and int(index) >= MOST_LAYERS:
            raise ServeError(f"a picture has at most {MOST_LAYERS} layers")
        while len(editor.blob_storage) >= MOST_WAITING:
            editor.blob_storage.pop(next(iter(editor.blob_storage)))
        accept(editor, data)

    bounded._is_server_fn = bounded.bounded = True  # type: ignore[attr-defined]  # the first as gradio marks them
    gr.ImageEditor.accept_blobs = bounded
    gr.ImageEditor.preprocess = _painted


def _painted(editor: gr.ImageEditor, payload: EditorData | None) -> Painted | None:
    if payload is None:
        return None
    if payload.id is not None:
        sent = editor.blob_storage.pop(payload.id, None)
        background, layers = (None, []) if sent is None else (sent.background, sent.layers)
    else:
        background, layers = _read(payload.background), [_read(layer) for layer in payload.layers[:MOST_LAYERS]]
    if background is None:
        return None
    return Painted(background, tuple(layer for layer in layers if layer is not None))


def _read(file: FileData | None) -> bytes | None:
    """A file that gradio has found to be among the uploads."""
    return None if file is None else Path(file.path).read_bytes()


def enlarged(picture: PIL.Image.Image, least: int = 448) -> PIL.Image.Image:
    """A small picture at a size at which one can paint on it."""
    scale = max(1, -(-least // max(picture.size)))
    return picture.resize((picture.width * scale, picture.height * scale), PIL.Image.Resampling.BICUBIC)


def png(picture: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
