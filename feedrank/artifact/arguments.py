"""Arguments of notebook and batch, checked: folders, ids, lengths of lists, moments."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime, timedelta, timezone
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from feedrank.state.catalogue import Id

WIDEST = timedelta(hours=23, minutes=59)  # between a clock and UTC, as Python allows it


def folder(place: str | PathLike[str]) -> Path:
    """Its path; raises `TypeError` for anything but a text or a path."""
    if not isinstance(place, (str, PathLike)):
        raise TypeError(f"a folder is a text or a path, as 'models/artifact', not {place!r}")
    return Path(place)


def moment(at: datetime) -> datetime:
    """The same.

    Raises:
        TypeError: it is no datetime.
        ValueError: it lies outside the calendar on a clock that the log may keep.
    """
    if not isinstance(at, datetime) or pd.isna(at):
        raise TypeError(f"a moment is a datetime, as datetime(2021, 12, 20, 12), not {at!r}")
    if at.tzinfo is not None:
        try:
            for offset in (-WIDEST, WIDEST):
                at.astimezone(timezone(offset))
        except OverflowError:
            raise ValueError(f"there is no such moment as {at} on the log's clock") from None
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
