"""Imports point down: lazy ones and those that only types need included. What is light stays light."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"

# The library, from the ground up. A module is where its longest prefix is; it imports from its own floor and below.
FLOORS = (
    {"seedx.errors", "seedx.atomic", "seedx.checks", "seedx.hints"},
    {"seedx.config", "seedx.cluster", "seedx.plugins", "seedx.deprecated", "seedx.damage"},
    {"seedx.tokenizer_files", "seedx.image_formats", "seedx.images"},
    {"seedx.messages", "seedx.batch", "seedx.variants"},
    {"seedx.tokens", "seedx.tiling", "seedx.html", "seedx.terminal", "seedx.inference.settings"},
    {"seedx.tokenizer_text", "seedx.draw_boxes", "seedx.checkpoint.placement"},
    {"seedx.tokenizer", "seedx.model", "seedx.inference.reply", "seedx.slides"},
    {"seedx.prompt", "seedx.checkpoint", "seedx.data"},
    {"seedx.engines"},
    {"seedx.inference"},
    {"seedx.verify", "seedx.train", "seedx.evaluation", "seedx.bulk", "seedx.serve"},
    {"seedx", "seedx.verbs", "seedx.cli"},
    {"seedx_stickers"},
)

# Who must not see whom, whatever their floors.
APART = (
    ("seedx", "seedx_stickers"),
    ("seedx.model", "seedx.data"),
    ("seedx.model", "seedx.tokens"),
    ("seedx.model", "seedx.messages"),
    ("seedx.data", "seedx.model"),
    ("seedx.inference", "seedx.train"),
    ("seedx.serve", "seedx.train"),
    ("seedx.bulk", "seedx.train"),
    ("seedx_stickers.tasks", "seedx.inference"),
    ("seedx_stickers.tasks", "seedx.model"),
    ("seedx_stickers.scenes", "seedx.model"),
    ("seedx_stickers.evaluation", "seedx.inference.pipeline"),
    ("seedx_stickers.evaluation", "seedx.model"),
)


def names():
    """Every module of both packages: its name and its file."""
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


MODULES = dict(names())


def imports(name):
    """The modules of both packages that a module imports, anywhere in its code."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: relative import"
            yield from resolved(node.module, [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from resolved(alias.name, [])


def resolved(module, imported):
    """ "seedx", ["config", "load"] -> "seedx.config" (a module) and "seedx" (the package itself, which has `load`)."""
    if module.split(".")[0] not in ("seedx", "seedx_stickers"):
        return
    inner = [f"{module}.{name}" for name in imported]
    yield from (name for name in inner if name in MODULES)
    if not inner or any(name not in MODULES for name in inner):
        yield module


GRAPH = {name: set(imports(name)) - {name} for name in MODULES}


def within(name, prefix):
    return name == prefix or name.startswith(f"{prefix}.")


def floor(name):
    found = [(len(prefix), level) for level, rooms in enumerate(FLOORS) for prefix in rooms if within(name, prefix)]
    return max(found)[1]


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    up = sorted(used for used in GRAPH[name] if floor(used) > floor(name))
    assert not up, f"{name} imports from a floor above its own: {up}"


def test_there_are_no_cycles():
    list(TopologicalSorter(GRAPH).static_order())  # raises CycleError and names the cycle


def test_what_must_not_see_each_other_does_not():
    for who, whom in APART:
        assert any(within(name, who) for name in MODULES) and any(within(name, whom) for name in MODULES)
        seen = [(name, used) for name in MODULES if within(name, who) for used in GRAPH[name] if within(used, whom)]
        assert not seen


def test_the_ground_floor_needs_only_the_standard_library():
    for name in ("errors", "config", "variants", "plugins", "messages", "tokens", "hints", "inference.settings"):
        tree = ast.parse(MODULES[f"seedx.{name}"].read_text(encoding="utf-8"))
        used = {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        used |= {
            alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        assert used <= sys.stdlib_module_names | {"seedx", "typing_extensions"}


def test_lazy_imports_are_seen():
    assert "seedx.inference.pipeline" in GRAPH["seedx"] and "seedx.verify" in GRAPH["seedx.verbs.verify"]


@pytest.mark.parametrize(
    ("code", "light"),
    [
        ("import seedx", True),
        ("import seedx.cli", True),
        ("import seedx.cli, contextlib\nwith contextlib.suppress(SystemExit): seedx.cli.main(['--help'])", True),
        ("import PIL.Image", False),
    ],
)
def test_importing_costs_nothing(code, light):
    heavy = ("torch", "transformers", "diffusers", "tyro", "rich", "numpy", "PIL")
    code += f"\nimport sys; print(sorted(set({heavy}) & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (shown.stdout.splitlines()[-1] == "[]") is light
