"""Links beside the one that a service serves."""

from __future__ import annotations

from pathlib import Path


def next_path(path: Path) -> Path:
    """Link that names the artifact to prepare beside the running one."""
    return path.with_name(f"{path.name}.next")


def previous_path(path: Path) -> Path:
    """Link that names the artifact that a rollback takes."""
    return path.with_name(f"{path.name}.previous")
