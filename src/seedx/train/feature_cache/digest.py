"""The key of cached features: a digest of all that decides them."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

SIZE = 16  # bytes of every digest


def digest(
    modules: Iterable[nn.Module] = (), settings: Mapping[str, object] | None = None, sources: Iterable[str] = ()
) -> str:
    """32 hexadecimal digits.

    Args:
        modules: whole, on one device. Weights, their names, shapes and precision count.
        settings: values of JSON types.
        sources: names of Python modules, such as "mine.scenes". Their code counts, and that of the modules of the same
            packages that they import, directly or not; comments and docstrings do not. Of a package, the data files
            beside its modules count, too.
    """
    made = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=SIZE)
    for module in modules:
        for name, tensor in module.state_dict().items():
            made.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            made.update(tensor_bytes(tensor))
    for name, file in sorted(source_files(sources).items()):
        made.update(f"{name} ".encode())
        content = file.read_bytes()
        made.update(_code(content) if file.suffix == ".py" else content)
    return made.hexdigest()


def tensor_bytes(tensor: Tensor) -> memoryview:
    """In memory order, of any dtype (numpy has no bfloat16)."""
    data: memoryview = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
    return data


def source_files(names: Iterable[str]) -> dict[str, Path]:
    """The files of Python modules and of all that they import from the same top-level packages, and data files of the
    packages among them, by name.

    Raises:
        ModuleNotFoundError: a name that is no module.
    """
    waiting, found = list(names), dict[str, Path]()
    inside = {name.partition(".")[0] for name in waiting}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no source file of {name!r}", name=name)
        found[name] = file = Path(spec.origin)
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
        imported = (other for other in _imports(file.read_bytes()) if other.partition(".")[0] in inside)
        waiting += [other for other in imported if _is_module(other)]
        if file.name == "__init__.py":
            data = [path for path in file.parent.iterdir() if path.is_file() and path.suffix not in (".py", ".pyc")]
            found |= {f"{name}/{path.name}": path for path in data}
    return found


@functools.cache  # by content: several digests are of the same files
def _imports(source: bytes) -> tuple[str, ...]:
    """Absolute imports anywhere in a file; of `from a import b` both a and a.b, which may be a module."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    return tuple(found)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of `from a import b`, where a is a module and b a name in it
        return False


@functools.cache
def _code(source: bytes) -> bytes:
    """What of a file can change a result: all but comments, layout and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree).encode()
