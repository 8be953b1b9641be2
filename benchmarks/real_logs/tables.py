"""The three tables of a public log, and their way into PostgreSQL."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import create_engine

from feedrank.errors import SchemaError
from feedrank.schema import POST_ID, USER_ID, VIEW

TYPES = {"b": "boolean", "i": "bigint", "u": "bigint", "f": "double precision", "M": "timestamp"}


@dataclass(frozen=True)
class Tables:
    """What `params.yaml` calls users, posts and feed.

    Attributes:
        users: `user_id`, then the profile.
        posts: `post_id`, `text`, `topic`; posts that were never shown may be among them.
        feed: `timestamp`, `user_id`, `post_id`, `target`: a row an impression.
    """

    users: pd.DataFrame
    posts: pd.DataFrame
    feed: pd.DataFrame

    def shown(self, n_users: int | None, seed: int = 0) -> Tables:
        """The feed of some users, or of all, with the users and posts in it."""
        names = np.sort(self.feed[USER_ID].unique())
        kept = np.random.default_rng(seed).permutation(names)[:n_users]
        feed = self.feed[self.feed[USER_ID].isin(kept)]
        users, posts = (
            table[table[key].isin(feed[key].unique())]
            for table, key in ((self.users, USER_ID), (self.posts, POST_ID))
        )
        return Tables(users, posts, feed)

    def named(self) -> dict[str, pd.DataFrame]:
        """The tables by the names that `params.yaml` has for them."""
        feed = self.feed.assign(action=VIEW)
        return {"user_data": self.users, "post_text_df": self.posts, "feed_data": feed}

    def write(self, folder: Path) -> None:
        """Parquet files, in a folder that is created if needed."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self.named().items():
            table.to_parquet(folder / f"{name}.parquet", index=False)

    def fill(self, url: str) -> None:
        """Create and fill the tables of an empty database, in one transaction."""
        engine = create_engine(url)
        with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            for name, table in self.named().items():
                _copy(cursor, name, table)
            connection.commit()
        engine.dispose()


def _copy(cursor: Any, name: str, table: pd.DataFrame) -> None:
    columns = ", ".join(f'"{c}" {TYPES.get(table[c].dtype.kind, "text")}' for c in table)
    cursor.execute(f"CREATE TABLE {name} ({columns})")
    rows = io.BytesIO(table.to_csv(index=False, header=False).encode())
    cursor.copy_expert(f"COPY {name} FROM STDIN (FORMAT csv)", rows)


def feed_of_lists(lists: pd.DataFrame) -> pd.DataFrame:
    """A row an impression, of lists whose columns `post_id` and `target` hold sequences."""
    return lists.explode([POST_ID, "target"], ignore_index=True).astype({"target": int})


def files(folder: Path, *patterns: str) -> list[Path]:
    """Files below a folder by the first pattern that finds any, sorted.

    Raises:
        SchemaError: none is there.
    """
    for pattern in patterns:
        if found := sorted(folder.rglob(pattern)):
            return found
    raise SchemaError(
        f"'{folder}' holds none of {', '.join(patterns)}. Name the folder that the archive of the "
        "log was unpacked to."
    )


def joined(parts: Iterable[pd.DataFrame], key: str | None = None) -> pd.DataFrame:
    """Parts below each other; with a key, its last row alone."""
    table = pd.concat(list(parts), ignore_index=True)
    return table if key is None else table.drop_duplicates(key, keep="last", ignore_index=True)
