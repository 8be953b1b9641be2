"""Profile codes of users who came after an artifact, by its stored coding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from feedrank.log.metadata import SECONDS_A_DAY, LogMeta
from feedrank.state.catalogue import NO_DAY
from feedrank.state.feature_store import FeatureStore
from feedrank.state.profiles import MISSING, OTHER, ProfileColumn


@dataclass(frozen=True)
class ProfileCoding:
    """Coding of a profile, a mapping by the source's columns, as a build codes it."""

    columns: tuple[ProfileColumn, ...]
    moments: tuple[str, ...]
    meta: LogMeta

    @classmethod
    def of_store(cls, store: FeatureStore) -> ProfileCoding:
        """The coding of an artifact."""
        return cls(store.columns, store.fitted.moment_names, store.meta)

    def of(self, profile: Mapping[str, object]) -> tuple[list[int], list[int]]:
        """Code of each column, and day of each moment."""
        days = {name: _day(profile.get(name), self.meta) for name in self.moments}
        ages = {f"{name}_age_days": -day for name, day in days.items() if day < 0}
        known = {**profile, **ages}
        return [code_of(c, _value(known, c.name)) for c in self.columns], [*days.values()]


def _day(value: object, meta: LogMeta) -> int:
    """Day of a moment, counted from the log's first."""
    try:
        at = meta.local(datetime.fromisoformat(str(value)))
    except (ValueError, OverflowError):  # no moment, or one before the year 1 in UTC
        return NO_DAY
    return meta.seconds(at) // SECONDS_A_DAY


def _value(profile: Mapping[str, object], column: str) -> object:
    """Value of a column, which may be a membership, `<name>: <value>`, of an array."""
    name, _, member = column.partition(": ")
    values = profile.get(name)
    if column not in profile and isinstance(values, (list, tuple)):
        return int(member in map(str, values))
    return profile.get(column)


def code_of(column: ProfileColumn, value: object) -> int:
    """Code of one value of a column; missing, if it is None, NaN or a category never seen.

    A number in text is read as a number, and a whole number also finds its category as it is
    written where some users have none (`3.0` for 3).
    """
    number = _number(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if column.edges:
        if number is None or math.isnan(number):
            return MISSING
        return 1 + int(np.searchsorted(column.edges, number, side="left"))
    names = [str(value)]
    if number is not None and math.isfinite(number):
        names += [str(number), *([str(int(number))] if number.is_integer() else [])]
    known = [name for name in (*names, OTHER) if name in column.categories]
    return 1 + column.categories.index(known[0]) if known else MISSING


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:  # a whole number beyond float64, which is infinite if it comes as text
        return float(str(value))
    except (TypeError, ValueError):
        return None
