"""Users' profile columns as small integer codes, whatever columns a network has."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from feedrank.schema import USER_ID

MISSING = 0  # the code of a missing value, in every column
OTHER = "(other)"
MAX_CATEGORIES = 64


@dataclass(frozen=True)
class ProfileColumn:
    """How one column is coded: bands of a number, or categories.

    Attributes:
        name: of the column.
        edges: upper edges of the bands, increasing; empty for categories.
        categories: most frequent first, the last may be "(other)"; empty for numbers.
    """

    name: str
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def n_codes(self) -> int:
        """Codes 0 (missing) to `n_codes - 1`."""
        return 1 + (len(self.edges) + 1 if self.edges else len(self.categories))

    def label(self, code: int) -> str:
        """A code in words, for people."""
        if code == MISSING:
            return "missing"
        if self.categories:
            return self.categories[code - 1]
        low = f"{self.edges[code - 2]:g}" if code > 1 else ""
        high = f"{self.edges[code - 1]:g}" if code <= len(self.edges) else ""
        return f"{low} to {high}" if low and high else f"up to {high}" if high else f"over {low}"

    def encode(self, values: pd.Series) -> np.ndarray:
        """Codes of a column's values, uint16, shape (n,)."""
        known = values.notna().to_numpy()
        if self.edges:
            numbers = pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan)
            codes: np.ndarray = 1 + np.searchsorted(self.edges, numbers, side="left")
        else:
            of = {category: code for code, category in enumerate(self.categories, start=1)}
            found = values.astype(str).map(of)
            codes = found.fillna(of.get(OTHER, MISSING)).to_numpy(dtype=np.intp)
        return np.where(known, codes, MISSING).astype(np.uint16)


@dataclass(frozen=True)
class Profiles:
    """All users' codes.

    Attributes:
        columns: the coding of each column; columns without any difference are left out.
        codes: uint16, shape (n_users, n_columns).
    """

    columns: tuple[ProfileColumn, ...]
    codes: np.ndarray

    @classmethod
    def of(cls, users: pd.DataFrame, bands: int) -> Profiles:
        """Code every column beside `user_id`; numbers of many values fall into `bands` bands."""
        columns = [_column(users[name], bands) for name in users.columns if name != USER_ID]
        kept = tuple(c for c in columns if c.n_codes > 2 or users[c.name].isna().any())
        kept = tuple(c for c in kept if len(np.unique(c.encode(users[c.name]))) > 1)
        codes = [c.encode(users[c.name]) for c in kept]
        shape = (len(users), len(kept))
        return cls(kept, np.stack(codes, axis=1) if kept else np.zeros(shape, np.uint16))

    def names(self) -> list[str]:
        """Names of the coded columns, in order."""
        return [column.name for column in self.columns]

    def describe(self) -> list[dict[str, object]]:
        """The coding as plain values, for a manifest."""
        return [asdict(column) for column in self.columns]


def columns_from(described: list[dict[str, object]]) -> tuple[ProfileColumn, ...]:
    """The coding that `Profiles.describe` wrote."""
    return tuple(
        ProfileColumn(str(d["name"]), tuple(d["edges"]), tuple(d["categories"]))  # type: ignore[arg-type]
        for d in described
    )


def _column(values: pd.Series, bands: int) -> ProfileColumn:
    name = str(values.name)
    known = values.dropna()
    if pd.api.types.is_numeric_dtype(known) and known.nunique() > bands:
        numbers = known.to_numpy(dtype=float)
        inner = np.quantile(numbers, np.arange(1, bands) / bands, method="lower")
        edges = np.unique(inner[inner < numbers.max()])
        if not len(edges):  # nearly all have the highest value
            edges = numbers[numbers < numbers.max()].max(keepdims=True)
        return ProfileColumn(name, edges=tuple(float(e) for e in edges))
    counts = known.astype(str).value_counts()
    frequent = sorted(counts.index, key=lambda category: (-counts[category], category))
    if len(frequent) > MAX_CATEGORIES:
        frequent = [*frequent[: MAX_CATEGORIES - 1], OTHER]
    return ProfileColumn(name, categories=tuple(frequent))
