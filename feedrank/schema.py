"""Schema of the three tables: names, types and grain, and checks of users and posts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feedrank.errors import SchemaError
from feedrank.log.metadata import NEVER

USER_ID = "user_id"
POST_ID = "post_id"
TEXT = "text"
TOPIC = "topic"
HIDDEN = "hidden_from"
VIEW, LIKE = "view", "like"
UNKNOWN_TOPIC = "unknown"


def check_users(users: pd.DataFrame) -> pd.DataFrame:
    """Users sorted by `user_id`, one row each; a column `id` is taken for it.

    All other columns are the profile. NULL is allowed in them: a category of its own, or a missing
    number.

    Raises:
        SchemaError: ids are missing, NULL, not unique or not whole numbers, or there is no row.
    """
    return _by_id(_named(users, USER_ID, "user_data"), USER_ID, "user_data")


def check_posts(posts: pd.DataFrame) -> pd.DataFrame:
    """Posts sorted by `post_id`, with `text` and `topic`, never NULL; raises as `check_users`.

    `hidden_from`, where it is there, holds seconds since 1970 on the log's clock; NULL: never.
    """
    posts = _named(posts, POST_ID, "post_text_df")
    filled = pd.DataFrame({POST_ID: posts[POST_ID]})
    for column, default in ((TEXT, ""), (TOPIC, UNKNOWN_TOPIC)):
        values = posts[column] if column in posts else pd.Series(default, index=posts.index)
        filled[column] = values.astype("object").where(values.notna(), default).astype(str)
    if HIDDEN in posts:
        filled[HIDDEN] = posts[HIDDEN].fillna(NEVER).astype(np.int64)
    return _by_id(filled, POST_ID, "post_text_df")


def ids(table: pd.DataFrame, column: str) -> np.ndarray:
    """The ids of a checked table, int64, shape (n,)."""
    return table[column].to_numpy(np.int64)


def _named(table: pd.DataFrame, name: str, source: str) -> pd.DataFrame:
    if name not in table and "id" in table:
        table = table.rename(columns={"id": name})
    if name not in table:
        found = ", ".join(f"'{c}'" for c in table.columns)
        raise SchemaError(f"table '{source}' has no column '{name}' (or 'id'), only {found}.")
    return table


def _by_id(table: pd.DataFrame, name: str, source: str) -> pd.DataFrame:
    if table.empty:
        raise SchemaError(f"table '{source}' is empty; fill it, then run again.")
    if table[name].isna().any():
        raise SchemaError(f"column '{name}' of '{source}' holds NULL; ids must be known.")
    twice = table.loc[table[name].duplicated(), name].unique()
    if len(twice):
        raise SchemaError(
            f"column '{name}' of '{source}' must be unique, but {len(twice)} ids stand more than "
            f"once, such as {twice[:5].tolist()}. Keep one row of each."
        )
    if not pd.api.types.is_integer_dtype(table[name]):
        raise SchemaError(
            f"column '{name}' of '{source}' must hold whole numbers, but is {table[name].dtype}."
        )
    return table.sort_values(name, kind="stable").reset_index(drop=True)
