"""Profile columns that are read: by name, or all that are fit and identify nobody."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.feed_query import NUMBERS, TIMES, WHOLE
from feedrank.params import SourceParams
from feedrank.schema import USER_ID, USER_KEY

ARRAYS = tuple(f"_{kind}" for kind in (*WHOLE, "text", "varchar", "bpchar"))
FIT = (*NUMBERS, *TIMES, *ARRAYS, "text", "varchar", "bpchar", "char", "name", "citext", "enum")
FIT_WORDS = "numbers, booleans, enums, moments, text or arrays of whole numbers or text"
# Words of a column's name that say that its values identify a person.
IDENTIFYING = re.compile(
    r"(^|_)(uuid|guid|e_?mail|phone|mobile|tel|token|secret|password|passwd|passport|ssn|ip|"
    r"address|login|username|user_name|nickname|first_?name|last_?name|full_?name|surname)s?(_|$)"
)
# Text is nearly unique if more than nine in ten of at least 100 values differ, as names and
# handles do. Of the demo's cities, 0.53 of 100 users' and 0.05 of 5,300 users' differ.
# Of numbers, only ids are judged.
FEWEST_VALUES, MOST_DIFFERENT = 100, 0.9
NEARLY_UNIQUE = "nearly unique"
ANOTHER_ID = re.compile(r"(^|_)id$")
# Of an array, at most so many values become a membership each, which costs two features; those
# that fewer users share tell little, and might identify them.
MEMBERSHIPS, FEWEST_MEMBERS, SHARE_OF_MEMBERS = 8, 10, 0.01


@dataclass(frozen=True)
class ProfileChoice:
    """Columns of the users' table that are selected.

    Attributes:
        columns: to select, in the table's order, without the id.
        left_out: why each other column is not, by name.
        is_named: whether `source.profile` names the columns, which are then all kept.
        arrays: those of the columns that hold arrays.
        judged: those that are left out if their values are nearly unique.
    """

    columns: list[str]
    left_out: dict[str, str]
    is_named: bool
    arrays: list[str]
    judged: list[str]

    @classmethod
    def of(cls, relation: Relation, source: SourceParams) -> ProfileChoice:
        """The choice by names and types; raises `SchemaError` for a named one that is not fit."""
        id_column = relation.column(source.user_id, "id")
        others = {c: kind for c, kind in relation.columns.items() if c != id_column}
        if source.profile is not None:
            for name in source.profile:
                relation.typed(name, FIT, FIT_WORDS)
            if {id_column, USER_ID, USER_KEY} & set(source.profile):
                raise SchemaError("'source.profile' names an id, which is no profile. Remove it.")
            left_out = {c: "not in source.profile" for c in others if c not in source.profile}
        else:
            reasons = {c: _reason(c, kind) for c, kind in others.items()}
            left_out = {c: reason for c, reason in reasons.items() if reason is not None}
            left_out |= dict.fromkeys(relation.closed, "not granted to the role of FEED_DSN")
        chosen = [c for c in others if c not in left_out]
        arrays = [c for c in chosen if others[c] in ARRAYS]
        is_named = source.profile is not None
        judged = [c for c in chosen if not is_named and _is_judged(c, others[c])]
        return cls(chosen, left_out, is_named, arrays, judged)

    def fitting(self, users: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
        """Users with memberships in place of arrays, and without nearly unique text or ids.

        Also returns why each column is left out, by name.
        """
        members = {c: memberships(users[c]) for c in self.arrays}
        left_out = self.left_out | {
            c: f"no value of at least {FEWEST_MEMBERS} users and {SHARE_OF_MEMBERS:.0%} of all"
            for c, table in members.items()
            if table.empty
        }
        judged = ((c, users[c]) for c in self.judged)
        unique = [c for c, v in judged if is_nearly_unique(v.count(), v.nunique())]
        left_out |= dict.fromkeys(unique, NEARLY_UNIQUE)
        kept = users.drop(columns=[c for c in users if c in left_out or c in members])
        return pd.concat([kept, *members.values()], axis=1), left_out


def memberships(values: pd.Series) -> pd.DataFrame:
    """A column of 0 and 1 for each frequent value of arrays, `<name>: <value>`, NULL as NaN.

    Args:
        values: each a list in JSON, or NULL.
    """
    given = values.dropna().map(lambda text: frozenset(json.loads(text)) - {None})
    counts = Counter(value for some in given for value in some)
    fewest = max(FEWEST_MEMBERS, SHARE_OF_MEMBERS * len(values))
    frequent = [(-n, value) for value, n in counts.items() if n >= fewest]
    return pd.DataFrame(
        {
            f"{values.name}: {value}": given.map(lambda some, v=value: int(v in some))
            for _, value in sorted(frequent)[:MEMBERSHIPS]
        },
        index=values.index,
    )


def _reason(name: str, kind: str) -> str | None:
    if name in (USER_ID, USER_KEY):
        return "another id"
    if IDENTIFYING.search(_snake_case(name)):
        return "its name says that it identifies a person"
    return None if kind in FIT else f"of type {kind}"


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _is_judged(name: str, kind: str) -> bool:
    if kind in NUMBERS:
        return ANOTHER_ID.search(_snake_case(name)) is not None
    return kind not in (*TIMES, *ARRAYS)


def is_nearly_unique(n_given: int, n_different: int) -> bool:
    """Whether so many values, NULL aside, tell users apart as names do."""
    return n_given >= FEWEST_VALUES and n_different > MOST_DIFFERENT * n_given
