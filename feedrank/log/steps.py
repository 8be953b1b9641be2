"""Steps of time: the grain of `as of`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from feedrank.log.files import Log
from feedrank.log.impressions import Impressions


def steps_of(rows: Impressions, step_seconds: int) -> np.ndarray:
    """Step of each impression, shape (n,)."""
    return rows.at // np.uint32(step_seconds)


def n_steps(log: Log, step_seconds: int) -> int:
    """Steps from the origin to the last impression, both included."""
    return log.meta.last_at // step_seconds + 1


def by_step(rows: Impressions, steps: np.ndarray, n_steps: int) -> Iterator[Impressions]:
    """The rows of each step in turn; `steps` of the rows are ascending."""
    edges = np.searchsorted(steps, np.arange(n_steps + 1))
    for low, high in pairwise(edges):
        yield rows[int(low) : int(high)]
