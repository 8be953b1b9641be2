"""Exposures in the database: `python -m service.exposure_table exposures/` copies new lines."""

from __future__ import annotations

import argparse
import csv
import socket
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from itertools import islice
from pathlib import Path

from feedrank.errors import command
from feedrank.extraction.environment import own_dsn
from feedrank.extraction.postgres.connection import Source, quoted
from feedrank.extraction.spool.exposure_source import BLOCK_LINES
from feedrank.log.exposures import exposure_files, parsed, whole_lines
from feedrank.params import load_params

COLUMNS = "file text, number integer, line text NOT NULL, PRIMARY KEY (file, number)"


def copy_exposures(source: Source, name: str, directory: Path, host: str) -> int:
    """Copy lines that a table lacks, in one transaction; how many.

    Args:
        source: the database.
        name: of the table, in schema `source.schema`; made if it is missing.
        directory: of the exposure files.
        host: begins the names of its files in the table, since several hosts may fill it.

    Raises:
        SchemaError: the directory is missing, or a line is broken.
        SourceError: the role may not write there, or the database cannot be used.
    """
    table, n_copied = f"{quoted(source.params.schema)}.{quoted(name)}", 0
    with closing(source.connect()) as connection, source.translated():
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} ({COLUMNS})")
            # Of two runs at once, the second waits for what the first has copied.
            cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute(f"SELECT file, max(number) FROM {table} GROUP BY file")
            last = dict(cursor.fetchall())
            for file in exposure_files(directory):
                known = f"{host}/{file.name}"
                lines = _later_lines(file, known, last.get(known, 0))
                while block := list(islice(lines, BLOCK_LINES)):
                    rows = StringIO()
                    csv.writer(rows).writerows(block)
                    rows.seek(0)
                    cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT csv)", rows)
                    n_copied += len(block)
        connection.commit()
    return n_copied


def _later_lines(file: Path, known: str, last: int) -> Iterator[tuple[str, int, str]]:
    for number, line in whole_lines(file):
        if number > last:
            parsed(line, f"line {number} of '{file}'")
            yield known, number, line.decode()


@command()
def main(arguments: list[str] | None = None) -> None:
    """Run the command; 1 and a message for what cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m service.exposure_table", description=__doc__)
    parser.add_argument("exposures", type=Path, help="directory of FEEDRANK_EXPOSURES")
    parser.add_argument("--table", default="exposures", help="in schema `source.schema`")
    given = parser.parse_args(arguments)
    source = Source(own_dsn("there is no table of exposures"), load_params().source)
    n_copied = copy_exposures(source, given.table, given.exposures, socket.gethostname())
    print(f"{n_copied:,} new lines are in '{given.table}'.")


if __name__ == "__main__":
    raise SystemExit(main())
