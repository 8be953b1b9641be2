"""Arguments of the notebook's methods, checked: ids, lengths of lists, moments."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from feedrank.state.catalogue import Id


def moment(at: datetime) -> datetime:
    """The same; raises `TypeError` for anything but a datetime."""
    if not isinstance(at, datetime) or pd.isna(at):
        raise TypeError(f"a moment is a datetime, as datetime(2021, 12, 20, 12), not {at!r}")
    return at


def one_id(wanted: Id) -> Id:
    """The same; raises `TypeError` for a list, a table or nothing."""
    if wanted is None or np.ndim(wanted):
        raise TypeError(f"name one user or post by its id, not by {wanted!r}")
    return wanted


def length(k: int) -> int:
    """Length of a list; raises `ValueError` for anything but a whole number from 1 on."""
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k is a whole number from 1 on, not {k!r}")
    return int(k)
