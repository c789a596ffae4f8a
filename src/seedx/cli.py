"""The command `seedx`: one table of verbs.

A verb is a function (see `verbs/`). Its name is one word, or two: `eval export`. Exit codes:

    0    done
    1    a check failed, such as `seedx verify`
    2    the user's mistake: one line on stderr, or a box where the options themselves can't be read
    70   a bug in this library: a traceback
    130  interrupted
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import io
import logging
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from seedx import __version__, plugins
from seedx.deprecated import OldNameWarning, warn_of_old_name
from seedx.errors import SeedxError, SeedxWarning
from seedx.verbs.bench import bench
from seedx.verbs.caption import caption
from seedx.verbs.chat import chat
from seedx.verbs.convert import convert
from seedx.verbs.draw import draw
from seedx.verbs.edit import edit
from seedx.verbs.eval_export import eval_export
from seedx.verbs.export import export
from seedx.verbs.ground import ground
from seedx.verbs.info import info
from seedx.verbs.init import init
from seedx.verbs.plan import plan
from seedx.verbs.plot import plot
from seedx.verbs.reconstruct import reconstruct
from seedx.verbs.serve import serve
from seedx.verbs.slide import slide
from seedx.verbs.story import story
from seedx.verbs.train import train
from seedx.verbs.verify import verify

Verb = Callable[..., int | None]

VERBS: dict[str, Verb] = {
    "chat": chat,
    "caption": caption,
    "draw": draw,
    "edit": edit,
    "ground": ground,
    "reconstruct": reconstruct,
    "slide": slide,
    "story": story,
    "init": init,
    "serve": serve,
    "train": train,
    "plan": plan,
    "plot": plot,
    "export": export,
    "convert": convert,
    "info": info,
    "verify": verify,
    "bench": bench,
    "eval export": eval_export,
}
RENAMED = {f"export {suite}": f"eval export {suite}" for suite in ("geneval", "imgedit", "gedit")}

HELP = ("-h", "--help", "help")
BUG = 70  # EX_SOFTWARE of sysexits.h

# Optional packages say at import which of their own parts they can't load. A command prints what the user asked for.
CHATTY = ("torchao", "torch.utils._pytree", "bitsandbytes", "diffusers.quantizers.torchao")

# How tyro shows a signature: --seed, not --settings.seed; no --no-json; no None to type; arguments by their names.
MARKERS = ("OmitArgPrefixes", "FlagCreatePairsOff", "DisallowNone", "PositionalMetavarFromFieldName")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code (see the top of the file)."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    if isinstance(sys.stdout, io.TextIOWrapper):  # what the terminal can't show must not end a verb
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _our_warnings_on_one_line():
            return _run(list(sys.argv[1:] if arguments is None else arguments))
    except SeedxError as error:
        print(f"seedx: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("seedx: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone (`seedx ... | head`)
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 0
    except Exception:
        traceback.print_exc()
        print(
            "seedx: this is a bug in seedx, not a mistake of yours: please report it with the traceback above, "
            f"the command and the version, {__version__}",
            file=sys.stderr,
        )
        return BUG


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in HELP:
        print(overview(verbs()))
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"seedx {__version__}")
        return 0
    arguments = _renamed(arguments)
    known = VERBS if arguments[0] in VERBS else verbs()  # plugins are imported only where they are needed
    group = {name: verb for name, verb in known.items() if name.startswith(f"{arguments[0]} ")}
    if group and (len(arguments) == 1 or arguments[1] in HELP):
        print(overview(group))
        return 0
    name, rest = find(arguments, known)
    try:
        verb = parse(name, known[name], rest)
    except SystemExit as stop:  # tyro has printed the help, or why it can't read the options
        return int(stop.code or 0)
    return verb() or 0


def verbs() -> dict[str, Verb]:
    """The library's verbs, and those of other packages that can be imported."""
    found = dict(VERBS)
    for name in plugins.names("seedx.verbs"):
        with contextlib.suppress(SeedxError):
            found.setdefault(name.replace(".", " "), plugins.find("seedx.verbs", name))
    return found


def find(arguments: list[str], known: dict[str, Verb]) -> tuple[str, list[str]]:
    """The verb that the arguments begin with, of two words or one, and the other arguments.

    Raises:
        SeedxError: there is no such verb.
    """
    for length in (2, 1):
        name = " ".join(arguments[:length])
        if name in known:
            return name, arguments[length:]
    for length in (2, 1):
        plugins.find("seedx.verbs", ".".join(arguments[:length]))  # an error if a package lists it and is missing
    prefix = f"{arguments[0]} "
    if not any(name.startswith(prefix) for name in known):
        prefix = ""
    word = arguments[1] if prefix else arguments[0]
    words = [name.removeprefix(prefix) for name in known if name.startswith(prefix)]
    near = difflib.get_close_matches(word, words, n=1)
    choice = ", ".join(prefix + each for each in words)
    hint = f"did you mean {prefix + near[0]!r}?" if near else f"choose from {choice}"
    raise SeedxError(f"there is no verb {prefix + word!r}: {hint}")


def parse(name: str, verb: Verb, arguments: list[str]) -> Callable[[], int | None]:
    """The verb with its options, ready to run.

    Raises:
        SystemExit: the help, or options that can't be read, have been printed; the code is 0 or 2.
    """
    import tyro  # a tenth of a second that `seedx --help` does without

    @functools.wraps(verb)
    def bound(*values: Any, **options: Any) -> Callable[[], int | None]:
        return functools.partial(verb, *values, **options)

    config = tuple(getattr(tyro.conf, marker) for marker in MARKERS)
    return tyro.cli(bound, prog=f"seedx {name}", args=arguments, config=config)


def overview(known: dict[str, Verb]) -> str:
    """The help that lists verbs."""
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {(verb.__doc__ or '').splitlines()[0]}" for name, verb in known.items()]
    return "\n".join(
        [
            "usage: seedx VERB [OPTIONS]",
            "",
            "SEED-X: one model that reads, locates, draws and edits.",
            "",
            *lines,
            "",
            "`seedx VERB --help` lists a verb's options.",
        ]
    )


@contextlib.contextmanager
def _our_warnings_on_one_line() -> Iterator[None]:
    """Our warnings to users are shown without a place in our code; all others as before."""
    with warnings.catch_warnings():
        before = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, OldNameWarning | SeedxWarning):
                print(f"seedx: warning: {message}", file=sys.stderr)
            else:
                before(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def _renamed(arguments: list[str]) -> list[str]:
    """The arguments with a verb's old name replaced; a warning names the new one."""
    old = " ".join(arguments[:2])
    if old not in RENAMED:
        return arguments
    warn_of_old_name(f"`seedx {old}` is now `seedx {RENAMED[old]}`")
    return [*RENAMED[old].split(), *arguments[2:]]


if __name__ == "__main__":
    sys.exit(main())
