"""Tables of users and posts, read whole, in int64, float64 and text."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import Transaction, quoted
from feedrank.extraction.postgres.feed_query import TIMES, WHOLE, id_key, moment, share
from feedrank.extraction.profile_choice import ARRAYS, ProfileChoice
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
from feedrank.schema import (
    HIDDEN,
    KEY,
    POST_ID,
    TEXT,
    TOPIC,
    USER_ID,
    USER_KEY,
    check_posts,
    check_users,
)

CSV = "FORMAT csv, HEADER, ENCODING 'UTF8'"
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
Computed = Mapping[str, tuple[str, pa.DataType]]
# Form of a column of some type, and its type in Arrow; all other types become text.
FORMS = {
    **dict.fromkeys(WHOLE, ("{0}::int8", pa.int64())),
    "bool": ("{0}::int::int8", pa.int64()),
    **dict.fromkeys(("float4", "float8"), ("{0}::float8", pa.float64())),
    # The server refuses to cast a numeric beyond float8; as text it becomes infinite.
    "numeric": ("{0}::text", pa.float64()),
}
logger = logging.getLogger(__name__)
TEXT_FORM = ("{0}::text", pa.string())


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
    column, key = relation.column(source.user_id, "id"), id_key(relation, source.user_id, "id")
    choice = ProfileChoice.of(relation, source)
    table = read_profiles(transaction, relation, source, share(key, extract))
    if table.empty and extract.user_share < 1:
        raise SchemaError(
            f"'extract.user_share' is {extract.user_share}, which leaves no user of "
            f"'{relation.name}'. Raise it."
        )
    users, left_out = choice.fitting(table)
    return check_users(users.rename(columns={column: USER_ID, KEY: USER_KEY})), left_out


def read_profiles(
    transaction: Transaction, relation: Relation, source: SourceParams, where: tuple[str, ...]
) -> pd.DataFrame:
    """Users of some conditions with all columns that may be profile, as `read_users` types them."""
    column, choice = relation.column(source.user_id, "id"), ProfileChoice.of(relation, source)
    columns = [c for c in relation.columns if c == column or c in choice.columns]
    computed = _computed(relation, columns, source.time_zone)
    return _read(transaction, relation, column, columns, where, computed)


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
    column, hidden = relation.column(source.post_id, "id"), source.hidden
    embedding = embedding_column(source.embedding)
    columns = [column, *(c for c in post_columns(source) if relation.has(c))]
    computed = {} if hidden is None else {hidden: (hidden_form(relation, source), pa.int64())}
    if embedding is not None:
        computed[embedding] = (embedding_form(relation, embedding), pa.string())
    table = _read(transaction, relation, column, columns, where, computed)
    names = {column: POST_ID, KEY: POST_ID + KEY, source.text: TEXT, source.topic: TOPIC}
    names |= {} if hidden is None else {hidden: HIDDEN}
    names |= {} if embedding is None else {embedding: EMBEDDING}
    posts = check_posts(table.rename(columns=names))
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


def _computed(relation: Relation, columns: list[str], time_zone: str) -> Computed:
    """Columns of moments, as days, and of arrays, as lists of their values in JSON."""
    kinds = {c: relation.columns[c] for c in columns}
    days = {
        c: (DAY.format(moment(relation, c, time_zone)), pa.timestamp("s"))
        for c, kind in kinds.items()
        if kind in TIMES
    }
    lists = {
        c: (DISTINCT.format(quoted(c)), pa.string()) for c, kind in kinds.items() if kind in ARRAYS
    }
    return {**days, **lists}


def _read(
    transaction: Transaction,
    relation: Relation,
    id_name: str,
    columns: list[str],
    where: tuple[str, ...],
    computed: Computed,
) -> pd.DataFrame:
    """Columns of a table; those of `computed` are an expression and its type in Arrow."""
    forms = {c: FORMS.get(relation.columns[c], TEXT_FORM) for c in columns}
    values = {c: quoted(c) for c in columns}
    for c, (value, kind) in computed.items():
        values[c], forms[c] = value, ("{0}", kind)
    if relation.columns[id_name] not in WHOLE:
        forms |= {id_name: TEXT_FORM, KEY: FORMS["int8"]}
        values[KEY] = id_key(relation, id_name)
    selected = ", ".join(
        f"{form.format(f'({values[c]})')} AS {quoted(c)}" for c, (form, _) in forms.items()
    )
    condition = f" WHERE {' AND '.join(where)}" if where else ""
    sink = io.BytesIO()
    transaction.copy(f"SELECT {selected} FROM {relation.path}{condition}", CSV, sink)
    sink.seek(0)
    table = pc.read_csv(
        sink,
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types={c: kind for c, (_, kind) in forms.items()},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    return pd.DataFrame(table.to_pandas())
