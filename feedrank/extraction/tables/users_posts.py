"""Tables of users and posts, read whole, in int64, float64 and text."""

from __future__ import annotations

import logging

import pandas as pd
import pyarrow as pa

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import Transaction, quoted
from feedrank.extraction.postgres.feed_query import TIMES, WHOLE, id_key, moment, share
from feedrank.extraction.tables.checks import check_posts, check_users
from feedrank.extraction.tables.csv_table import Column, id_columns, plain, read_table
from feedrank.extraction.tables.profile_choice import ARRAYS, ProfileChoice
from feedrank.log.embeddings import (
    EMBEDDING,
    check_vectors,
    embedding_column,
    embedding_file,
    read_vectors,
    vector_of,
)
from feedrank.log.metadata import ALWAYS, NEVER
from feedrank.params import ExtractParams, SourceParams
from feedrank.schema import HIDDEN, POST_ID, TEXT, TOPIC, USER_ID

# Days that pandas can hold; the infinite ones are before, or after, all others.
FIRST, LAST = "timestamp '0001-01-01'", "timestamp '9999-12-31'"
DAY = (
    "CASE WHEN {0} IS NOT NULL "
    f"THEN to_char(least(greatest({{0}}, {FIRST}), {LAST}), 'YYYY-MM-DD') END"
)
DISTINCT = (
    "CASE WHEN {0} IS NOT NULL "
    "THEN array_to_json(ARRAY(SELECT DISTINCT unnest({0})::text))::text END"
)
EMBEDDINGS = (
    *(f"_{kind}" for kind in ("float4", "float8", "numeric", *WHOLE)),
    *("vector", "halfvec", "json", "jsonb", "text", "varchar"),
)
logger = logging.getLogger(__name__)


def read_users(
    transaction: Transaction, relation: Relation, source: SourceParams, extract: ExtractParams
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Users sorted by `user_id` with their profile, and why each other column is left out.

    Whole numbers and booleans become int64, or float64 where some are NULL; other numbers
    float64; moments their days on the log's clock, datetime64; arrays memberships; everything else
    text, with NULL kept apart from the empty one.

    Raises:
        SchemaError: ids are missing, not unique or of a type that is no id, or there is no user.
    """
    column, choice = relation.column(source.user_id, "id"), ProfileChoice.of(relation, source)
    where = share(id_key(relation, column), extract)
    table = read_profiles(transaction, relation, source, where)
    if table.empty and extract.user_share < 1:
        raise SchemaError(
            f"'extract.user_share' is {extract.user_share}, which leaves no user of "
            f"'{relation.name}'. Raise it."
        )
    users, left_out = choice.fitting(table)
    return check_users(users, relation.name, column), left_out


def read_profiles(
    transaction: Transaction, relation: Relation, source: SourceParams, where: tuple[str, ...]
) -> pd.DataFrame:
    """Users of some conditions with all columns that may be profile, as `read_users` types them."""
    column, choice = relation.column(source.user_id, "id"), ProfileChoice.of(relation, source)
    ids = id_columns(relation, column, USER_ID)
    columns: dict[str, Column] = {}
    for name in relation.columns:
        if name == column:
            columns[USER_ID] = ids[USER_ID]
        elif name in choice.columns:
            columns[name] = _profile(relation, name, source.time_zone)
    return read_table(transaction, relation, columns | ids, where)


def read_posts(transaction: Transaction, relation: Relation, source: SourceParams) -> pd.DataFrame:
    """Posts sorted by `post_id`, with `text` and `topic`.

    By `source.hidden` they have `hidden_from`, by `source.embedding` vectors or None.

    Raises:
        SchemaError: as `read_users`, every post is hidden, or embeddings are no vectors of one
            width.
    """
    posts = read_texts(transaction, relation, source, ())
    if source.hidden is not None:
        _say_hidden(posts, relation, source.hidden)
    if (file := embedding_file(source.embedding)) is not None:
        posts[EMBEDDING] = read_vectors(file, posts[POST_ID])
    if source.embedding is not None:
        check_vectors(posts[POST_ID], posts[EMBEDDING], f"'{source.embedding}'")
    return posts


def read_texts(
    transaction: Transaction, relation: Relation, source: SourceParams, where: tuple[str, ...]
) -> pd.DataFrame:
    """Posts of some conditions, as `read_posts`, which may all be hidden, with vectors unchecked.

    A file of embeddings is not read; a vector that is none is empty.
    """
    column, embedding = relation.column(source.post_id, "id"), embedding_column(source.embedding)
    columns = id_columns(relation, column, POST_ID)
    for as_name, name in ((TEXT, source.text), (TOPIC, source.topic)):
        if relation.has(name):
            columns[as_name] = plain(relation, name)
    if source.hidden is not None:
        columns[HIDDEN] = (hidden_form(relation, source), pa.int64())
    if embedding is not None:
        columns[EMBEDDING] = (embedding_form(relation, embedding), pa.string())
    table = read_table(transaction, relation, columns, where)
    posts = check_posts(table, relation.name, column)
    if embedding is not None:
        posts[EMBEDDING] = posts[EMBEDDING].map(vector_of, na_action="ignore")
    return posts


def post_columns(source: SourceParams) -> list[str]:
    """Columns of posts that are read beside the id."""
    others = (source.hidden, embedding_column(source.embedding))
    return [source.text, source.topic, *(name for name in others if name is not None)]


def hidden_form(relation: Relation, source: SourceParams) -> str:
    """Expression of `hidden_from`: seconds since 1970 on the log's clock, NULL for an open post.

    A boolean says no moment: its posts are hidden at all of them. So does '-infinity'.
    """
    name = str(source.hidden)
    if relation.typed(name, ("bool", *TIMES), "true and false, or moments") == "bool":
        return f"CASE WHEN {quoted(name)} THEN {ALWAYS} END"
    at = moment(relation, name, source.time_zone)
    return (
        f"CASE WHEN isfinite({at}) THEN floor(extract(epoch FROM {at}))::int8 "
        f"WHEN {at} < timestamp '2000-01-01' THEN {ALWAYS} END"
    )


def embedding_form(relation: Relation, name: str) -> str:
    """Expression of a vector in JSON, which is also how pgvector writes its own."""
    kind = relation.typed(name, EMBEDDINGS, "arrays of numbers, pgvector's vectors, or JSON")
    return f"to_json({quoted(name)})::text" if kind.startswith("_") else f"{quoted(name)}::text"


def _say_hidden(posts: pd.DataFrame, relation: Relation, column: str) -> None:
    n_hidden = int((posts[HIDDEN] < NEVER).sum())
    if n_hidden == len(posts):
        raise SchemaError(
            f"every post of '{relation.name}' is hidden by column '{column}': nothing can be "
            "recommended. Name another column in 'source.hidden', or null."
        )
    logger.info(
        f"extract: {n_hidden:,} of {len(posts):,} posts are hidden by '{column}': their "
        "impressions are history, they are not recommended."
    )


def _profile(relation: Relation, name: str, time_zone: str) -> Column:
    """A profile column: a moment as its day, an array as a list of its values in JSON."""
    kind = relation.columns[name]
    if kind in TIMES:
        return DAY.format(moment(relation, name, time_zone)), pa.timestamp("s")
    if kind in ARRAYS:
        return DISTINCT.format(quoted(name)), pa.string()
    return plain(relation, name)
