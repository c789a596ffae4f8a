"""The house's first rule: imports point down, lazy ones included. And what is light stays light."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "seedx"

# From the ground up. A module is where its longest prefix is; it may import from its own floor and below.
FLOORS = (
    {"config", "messages", "batch"},
    {"settings", "tokens", "images", "tiling"},
    {"tokenizer", "model", "sampling", "text_stream", "collate", "reply", "slide"},
    {"prompt", "answer", "checkpoint", "data"},
    {"generate", "convert", "info", "stickers", "storytelling", "marks", "page"},
    {"painter", "verify", "train"},
    {"session", "pipeline", "evaluation"},
    {"", "talk", "bench", "demo", "demo_page", "evaluation.report", "harness", "claims", "own_drawings"},
    {"verbs", "cli"},
)

# Who must not see whom, whatever their floors.
APART = (
    ("model", "data"),
    ("model", "tokens"),
    ("model", "messages"),
    ("data", "model"),
    ("pipeline", "train"),
    ("painter", "train"),
    ("session", "train"),
    ("stickers", "pipeline"),
    ("stickers", "model"),
    ("evaluation", "pipeline"),
    ("evaluation", "model"),
)


def names():
    """Every module: its name below `seedx` and its file."""
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


MODULES = dict(names())


def imports(name):
    """The modules of `seedx` that a module imports, anywhere in its code; what only types need does not count."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: relative import"
            yield from resolved(node.module, [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from resolved(alias.name, [])


def resolved(module, imported):
    """ "seedx", ["config", "load"] -> "config" (a module) and "" (the package itself, which has `load`)."""
    if module != "seedx" and not module.startswith("seedx."):
        return
    module = module.removeprefix("seedx").removeprefix(".")
    inner = [f"{module}.{name}".lstrip(".") for name in imported]
    yield from (name for name in inner if name in MODULES)
    if not inner or any(name not in MODULES for name in inner):
        yield module


GRAPH = {name: set(imports(name)) - {name} for name in MODULES}


def within(name, prefix):
    return name == prefix or (prefix != "" and name.startswith(f"{prefix}."))


def floor(name):
    found = [(len(prefix), level) for level, rooms in enumerate(FLOORS) for prefix in rooms if within(name, prefix)]
    assert found, f"{name or 'seedx'} is on no floor: add it to FLOORS"
    return max(found)[1]


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    up = sorted(used for used in GRAPH[name] if floor(used) > floor(name))
    assert not up, f"{name} imports from a floor above its own: {up}"


def test_there_are_no_cycles():
    list(TopologicalSorter(GRAPH).static_order())  # raises CycleError and names the cycle


def test_what_must_not_see_each_other_does_not():
    for who, whom in APART:
        seen = [(name, used) for name in MODULES if within(name, who) for used in GRAPH[name] if within(used, whom)]
        assert not seen


def test_the_ground_floor_needs_only_the_standard_library():
    for name in ("config", "messages", "tokens", "settings"):
        tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
        used = {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        used |= {
            alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        assert used <= sys.stdlib_module_names | {"seedx", "typing_extensions"}


def test_lazy_imports_are_seen():
    assert "pipeline" in GRAPH[""] and "evaluation" in GRAPH["verbs.make"]


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
    heavy = (
        "import sys; print(sorted({'torch', 'transformers', 'diffusers', 'tyro', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", f"{code}\n{heavy}"], capture_output=True, text=True, check=True)
    assert (shown.stdout.splitlines()[-1] == "[]") is light
