"""Users of a batch: all of the artifact, or those of a file or a query."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.catalog import is_query
from feedrank.extraction.postgres.connection import Source
from feedrank.state.catalogue import Catalogue, Id, are_text

MOST_NAMED = 5  # unknown ids in a message


def chosen_users(
    catalogue: Catalogue, named: str | None, source: Callable[[], Source]
) -> tuple[np.ndarray, list[str]]:
    """Rows of the users in the order of their ids, each once, and the ids that are nobody's.

    Args:
        catalogue: of the artifact.
        named: None for all; a query, whose first column holds ids; or a file of an id a line.
        source: makes the database that a query is asked of.

    Raises:
        SchemaError: the file cannot be read, or names nobody.
        SourceError: the query cannot be answered.
    """
    if named is None:
        return np.arange(len(catalogue.user_ids)), []
    ids = _ids_of(named, source)
    known = {i: catalogue.user(_id(catalogue, i)) for i in dict.fromkeys(ids)}
    rows = np.unique(np.array([row for row in known.values() if row >= 0], np.int64))
    unknown = [i for i, row in known.items() if row < 0]
    if not len(rows):
        raise SchemaError(
            f"none of the {len(known):,} ids of '{named}' is among the {len(catalogue.user_ids):,} "
            "users of the artifact. Write one id a line, or in the first column of a query."
        )
    return rows, unknown


def _ids_of(named: str, source: Callable[[], Source]) -> list[str]:
    if is_query(named):
        query = named.rstrip().rstrip(";")
        with source().transaction() as transaction:
            return [str(row[0]) for row in transaction.rows(query) if row[0] is not None]
    try:
        lines = Path(named).read_text().splitlines()
    except (OSError, ValueError) as error:
        raise SchemaError(
            f"'{named}' cannot be read: {error}. Name a file with one id a line, or a query."
        ) from None
    return [line.strip() for line in lines if line.strip()]


def _id(catalogue: Catalogue, named: str) -> Id:
    if are_text(catalogue.user_ids):
        return named
    try:
        return int(named)
    except ValueError:
        return named  # nobody's, since ids are whole numbers
