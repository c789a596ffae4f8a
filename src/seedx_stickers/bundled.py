"""The folder of the bundled model "tiny", an entry point of the group seedx.models."""

from __future__ import annotations

from pathlib import Path


def tiny() -> Path:
    return Path(__file__).parent / "assets" / "tiny"
