"""Table of lists in PostgreSQL: the lists of the given users are replaced in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from io import StringIO
from pathlib import Path

import numpy as np
import psycopg2
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from psycopg2 import errorcodes

from feedrank.errors import SourceError
from feedrank.extraction.postgres.connection import Source, quoted
from feedrank.state.catalogue import plain_ids

TYPES = {pa.int64(): "bigint", pa.int16(): "smallint", pa.float32(): "real", pa.string(): "text"}


def replace_lists(
    source: Source,
    name: str,
    schema: pa.Schema,
    users: np.ndarray,
    parts: Iterable[Path],
    about: dict[str, str],
) -> int:
    """Put lists into a table, made if it is missing; how many rows. Whole or not at all.

    A reader sees the previous lists until the end. Lists of other users stay.

    Args:
        source: the database of FEED_DSN.
        name: of the table, in schema `source.schema`.
        schema: columns of the lists.
        users: ids of the users, of whom some may have an empty list.
        parts: files of the lists.
        about: artifact and moment, which become columns `artifact` and `at`.

    Raises:
        SourceError: the role may not write there, or the database cannot be used.
    """
    table = f"{quoted(source.params.schema)}.{quoted(name)}"
    columns = ", ".join(f"{quoted(f.name)} {TYPES[f.type]} NOT NULL" for f in schema)
    names = ", ".join(quoted(field.name) for field in schema)
    with closing(source.connect()) as connection, source.translated():
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} ({columns}, artifact text NOT NULL, "
                    "at timestamp NOT NULL, PRIMARY KEY (user_id, place))"
                )
                asked = pa.table([plain_ids(users)], pa.schema([schema.field("user_id")]))
                kind = TYPES[schema.field("user_id").type]
                cursor.execute(f"CREATE TEMPORARY TABLE asked (user_id {kind}) ON COMMIT DROP")
                cursor.copy_expert("COPY asked FROM STDIN (FORMAT csv)", _csv(asked))
                cursor.execute(f"CREATE TEMPORARY TABLE new_lists ({columns}) ON COMMIT DROP")
                for part in parts:
                    cursor.copy_expert(
                        f"COPY new_lists ({names}) FROM STDIN (FORMAT csv)",
                        _csv(pq.read_table(part)),
                    )
                cursor.execute(f"DELETE FROM {table} WHERE user_id IN (SELECT user_id FROM asked)")
                cursor.execute(
                    f"INSERT INTO {table} ({names}, artifact, at) "
                    f"SELECT {names}, %s, %s FROM new_lists",
                    [about["artifact"], about["at"]],
                )
                n_rows = int(cursor.rowcount)
            connection.commit()
        except psycopg2.Error as error:
            if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
                raise SourceError(
                    f"the role of FEED_DSN may not write {table}: it needs CREATE on schema "
                    f"'{source.params.schema}', or INSERT, DELETE and SELECT on the table."
                ) from None
            raise
    return n_rows


def _csv(table: pa.Table) -> StringIO:
    sink = pa.BufferOutputStream()
    options = pyarrow.csv.WriteOptions(include_header=False)
    pyarrow.csv.write_csv(table, sink, options)
    return StringIO(sink.getvalue().to_pybytes().decode())
