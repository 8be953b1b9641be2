"""Profile columns of users as small integer codes, whatever columns a network has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MISSING = 0  # the code of a missing value, in every column
OTHER = "(other)"  # the last category of a column that has more than are coded


@dataclass(frozen=True)
class ProfileColumn:
    """Coding of one column: bands of a number, or categories.

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
        """A code in words, for people; a band of whole numbers by its first and last one."""
        if code == MISSING:
            return "missing"
        if self.categories:
            return self.categories[code - 1]
        low = self.edges[code - 2] if code > 1 else None
        high = self.edges[code - 1] if code <= len(self.edges) else None
        if low is None:
            return f"up to {high:g}"
        if high is None:
            return f"over {low:g}"
        if not all(edge.is_integer() for edge in self.edges):
            return f"over {low:g}, up to {high:g}"
        return f"{high:g}" if low + 1 == high else f"{low + 1:g} to {high:g}"


@dataclass(frozen=True)
class Profiles:
    """All users' codes.

    Attributes:
        columns: the coding of each column; columns of a single value are left out.
        codes: uint16, shape (n_users, n_columns).
    """

    columns: tuple[ProfileColumn, ...]
    codes: np.ndarray

    def names(self) -> list[str]:
        """Names of the coded columns, in order."""
        return [column.name for column in self.columns]


def columns_from(described: list[dict[str, object]]) -> tuple[ProfileColumn, ...]:
    """Columns from the plain values of `dataclasses.asdict`."""
    return tuple(
        ProfileColumn(str(d["name"]), tuple(d["edges"]), tuple(d["categories"]))  # type: ignore[arg-type]
        for d in described
    )
