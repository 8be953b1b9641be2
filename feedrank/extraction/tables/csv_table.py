"""CSV table: columns of a relation as a frame, by one COPY."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc

from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import Transaction, quoted
from feedrank.extraction.postgres.feed_query import WHOLE, all_of, id_key, id_text
from feedrank.schema import KEY

CSV = "FORMAT csv, HEADER, ENCODING 'UTF8'"
BLOCK = 1 << 20  # bytes that are parsed at once, as Arrow has it, unless a row is longer
Column = tuple[str, pa.DataType]  # expression, and its type in Arrow
# Form of a column of some type, and its type in Arrow; all other types become text.
FORMS = {
    **dict.fromkeys(WHOLE, ("{0}::int8", pa.int64())),
    "bool": ("{0}::int::int8", pa.int64()),
    **dict.fromkeys(("float4", "float8"), ("{0}::float8", pa.float64())),
    # The server refuses to cast a numeric beyond float8; as text it becomes infinite.
    "numeric": ("{0}::text", pa.float64()),
}
TEXT_FORM = ("{0}::text", pa.string())


def plain(relation: Relation, name: str) -> Column:
    """A column as it is: int64, float64 or text."""
    form, kind = FORMS.get(relation.columns[name], TEXT_FORM)
    return form.format(quoted(name)), kind


def id_columns(relation: Relation, name: str, as_name: str) -> dict[str, Column]:
    """The ids of a table; where they are no whole numbers, as text, with their keys."""
    if relation.columns[name] in WHOLE:
        return {as_name: plain(relation, name)}
    return {
        as_name: (id_text(relation, name), pa.string()),
        as_name + KEY: (id_key(relation, name), pa.int64()),
    }


def read_table(
    transaction: Transaction,
    relation: Relation,
    columns: Mapping[str, Column],
    where: tuple[str, ...],
) -> pd.DataFrame:
    """Columns of the rows of some conditions, by their names; NULL is kept apart from ''."""
    selected = ", ".join(f"{value} AS {quoted(name)}" for name, (value, _) in columns.items())
    rows = _Rows()
    transaction.copy(f"SELECT {selected} FROM {relation.path} {all_of(where)}", CSV, rows)
    rows.seek(0)
    table = pc.read_csv(
        rows,
        read_options=pc.ReadOptions(block_size=max(BLOCK, rows.longest)),
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types={name: kind for name, (_, kind) in columns.items()},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    return pd.DataFrame(table.to_pandas())


class _Rows(io.BytesIO):
    """Rows of a COPY, which come one by one, and the bytes of the longest."""

    longest = 0

    def write(self, row: bytes) -> int:  # type: ignore[override]
        self.longest = max(self.longest, len(row))
        return super().write(row)
