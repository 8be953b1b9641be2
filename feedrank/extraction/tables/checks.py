"""Checks of users and posts: ids that are there, once each, and of one kind."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feedrank.errors import SchemaError
from feedrank.log.embeddings import EMBEDDING
from feedrank.log.metadata import NEVER
from feedrank.schema import (
    HIDDEN,
    KEY,
    NO_ID,
    POST_ID,
    TEXT,
    TOPIC,
    UNKNOWN_TOPIC,
    USER_ID,
    WIDEST_ID,
)


def check_users(users: pd.DataFrame, table: str, column: str) -> pd.DataFrame:
    """Users sorted by `user_id`, one row each.

    All other columns are the profile. NULL is allowed in them: a category of its own, or a missing
    number.

    Args:
        users: with a column `user_id`, and `user_id_key` where ids are text.
        table: the table's own name, for errors.
        column: the own name of its ids.

    Raises:
        SchemaError: ids are missing, NULL, not unique, or neither whole numbers nor text, or there
            is no row.
    """
    return _by_id(users, USER_ID, table, column)


def check_posts(posts: pd.DataFrame, table: str, column: str) -> pd.DataFrame:
    """Posts sorted by `post_id`, with `text` and `topic`, never NULL; otherwise as `check_users`.

    `hidden_from`, where it is there, holds seconds since 1970 on the log's clock; NULL: never.
    `embedding` stays as it is.
    """
    filled = posts[[c for c in posts.columns if c in (POST_ID, POST_ID + KEY)]].copy()
    for name, default in ((TEXT, ""), (TOPIC, UNKNOWN_TOPIC)):
        values = posts[name] if name in posts else pd.Series(default, index=posts.index)
        filled[name] = values.astype("object").where(values.notna(), default).astype(str)
    if HIDDEN in posts:
        filled[HIDDEN] = posts[HIDDEN].fillna(NEVER).astype(np.int64)
    if EMBEDDING in posts:
        filled[EMBEDDING] = posts[EMBEDDING]
    return _by_id(filled, POST_ID, table, column)


def keys(table: pd.DataFrame, column: str) -> np.ndarray:
    """The whole numbers by which the feed names the ids of a checked table, int64, shape (n,).

    Whole numbers are their own keys; the key of text is the server's 64-bit hash of it.
    """
    name = column if column + KEY not in table else column + KEY
    return table[name].to_numpy(np.int64)


def _by_id(rows: pd.DataFrame, name: str, table: str, column: str) -> pd.DataFrame:
    if rows.empty:
        raise SchemaError(f"table '{table}' is empty; fill it, then run again.")
    if rows[name].isna().any():
        raise SchemaError(f"column '{column}' of '{table}' holds NULL; ids must be known.")
    twice = rows.loc[rows[name].duplicated(), name].unique()
    if len(twice):
        raise SchemaError(
            f"column '{column}' of '{table}' must be unique, but {len(twice)} ids stand more than "
            f"once, such as {twice[:5].tolist()}. Keep one row of each."
        )
    kind = pd.api.types.infer_dtype(rows[name])
    if kind not in ("integer", "string"):
        raise SchemaError(
            f"column '{column}' of '{table}' must hold whole numbers or text, but is {kind}."
        )
    if kind == "string" and (width := max(len(text.encode()) for text in rows[name])) > WIDEST_ID:
        raise SchemaError(
            f"column '{column}' of '{table}' holds an id of {width} bytes, and {WIDEST_ID} are "
            "allowed. Number the ids in a view."
        )
    if (keys(rows, name) == NO_ID).any():
        raise SchemaError(
            f"column '{column}' of '{table}' holds {NO_ID}, which stands for NULL. Number the ids "
            "in a view."
        )
    if name + KEY in rows and rows[name + KEY].duplicated().any():
        raise SchemaError(
            f"two ids of '{table}' have the same 64-bit hash. Number the ids in a view."
        )
    return rows.sort_values(name, kind="stable").reset_index(drop=True)
