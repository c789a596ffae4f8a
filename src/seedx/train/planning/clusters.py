"""Machines to plan for: what a GPU holds and does, and how GPUs reach each other. Standard library only.

Figures are the makers' for the SXM boards: dense bf16 without sparsity, bandwidths in one direction. An H800 is an H100
with fewer links to its neighbours. Another cluster is a TOML file with the fields of `Cluster`:

    name = "mine"
    memory = 141          # GiB
    tflops = 989
    intra = 450
    inter = 400
    per_node = 8
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from seedx.config import from_dict
from seedx.errors import SeedxError

GIB = 1024**3


@dataclass(frozen=True)
class Cluster:
    """
    Attributes:
        memory: of one GPU, GiB.
        tflops: peak of one GPU in bf16, 10^12 operations a second.
        intra: from one GPU to the others of its node, 10^9 bytes a second.
        inter: from one node to the others, all its adapters together, 10^9 bytes a second.
        per_node: GPUs in a node.
    """

    name: str
    memory: float
    tflops: float
    intra: float
    inter: float
    per_node: int = 8

    def __post_init__(self) -> None:
        for field in ("memory", "tflops", "intra", "inter", "per_node"):
            if not getattr(self, field) > 0:
                raise SeedxError(f"a cluster's {field} is a positive number, not {getattr(self, field)!r}")


CLUSTERS = {
    "a100-40g": Cluster("a100-40g", memory=39.5, tflops=312, intra=300, inter=200),
    "a100-80g": Cluster("a100-80g", memory=79.2, tflops=312, intra=300, inter=200),
    "h100": Cluster("h100", memory=79.6, tflops=989, intra=450, inter=400),
    "h800": Cluster("h800", memory=79.6, tflops=989, intra=200, inter=400),
}


def find(name: str) -> Cluster:
    """A cluster by name, or from a TOML file.

    Raises:
        SeedxError: no such cluster or file, or a field that is missing, unknown or not positive.
    """
    if name in CLUSTERS:
        return CLUSTERS[name]
    if not name.endswith(".toml"):
        near = difflib.get_close_matches(name, CLUSTERS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(CLUSTERS)}, or give a TOML file"
        raise SeedxError(f"there is no GPU {name!r}; {hint}")
    file = Path(name)
    if not file.is_file():
        raise SeedxError(f"there is no cluster file {name}; write one with the fields memory, tflops, intra, inter")
    try:
        return from_dict(Cluster, {"name": file.stem, **tomllib.loads(file.read_text(encoding="utf-8"))})
    except tomllib.TOMLDecodeError as error:
        raise SeedxError(f"{name} is not TOML: {error}") from error
    except TypeError as error:  # of the dataclass: a field without a value
        raise SeedxError(f"{name} describes no whole cluster: {error}") from error
