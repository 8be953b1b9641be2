"""Tables of users and posts, read whole, in int64, float64 and text."""

from __future__ import annotations

import io

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import Transaction, quoted
from feedrank.extraction.postgres.feed_query import WHOLE, share
from feedrank.extraction.profile_choice import ProfileChoice
from feedrank.params import ExtractParams, SourceParams
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID, check_posts, check_users

CSV = "FORMAT csv, HEADER, ENCODING 'UTF8'"
# Cast of a column of some type, and its type in Arrow; all other types become text.
FORMS = {
    **dict.fromkeys(WHOLE, ("int8", pa.int64())),
    "bool": ("int::int8", pa.int64()),
    **dict.fromkeys(("float4", "float8", "numeric"), ("float8", pa.float64())),
}
TEXT_FORM = ("text", pa.string())


def read_users(
    transaction: Transaction, relation: Relation, source: SourceParams, extract: ExtractParams
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Users sorted by `user_id` with their profile, and why each other column is left out.

    Whole numbers and booleans become int64, or float64 where some are NULL; other numbers
    float64; everything else text, with NULL kept apart from the empty one.

    Raises:
        SchemaError: ids are missing, not unique or not whole numbers, or there is no user.
    """
    column = relation.column(source.user_id, "id")
    relation.typed(column, WHOLE, "whole numbers")
    choice = ProfileChoice.of(relation, source)
    columns = [c for c in relation.columns if c == column or c in choice.columns]
    table = _read(transaction, relation, columns, share(quoted(column), extract))
    if table.empty and extract.user_share < 1:
        raise SchemaError(
            f"'extract.user_share' is {extract.user_share}, which leaves no user of "
            f"'{relation.name}'. Raise it."
        )
    users, left_out = choice.without_nearly_unique(table)
    return check_users(users.rename(columns={column: USER_ID})), left_out


def read_posts(transaction: Transaction, relation: Relation, source: SourceParams) -> pd.DataFrame:
    """Posts sorted by `post_id`, with `text` and `topic`; raises as `read_users`."""
    column = relation.column(source.post_id, "id")
    relation.typed(column, WHOLE, "whole numbers")
    others = [c for c in (source.text, source.topic) if c in relation.columns]
    table = _read(transaction, relation, [column, *others], ())
    names = {column: POST_ID, source.text: TEXT, source.topic: TOPIC}
    return check_posts(table.rename(columns=names))


def _read(
    transaction: Transaction, relation: Relation, columns: list[str], where: tuple[str, ...]
) -> pd.DataFrame:
    forms = {c: FORMS.get(relation.columns[c], TEXT_FORM) for c in columns}
    selected = ", ".join(f"{quoted(c)}::{cast} AS {quoted(c)}" for c, (cast, _) in forms.items())
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
