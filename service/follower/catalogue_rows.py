"""Catalogue rows: users and posts that came, and posts that were hidden, opened or deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import Transaction, literal
from feedrank.extraction.postgres.feed_query import WHOLE, all_of, id_key, share
from feedrank.extraction.tables.profile_choice import ARRAYS
from feedrank.extraction.tables.users_posts import hidden_form, read_profiles, read_texts
from feedrank.live.delta_log import DeltaLog
from feedrank.live.events import SOURCE, Happened
from feedrank.log.embeddings import EMBEDDING
from feedrank.params import Params
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID, USER_KEY
from feedrank.state.catalogue import Id
from service.follower.base import Base
from service.follower.feed_rows import fits, plain_id
from service.follower.session import Moment, is_new

IDS_A_QUERY = 1000


class UserRows:
    """Users that the artifacts lack, from poll to poll.

    Args:
        relation: of the users.
        params: names of columns, and the share of the users.
        log: takes them.
        base: of the artifacts.
    """

    def __init__(self, relation: Relation, params: Params, log: DeltaLog, base: Base) -> None:
        self._relation, self._log, self._source = relation, log, params.source
        self._id = relation.column(params.source.user_id, "id")
        self._share = share(id_key(relation, self._id), params.extract)
        self._known = base.users | {user.user_id for user in log.users_after(0)}
        self._last: Moment | None = None

    def poll(self, transaction: Transaction, at: Moment) -> int:
        """Append the users that are new; how many."""
        conditions = [_unless_seen(self._relation, self._last), *self._share]
        conditions.append(fits(self._relation, self._id))
        rows = transaction.rows(
            f"SELECT {plain_id(self._relation, self._id)} FROM {self._relation.path} "
            f"{all_of(conditions)}"
        )
        new = [user for (user,) in rows if user is not None and user not in self._known]
        for part in _parts(new):
            where = (_among(self._relation, self._id, part),)
            table = read_profiles(transaction, self._relation, self._source, where)
            users = [(row[USER_ID], self._profile(row)) for row in _plain(table)]
            self._log.append(Happened(users=users))
            self._known.update(part)
        self._last = at
        return len(new)

    def _profile(self, row: dict[str, Any]) -> dict[str, object]:
        kinds = self._relation.columns
        return {
            c: json.loads(value) if kinds[c] in ARRAYS and value is not None else value
            for c, value in row.items()
            if c not in (USER_ID, USER_KEY)
        }


class PostRows:
    """Posts that the artifacts lack, and those that the source hides or lacks.

    Args:
        relation: of the posts.
        params: names of columns.
        log: takes them.
        base: of the artifacts.
    """

    def __init__(self, relation: Relation, params: Params, log: DeltaLog, base: Base) -> None:
        self._relation, self._log, self._base = relation, log, base
        self._source = params.source
        self._id = relation.column(params.source.post_id, "id")
        self._known = set(base.posts)
        self._read_until = 0  # of the delta log, which takes posts of others too
        self._last: Moment | None = None
        self._n_rows = -1

    def poll(self, transaction: Transaction, at: Moment) -> int:
        """Append the posts that are new, and which are hidden now; how many are new."""
        ((n_rows, n_new),) = transaction.rows(
            f"SELECT count(*), count(*) FILTER (WHERE {_unless_seen(self._relation, self._last)}) "
            f"FROM {self._relation.path}"
        )
        if n_rows == 0:
            raise SchemaError(
                f"'{self._relation.name}' is empty, so every post would be hidden. Fill it: until "
                "then nothing is followed."
            )
        sent = self._log.posts_after(self._read_until)
        if sent:
            self._read_until = sent[-1].seq
            self._known.update(post.post_id for post in sent)
        # A row that was changed counts as new.
        came = self._read(transaction) if n_new or sent or n_rows != self._n_rows else 0
        self._last, self._n_rows = at, n_rows
        return came

    def _read(self, transaction: Transaction) -> int:
        hidden = "FALSE"
        if self._source.hidden is not None:
            hidden = f"({hidden_form(self._relation, self._source)}) IS NOT NULL"
        ids = plain_id(self._relation, self._id)
        found = transaction.rows(
            f"SELECT {ids}, {hidden} FROM {self._relation.path} "
            f"WHERE {fits(self._relation, self._id)}"
        )
        rows: dict[Id, bool] = {post: is_hidden for post, is_hidden in found if post is not None}
        new = [post for post in rows if post not in self._known]
        for part in _parts(new):
            self._log.append(Happened(posts=self._texts(transaction, part)))
            self._known.update(part)
        self._hide(rows)
        return len(new)

    def _texts(
        self, transaction: Transaction, ids: list[Id]
    ) -> list[tuple[Id, str, str, np.ndarray | None]]:
        where = (_among(self._relation, self._id, ids),)
        posts = read_texts(transaction, self._relation, self._source, where)
        rows = _plain(posts)
        return [(row[POST_ID], row[TEXT], row[TOPIC], row.get(EMBEDDING)) for row in rows]

    def _hide(self, rows: dict[Id, bool]) -> None:
        """Hide what the source hides or lacks, and open what it opened again."""
        known = self._known | self._base.all_posts
        hidden = {post for post in known if rows.get(post, True)}
        before = self._log.hidden_by(SOURCE)
        # An artifact's own hidden posts are opened by a row too, so they must have one.
        were = before | (self._base.hidden if self._last is None else set())
        opened = [(post, is_hidden) for post in were - hidden for is_hidden in (True, False)]
        changes = [*((post, True) for post in hidden - before), *opened]
        if changes:
            self._log.append(Happened(hidden=changes, hidden_by=SOURCE))


def _unless_seen(relation: Relation, last: Moment | None) -> str:
    return is_new(last if relation.is_stored else None)


def _among(relation: Relation, name: str, ids: list[Id]) -> str:
    words = (str(i) if relation.columns[name] in WHOLE else literal(str(i)) for i in ids)
    return f"{plain_id(relation, name)} IN ({', '.join(words)})"


def _parts(ids: list[Id]) -> Iterator[list[Id]]:
    for start in range(0, len(ids), IDS_A_QUERY):
        yield ids[start : start + IDS_A_QUERY]


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as Python's own values, None for what is missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [dict(zip(plain.columns, row, strict=True)) for row in plain.itertuples(index=False)]
