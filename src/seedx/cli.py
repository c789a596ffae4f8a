"""The command `seedx`: one table of verbs.

A verb is a function of `verbs/`: its signature and docstring are its options and its help. What it needs is imported
inside it, so help is instant. A user's mistake is one line on stderr and exit code 2, never a traceback.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import io
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from seedx import __version__, plugins
from seedx.errors import SeedxError
from seedx.verbs import make, use
from seedx.verbs.export import export
from seedx.verbs.plan import plan

VERBS: dict[str, Callable[..., int | None]] = {
    "chat": use.chat,
    "draw": use.draw,
    "edit": use.edit,
    "ground": use.ground,
    "reconstruct": use.reconstruct,
    "slide": use.slide,
    "story": use.story,
    "train": make.train,
    "plan": plan,
    "plot": make.plot,
    "export": export,
    "bench": make.bench,
    "convert": make.convert,
    "verify": make.verify,
    "info": make.info,
}


def verbs() -> dict[str, Callable[..., int | None]]:
    """The library's verbs, and those of packages that can be imported."""
    found = dict(VERBS)
    for name in plugins.names("seedx.verbs"):
        with contextlib.suppress(SeedxError):
            found.setdefault(name, plugins.find("seedx.verbs", name))
    return found


# How tyro shows a signature: --seed, not --settings.seed; no --no-json; no None to type; arguments by their names.
MARKERS = ("OmitArgPrefixes", "FlagCreatePairsOff", "DisallowNone", "PositionalMetavarFromFieldName")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        The exit code: 0, 1 for a check that failed, 2 for a mistake.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"seedx {__version__}")
        return 0
    try:
        return parse(arguments[0], arguments[1:])() or 0
    except (ValueError, OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError):
            return _quiet_pipe()
        print(f"seedx: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("seedx: stopped", file=sys.stderr)
        return 130


def parse(name: str, arguments: Sequence[str]) -> Callable[[], int | None]:
    """The verb with its options, ready to run.

    Raises:
        SeedxError: no such verb, or options that it does not have.
    """
    known = VERBS if name in VERBS else verbs()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
        raise SeedxError(f"there is no verb {name!r}: {hint}")
    import tyro  # a tenth of a second that `seedx --help` does without

    verb = known[name]

    @functools.wraps(verb)
    def bound(*values: Any, **options: Any) -> Callable[[], int | None]:
        return functools.partial(verb, *values, **options)

    box = io.StringIO()
    config = tuple(getattr(tyro.conf, marker) for marker in MARKERS)
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(bound, prog=f"seedx {name}", args=list(arguments), config=config)
    except SystemExit as stop:
        if stop.code:
            raise SeedxError(f"{_unboxed(box.getvalue())} (see `seedx {name} --help`)") from None
        raise


def overview() -> str:
    """What `seedx --help` says."""
    known = verbs()
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {(verb.__doc__ or '').splitlines()[0]}" for name, verb in known.items()]
    return "\n".join(
        [
            "usage: seedx VERB [OPTIONS]",
            "",
            "One model that reads, points, draws and edits.",
            "",
            *lines,
            "",
            "`seedx VERB --help` tells what a verb takes.",
        ]
    )


def _unboxed(text: str) -> str:
    """What stands in tyro's boxes, up to where each points to the help, on one line."""
    rows = [re.sub(r"\x1b\[[0-9;]*m|\[/?bold\]", "", row).strip("│╭╮╰╯ ") for row in text.splitlines()]
    rows = [row.strip("─ ") for row in rows]
    title, *rest = [row for row in rows if row] or ["the options are not understood"]
    end = next((i for i, row in enumerate(rest) if row.startswith(("For full helptext", "Argument helptext"))), None)
    return " ".join(rest[:end]) or title


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _quiet_pipe() -> int:
    """The reader of our output has gone (`seedx ... | head`): nothing is left to say."""
    with contextlib.suppress(OSError):
        sys.stdout.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
