"""From a feed log to the five posts a user is most likely to like."""

from importlib import import_module
from typing import Any

__version__ = "0.3.0"


def __getattr__(name: str) -> Any:
    """`feedrank.load` and `feedrank.read_log`, imported when they are asked for."""
    if name in ("load", "read_log"):
        return getattr(import_module("feedrank.artifact.notebook"), name)
    raise AttributeError(f"module 'feedrank' has no attribute '{name}'")
