"""Schema of the three tables: names, types and grain, and checks of users and posts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feedrank.errors import SchemaError
from feedrank.log.embeddings import EMBEDDING
from feedrank.log.metadata import NEVER

USER_ID = "user_id"
POST_ID = "post_id"
KEY = "_key"  # ends the name of the column with the keys of ids that are text
USER_KEY = USER_ID + KEY
TEXT = "text"
TOPIC = "topic"
HIDDEN = "hidden_from"
WIDEST_ID = 255  # bytes: all ids of a table are held at the width of the longest
VIEW, LIKE = "view", "like"
UNKNOWN_TOPIC = "unknown"


def check_users(users: pd.DataFrame) -> pd.DataFrame:
    """Users sorted by `user_id`, one row each; a column `id` is taken for it.

    All other columns are the profile. NULL is allowed in them: a category of its own, or a missing
    number.

    Raises:
        SchemaError: ids are missing, NULL, not unique, or neither whole numbers nor text, or there
            is no row.
    """
    return _by_id(_named(users, USER_ID, "user_data"), USER_ID, "user_data")


def check_posts(posts: pd.DataFrame) -> pd.DataFrame:
    """Posts sorted by `post_id`, with `text` and `topic`, never NULL; raises as `check_users`.

    `hidden_from`, where it is there, holds seconds since 1970 on the log's clock; NULL: never.
    `embedding` stays as it is.
    """
    posts = _named(posts, POST_ID, "post_text_df")
    filled = posts[[c for c in posts.columns if c in (POST_ID, POST_ID + KEY)]].copy()
    for column, default in ((TEXT, ""), (TOPIC, UNKNOWN_TOPIC)):
        values = posts[column] if column in posts else pd.Series(default, index=posts.index)
        filled[column] = values.astype("object").where(values.notna(), default).astype(str)
    if HIDDEN in posts:
        filled[HIDDEN] = posts[HIDDEN].fillna(NEVER).astype(np.int64)
    if EMBEDDING in posts:
        filled[EMBEDDING] = posts[EMBEDDING]
    return _by_id(filled, POST_ID, "post_text_df")


def keys(table: pd.DataFrame, column: str) -> np.ndarray:
    """The whole numbers by which the feed names the ids of a checked table, int64, shape (n,).

    Whole numbers are their own keys; the key of text is the server's 64-bit hash of it.
    """
    name = column if column + KEY not in table else column + KEY
    return table[name].to_numpy(np.int64)


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
    kind = pd.api.types.infer_dtype(table[name])
    if kind not in ("integer", "string"):
        raise SchemaError(
            f"column '{name}' of '{source}' must hold whole numbers or text, but is {kind}."
        )
    if kind == "string" and (width := max(len(text.encode()) for text in table[name])) > WIDEST_ID:
        raise SchemaError(
            f"column '{name}' of '{source}' holds an id of {width} bytes, and {WIDEST_ID} are "
            "allowed. Number the ids in a view."
        )
    if name + KEY in table and table[name + KEY].duplicated().any():
        raise SchemaError(
            f"two ids of '{source}' have the same 64-bit hash. Number the ids in a view."
        )
    return table.sort_values(name, kind="stable").reset_index(drop=True)
