"""Arguments of the notebook's methods, checked: folders, ids, lengths of lists, moments."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from feedrank.state.catalogue import Id


def folder(place: str | PathLike[str]) -> Path:
    """Its path; raises `TypeError` for anything but a text or a path."""
    if not isinstance(place, (str, PathLike)):
        raise TypeError(f"a folder is a text or a path, as 'models/artifact', not {place!r}")
    return Path(place)


def moment(at: datetime) -> datetime:
    """The same; raises `TypeError` for anything but a datetime."""
    if not isinstance(at, datetime) or pd.isna(at):
        raise TypeError(f"a moment is a datetime, as datetime(2021, 12, 20, 12), not {at!r}")
    return at


def one_id(wanted: Id) -> Id:
    """The same; raises `TypeError` for a list, a set, a table or nothing."""
    if wanted is None or np.ndim(wanted) or isinstance(wanted, (Set, Mapping)):
        raise TypeError(f"name one user or post by its id, not by {wanted!r}")
    return wanted


def length(k: int) -> int:
    """Length of a list; raises `ValueError` for anything but a whole number from 1 on."""
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k is a whole number from 1 on, not {k!r}")
    return int(k)
