"""Own code: what a module of `plugins` does, whose faults become errors that name it."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import Any, Callable, Iterator

import numpy as np

from feedrank.errors import FeedrankError, SchemaError


@contextmanager
def calling(what: str, module: str) -> Iterator[None]:
    """Turn any error within into a `SchemaError` that names what was called, and its line.

    Own code can fail in every way that Python knows; the error itself stays as the cause.
    """
    try:
        yield
    except FeedrankError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == file_of(module)]
        where = f" in line {lines[-1]} of '{file_of(module)}'" if lines else ""
        kind = type(error).__name__
        raise SchemaError(f"{what} fails ({kind}: {error}){where}.") from error


def checked_scores(whose: str, module: str, score: Callable[[], Any], n: int) -> np.ndarray:
    """What `score` returns, float64, shape (n,).

    Raises:
        SchemaError: it fails, or returns anything but one finite number a row.
    """
    with calling(f"'score' of {whose}", module):
        found = np.asarray(score(), dtype=np.float64)
    if found.shape != (n,):
        raise SchemaError(
            f"{whose} scores {n:,} rows by an array of shape {found.shape}. 'score' returns one "
            "number a row."
        )
    if n_wrong := int(np.sum(~np.isfinite(found))):
        raise SchemaError(
            f"{whose} scores {n_wrong:,} of {n:,} rows by a number that is not finite. 'score' "
            "returns one finite number a row."
        )
    return found


def file_of(module: str) -> str:
    """The file that tracebacks name a module by."""
    return f"{module}.py"
