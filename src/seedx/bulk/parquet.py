"""The columns of results, and the schema of their Parquet."""

from __future__ import annotations

from typing import Any

from seedx.errors import MissingPackageError

COLUMNS = ("id", "source", "answer", "boxes", "picture", "error", "seconds")


def schema() -> Any:
    """Of the parts in Parquet."""
    pa = arrow()
    boxes = pa.list_(pa.struct([("label", pa.string()), ("box", pa.list_(pa.float64()))]))
    kinds = {"boxes": boxes, "seconds": pa.float64()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])


def arrow() -> Any:
    """pyarrow, an optional package.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingPackageError('Parquet needs pyarrow: pip install "seedx[data]"') from error
    return pyarrow
