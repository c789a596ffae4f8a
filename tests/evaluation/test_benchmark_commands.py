"""The benchmark commands of the documentation: every option is one that its program takes. Nothing is run."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from seedx import cli
from seedx.verbs.serve import ADDRESS

ROOT = Path(__file__).parents[2]
PAGES = ("docs/reference/variants.md", "docs/guide/evaluation.md", "examples/lmms_eval/README.md")
INSTALLED = find_spec("lmms_eval") is not None
IN_PROCESS, BY_A_SERVER = "python -m lmms_eval --model seedx", "python -m lmms_eval --model openai"


def commands(start: str) -> list[list[str]]:
    """The commands of the pages that start so, split as a shell does; lines that end in a backslash go on."""
    found = []
    for page in PAGES:
        text = re.sub(r" \\\n +", " ", (ROOT / page).read_text(encoding="utf-8"))
        found += [
            shlex.split(line, comments=True) for line in re.findall(rf"^    ({re.escape(start)}[^\n]*)", text, re.M)
        ]
    return found


@pytest.mark.parametrize("command", commands("seedx eval export"), ids=" ".join)
def test_exports_take_their_options(command: list[str]) -> None:
    name, rest = cli.find(command[1:], cli.verbs())
    cli.parse(name, cli.VERBS[name], rest)  # SystemExit if an option is unknown or can't be read


def test_the_model_takes_what_model_args_give() -> None:
    lines = commands(IN_PROCESS)
    assert len(lines) == 4
    source = (ROOT / "src" / "seedx" / "evaluation" / "lmms.py").read_text(encoding="utf-8")
    signature = source.partition("def __init__(")[2].partition(") -> None")[0]
    known = set(re.findall(r"^ +(\w+): ", signature, re.M))
    assert {"pretrained", "dtype", "max_pixels"} <= known
    for line in lines:
        given = line[line.index("--model_args") + 1].split(",")
        assert {each.partition("=")[0] for each in given} <= known


def test_the_server_takes_its_options_and_its_client_an_address() -> None:
    (served,), (asked,) = commands("seedx serve"), commands(BY_A_SERVER)
    cli.parse("serve", cli.VERBS["serve"], served[2:])  # SystemExit if an option is unknown
    given = dict(pair.split("=") for pair in asked[asked.index("--model_args") + 1].split(","))
    assert set(given) == {"base_url", "api_key", "model_version"}
    assert given["base_url"] == f"http://{ADDRESS.host}:{ADDRESS.port}/v1"


if INSTALLED:

    @pytest.mark.slow
    @pytest.mark.parametrize("command", commands("python -m lmms_eval"), ids=" ".join)
    def test_lmms_eval_takes_the_options_and_has_the_tasks(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        import lmms_eval
        from lmms_eval.__main__ import parse_eval_args
        from lmms_eval.models import get_model

        monkeypatch.setattr(sys, "argv", command[2:])
        _, given = parse_eval_args()
        own = [ROOT / "examples" / "lmms_eval"] if given.include_path else []
        known: set[str] = set()
        for folder in (*own, Path(inspect.getfile(lmms_eval)).parent / "tasks"):
            for file in folder.rglob("*.yaml"):
                text = file.read_text(encoding="utf-8", errors="replace")
                known |= set(re.findall(r"^(?:task|group): *[\"']?([\w-]+)", text, re.M))
        assert set(given.tasks.split(",")) <= known
        values = dict(pair.split("=") for pair in given.model_args.split(","))
        model = get_model(given.model, force_simple=True)
        inspect.signature(model.__init__).bind(None, **values, device=given.device, batch_size=given.batch_size)
