"""Coding of profile columns: quantile bands of numbers, and the most frequent categories."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feedrank.log.files import Log
from feedrank.schema import USER_ID, USER_KEY
from feedrank.state.profiles import MISSING, OTHER, ProfileColumn, Profiles

MAX_CATEGORIES = 64  # bounds the counts by column; rarer categories of users share one code


def code_profiles(users: pd.DataFrame, bands: int) -> Profiles:
    """Code every column beside `user_id`; numbers of many values fall into `bands` bands."""
    columns = [
        _column(users[name], bands) for name in users.columns if name not in (USER_ID, USER_KEY)
    ]
    told = [c for c in columns if c.n_codes > 2 or users[c.name].isna().any()]
    coded = [(column, encode(column, users[column.name])) for column in told]
    kept = [(column, codes) for column, codes in coded if len(np.unique(codes)) > 1]
    found = np.zeros((len(users), len(kept)), np.uint16)
    for i, (_, codes) in enumerate(kept):
        found[:, i] = codes
    return Profiles(tuple(column for column, _ in kept), found)


def users_at_start(log: Log) -> pd.DataFrame:
    """The users, each moment as its age in days at the log's start; missing if it was to come.

    A code is the same for all requests: none may know a moment of a later day.
    """
    days = log.user_days
    ages = (-days).where(days < 0).add_suffix("_age_days")
    return log.users.drop(columns=list(days)).join(ages)


def encode(column: ProfileColumn, values: pd.Series) -> np.ndarray:
    """Codes of a column's values, uint16, shape (n,)."""
    given = values.notna().to_numpy()
    if column.edges:
        numbers = pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan)
        codes: np.ndarray = 1 + np.searchsorted(column.edges, numbers, side="left")
    else:
        code_of = {category: code for code, category in enumerate(column.categories, start=1)}
        number, names = pd.factorize(values.astype(str))
        of_name = [code_of.get(name, code_of.get(OTHER, MISSING)) for name in names]
        codes = np.array([*of_name, MISSING])[number]  # number -1: the last, of missing values
    return np.where(given, codes, MISSING).astype(np.uint16)


def _column(values: pd.Series, bands: int) -> ProfileColumn:
    name = str(values.name)
    given = values.dropna()
    finite = given
    if pd.api.types.is_numeric_dtype(given):
        finite = given[np.isfinite(given.to_numpy(dtype=float))]
    if pd.api.types.is_numeric_dtype(given) and finite.nunique() > bands:
        # Infinities fall into the outer bands: an infinite edge would not be JSON.
        numbers = finite.to_numpy(dtype=float)
        inner = np.quantile(numbers, np.arange(1, bands) / bands, method="lower")
        edges = np.unique(inner[inner < numbers.max()])
        if not len(edges):  # nearly all have the highest value
            edges = numbers[numbers < numbers.max()].max(keepdims=True)
        return ProfileColumn(name, edges=tuple(float(e) for e in edges))
    counts = given.astype(str).value_counts()
    frequent = sorted(counts.index, key=lambda category: (-counts[category], category))
    if len(frequent) > MAX_CATEGORIES:
        frequent = [*frequent[: MAX_CATEGORIES - 1], OTHER]
    return ProfileColumn(name, categories=tuple(frequent))
