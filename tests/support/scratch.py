"""A scratch folder of a test session, and what is made once for all of its processes."""

from __future__ import annotations

import atexit
import fcntl
import inspect
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

SCRATCH = "FEEDRANK_TEST_SCRATCH"  # variable that names the folder to the processes of a session

P = ParamSpec("P")
R = TypeVar("R")


@cache
def scratch() -> Path:
    """The session's folder; outside of a session one of this process, removed at its end."""
    if SCRATCH in os.environ:
        return Path(os.environ[SCRATCH])
    path = Path(tempfile.mkdtemp(prefix="feedrank-core-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def made_once(make: Callable[P, R]) -> Callable[P, R]:
    """The function, called once a session for the same arguments; other processes read its answer.

    Two processes that ask at the same time wait for the first. Not to be changed by a test.
    """
    signature = inspect.signature(make)

    @cache
    def of(*values: object) -> R:
        place = scratch() / "-".join([make.__name__, *map(str, values), "pickle"])
        with Path(f"{place}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                place.write_bytes(pickle.dumps(make(*values)))
        return pickle.loads(place.read_bytes())

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()  # asked for by default or by name, it is the same
        return of(*bound.arguments.values())

    return made
