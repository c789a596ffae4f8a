"""A reply's text as clients are shown it, while it is written: without boxes, and ended by stop sequences."""

from __future__ import annotations

from collections.abc import Sequence

from seedx.tokens import BOX_START, strip_boxes


class VisibleText:
    """Pieces go in as the model writes them; what comes out, put together, is `Reply.text`: no boxes, stripped, and a
    space where an image is.

    Text that may be the start of a box or of a stop sequence is held back until it is clear.

    Attributes:
        written: everything that went in, up to a stop sequence.
        stopped: a stop sequence was found; what comes after it is ignored.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.stop, self.written, self.stopped = [each for each in stop if each], "", False
        self._start = 0  # in `written`, of the text since the last image
        self._sent = ""  # of that text
        self._gap = ""  # before its first words

    def push(self, piece: str) -> str:
        """What can be shown now."""
        if self.stopped:
            return ""
        self.written += piece
        text = self.written[self._start :]
        ends = [at for at in (text.find(each) for each in self.stop) if at >= 0]
        if ends:
            self.written, self.stopped = self.written[: self._start + min(ends)], True
            return self.flush()
        held = max((_overlap(text, each) for each in [*self.stop, BOX_START]), default=0)
        return self._new(strip_boxes(text[: len(text) - held]).lstrip().rstrip(" \t\n[]"))

    def flush(self) -> str:
        """The rest."""
        return self._new(strip_boxes(self.written[self._start :]).strip())

    def image(self) -> str:
        """An image is here. Returns the rest of the text before it."""
        rest = self.flush()
        self._gap = " " if self._sent or self._gap else ""
        self._start, self._sent = len(self.written), ""
        return rest

    def _new(self, visible: str) -> str:
        new = visible[len(self._sent) :] if visible.startswith(self._sent) else ""
        gap = self._gap if new and not self._sent else ""
        self._sent += new
        return gap + new


def _overlap(text: str, pattern: str) -> int:
    """How many characters at the end of `text` may begin `pattern`."""
    return next((n for n in range(min(len(text), len(pattern) - 1), 0, -1) if text.endswith(pattern[:n])), 0)
