"""GPUs and clusters: memory, peak speed, and the bandwidth between GPUs. Standard library only.

Figures are the vendor's for the SXM boards: dense bf16 without sparsity, bandwidths in one direction. An H800 is an
H100 with fewer links to the GPUs of its node. Another cluster is a TOML file with the fields of `Cluster`:

    name = "mine"
    memory = 141          # GiB
    tflops = 989
    intra = 450
    inter = 400
    per_node = 8
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from seedx.config import from_dict, nearest
from seedx.errors import SeedxError

GIB = 1024**3


@dataclass(frozen=True)
class Cluster:
    """
    Attributes:
        memory: of one GPU, GiB.
        tflops: peak of one GPU in bf16, 10^12 operations per second.
        intra: bandwidth from one GPU to the others of its node, 10^9 bytes per second.
        inter: bandwidth from one node to the others, all its adapters together, 10^9 bytes per second.
        per_node: GPUs in a node.
        host: bandwidth between one GPU and the machine's memory, one direction, 10^9 bytes per second: with `offload`.

    Raises:
        SeedxError: a number that is not positive.
    """

    name: str
    memory: float
    tflops: float
    intra: float
    inter: float
    per_node: int = 8
    host: float = 25.0

    def __post_init__(self) -> None:
        for field in ("memory", "tflops", "intra", "inter", "per_node", "host"):
            if not getattr(self, field) > 0:
                raise SeedxError(f"a cluster's {field} is a positive number, not {getattr(self, field)!r}")


CLUSTERS = {
    "a100-40g": Cluster("a100-40g", memory=39.5, tflops=312, intra=300, inter=200),
    "a100-80g": Cluster("a100-80g", memory=79.2, tflops=312, intra=300, inter=200),
    "h100": Cluster("h100", memory=79.6, tflops=989, intra=450, inter=400),
    "h200": Cluster("h200", memory=139.8, tflops=989, intra=450, inter=400),
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
        raise SeedxError(f"there is no GPU {name!r}{nearest(name, CLUSTERS)} A TOML file can describe another cluster")
    file = Path(name)
    if not file.is_file():
        raise SeedxError(f"there is no cluster file {name}; write one with the fields memory, tflops, intra, inter")
    try:
        values = {"name": file.stem, **tomllib.loads(file.read_text(encoding="utf-8"))}
        cluster: Cluster = from_dict(Cluster, values)
    except tomllib.TOMLDecodeError as error:
        raise SeedxError(f"{name} is not TOML: {error}") from error
    except TypeError as error:  # of the dataclass: a field without a value
        raise SeedxError(f"{name} does not describe a whole cluster: {error}") from error
    return cluster


def vendor_peak(device_name: str) -> float | None:
    """FLOP/s of a GPU's dense bf16 products, by the vendor; None where it is not known.

    Args:
        device_name: as `torch.cuda.get_device_name` gives it, such as "NVIDIA H100 80GB HBM3".
    """
    words = set(re.findall(r"[a-z0-9]+", device_name.lower()))
    if words & {"pcie", "nvl"} and "a100" not in words:  # slower boards than the table's, but for the A100
        return None
    return next((c.tflops * 1e12 for c in CLUSTERS.values() if c.name.partition("-")[0] in words), None)
