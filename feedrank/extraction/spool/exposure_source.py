"""Exposure source: files of a directory, or the same lines in a table of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.catalog import describe
from feedrank.extraction.postgres.connection import Source, Transaction, literal
from feedrank.extraction.postgres.feed_query import WHOLE
from feedrank.io.param_fields import TABLE
from feedrank.log.exposures import Exposure, exposure_files, exposures_of, parsed

COLUMNS = (
    ("file", ("text", "varchar"), "text"),
    ("number", WHOLE, "whole numbers"),
    ("line", ("text", "varchar"), "text"),
)
BLOCK_LINES = 20_000  # read from a table at once, some 6 MB


class ExposureFile(NamedTuple):
    """One file of the exposure log.

    Attributes:
        name: of the file.
        content: size in bytes; in a table, number and checksum of its lines.
        origin: time of the last write, by which an edit is seen; of a table, database and table.
        exposures: its lists.
    """

    name: str
    content: str
    origin: str
    exposures: Callable[[], Iterator[Exposure]]


def exposure_source(source: Source) -> list[ExposureFile]:
    """Files of `source.exposures`, in order; none where it is null.

    Raises:
        SchemaError: the directory or table is missing, or the table has other columns or NULLs.
        SourceError: the database cannot be read.
    """
    named = source.params.exposures
    if named is None:
        return []
    if named.startswith(TABLE):
        return _of_table(source, named.removeprefix(TABLE))
    return [
        ExposureFile(f.name, str(at.st_size), str(at.st_mtime_ns), partial(exposures_of, f))
        for f in exposure_files(Path(named))
        for at in [f.stat()]
    ]


def _of_table(source: Source, name: str) -> list[ExposureFile]:
    with source.transaction() as transaction:
        table = _path(transaction, source.params.schema, name)
        nulls = " OR ".join(f"{column} IS NULL" for column, *_ in COLUMNS)
        n_nulls = transaction.rows(f"SELECT count(*) FROM {table} WHERE {nulls}")[0][0]
        if n_nulls:
            raise SchemaError(
                f"'file', 'number' or 'line' is NULL in {n_nulls:,} rows of table {table}. Remove "
                "these rows, which are no line of the exposure log, or name another table in "
                "'source.exposures'."
            )
        found = transaction.rows(
            f"""SELECT file, max(number), count(*), sum(hashtextextended(line, number))::text
                FROM {table} GROUP BY 1 ORDER BY 1"""
        )
    return [
        ExposureFile(
            file, f"{n} to {last}: {check}", f"{source} {table}",
            partial(_read, source, table, file, last),
        )
        for file, last, n, check in found
    ]  # fmt: skip


def _path(transaction: Transaction, schema: str, name: str) -> str:
    try:
        table = describe(transaction, schema, name)
        for column, types, what in COLUMNS:
            table.typed(column, types, what)
    except SchemaError as error:
        raise SchemaError(
            f"the exposures cannot be read: {error} Fill a table by "
            "`python -m service.exposure_table DIR`, or name another in 'source.exposures'."
        ) from None
    return table.path


def _read(source: Source, table: str, file: str, n_lines: int) -> Iterator[Exposure]:
    for last in range(0, n_lines, BLOCK_LINES):
        with source.transaction() as transaction:
            lines = transaction.rows(
                f"SELECT number, line FROM {table} WHERE file = {literal(file)} "
                f"AND number > {last} AND number <= {last + BLOCK_LINES} ORDER BY 1"
            )
        for number, line in lines:
            yield parsed(line.encode(), f"line {number} of '{file}' in {table}")
