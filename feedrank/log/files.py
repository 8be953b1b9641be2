"""Log files: the extracted feed in buckets of whole users, compact columns, sorted by time.

A log directory holds `meta.json`, `users.parquet`, `posts.parquet` and one
`bucket-NNNN.parquet` for each range of users. A user is the row of `users.parquet`
(sorted by id), a post the row of `posts.parquet`, a time the seconds since `origin`, the
midnight before the first impression.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feedrank.errors import SchemaError
from feedrank.io.storage import Location, exists, inside, opened, read_bytes
from feedrank.log.impressions import Impressions, LoggedExposures
from feedrank.log.metadata import FORMAT, LogMeta

BUCKET_SCHEMA = pa.schema(
    [("user", pa.uint32()), ("post", pa.uint32()), ("at", pa.uint32()), ("liked", pa.uint8())]
)
AT_COLUMN = BUCKET_SCHEMA.get_field_index("at")
EXPOSURE_SCHEMA = pa.schema([("propensity", pa.float32()), ("policy", pa.uint16())])
GROUP_ROWS = 1 << 20  # of one row group: 13 MB in memory, all that a writer holds
# Half the size of dictionaries and twice as fast to write, on the demo's log.
DELTAS = dict.fromkeys(("user", "post", "at"), "DELTA_BINARY_PACKED")


@dataclass(frozen=True)
class Log:
    """An extracted log, in a directory or at a URL."""

    directory: Location
    meta: LogMeta

    def __getstate__(self) -> dict[str, Any]:
        """Without the tables that were read: each worker reads what it needs."""
        return {"directory": self.directory, "meta": self.meta}

    @classmethod
    def open(cls, directory: Location) -> Log:
        """The log in a directory.

        Raises:
            SchemaError: there is none, or it is of another format.
        """
        path = inside(directory, "meta.json")
        if not exists(path):
            raise SchemaError(f"'{directory}' holds no log. Run `dvc repro extract` first.")
        fields: dict[str, Any] = json.loads(read_bytes(path))
        if fields.get("format") != FORMAT:
            raise SchemaError(
                f"'{path}' is of format {fields.get('format')}, this code reads {FORMAT}. "
                "Run `dvc repro --force extract`."
            )
        return cls(directory, LogMeta(**fields))

    @cached_property
    def users(self) -> pd.DataFrame:
        """`user_id` and the profile columns, moments as datetime64, sorted by `user_id`."""
        return self._table("users.parquet")

    @cached_property
    def user_days(self) -> pd.DataFrame:
        """Days of the users' moments, counted from the log's first; NaN where one is NULL."""
        moments = self.users.select_dtypes("datetime")
        days = moments.to_numpy("datetime64[D]") - np.datetime64(self.meta.origin, "D")
        return pd.DataFrame(days / np.timedelta64(1, "D"), columns=moments.columns)

    @cached_property
    def posts(self) -> pd.DataFrame:
        """`post_id`, `text`, `topic`, and vectors or None, if the source has; by `post_id`."""
        return self._table("posts.parquet")

    def bucket(self, number: int) -> Impressions:
        """All impressions of one range of users, sorted."""
        with opened(inside(self.directory, bucket_name(number))) as file:
            table = pq.read_table(file, schema=BUCKET_SCHEMA)
        return Impressions(*(table[name].to_numpy() for name in BUCKET_SCHEMA.names))

    def between(self, number: int, since: int, until: int) -> tuple[Impressions, LoggedExposures]:
        """Impressions of one range of users in [since, until), sorted, and their exposures.

        Row groups of other times are not read.

        Args:
            number: of the bucket.
            since: seconds since the log's origin.
            until: seconds since the log's origin.
        """
        with opened(inside(self.directory, bucket_name(number))) as file:
            parquet = pq.ParquetFile(file)
            groups = [parquet.metadata.row_group(g) for g in range(parquet.num_row_groups)]
            times = [group.column(AT_COLUMN).statistics for group in groups]
            read = [g for g, at in enumerate(times) if at.max >= since and at.min < until]
            table = parquet.read_row_groups(read)
        rows = Impressions(*(table[name].to_numpy() for name in BUCKET_SCHEMA.names))
        logged = LoggedExposures.none(len(rows))
        if self.meta.policies:
            logged = LoggedExposures(*(table[name].to_numpy() for name in EXPOSURE_SCHEMA.names))
        within = slice(*np.searchsorted(rows.at, [since, until]).tolist())
        # Copies: views would hold all that was read, several times as much.
        return rows[within].copy(), logged[within].copy()

    def buckets(self) -> Iterator[Impressions]:
        """Every bucket in turn."""
        return (self.bucket(number) for number in range(self.meta.n_buckets))

    def _table(self, name: str) -> pd.DataFrame:
        with opened(inside(self.directory, name)) as file:
            return pd.read_parquet(file)


def bucket_path(directory: Path, number: int) -> Path:
    """Where bucket `number` of a log lies."""
    return directory / bucket_name(number)


def bucket_name(number: int) -> str:
    """The file of bucket `number`."""
    return f"bucket-{number:04d}.parquet"


def write_bucket(directory: Path, number: int, rows: Impressions) -> None:
    """Write one bucket of rows in memory, for logs that tests and benchmarks make.

    The bytes depend on its rows alone, not on their order. The extract writes by `write_groups`.
    """
    ordered = rows.sorted()
    starts = range(0, len(ordered), GROUP_ROWS)
    write_groups(directory, number, (ordered[s : s + GROUP_ROWS] for s in starts))


def write_groups(
    directory: Path,
    number: int,
    groups: Iterable[Impressions],
    exposures_of: Callable[[Impressions], LoggedExposures] | None = None,
) -> None:
    """Write one bucket whose rows come in their total order, `GROUP_ROWS` at a time.

    Only one group has to be in memory. With `exposures_of` each row has its exposure beside it.
    """
    schema = BUCKET_SCHEMA if exposures_of is None else _WITH_EXPOSURES
    with pq.ParquetWriter(
        bucket_path(directory, number),
        schema,
        compression="zstd",
        use_dictionary=["liked"] if exposures_of is None else ["liked", *EXPOSURE_SCHEMA.names],
        column_encoding=DELTAS,
    ) as writer:
        for group in groups:
            arrays = [*vars(group).values()]
            if exposures_of is not None:
                arrays += vars(exposures_of(group)).values()
            columns = [pa.array(a, t) for a, t in zip(arrays, schema.types, strict=True)]
            table = pa.Table.from_arrays(columns, schema=schema)
            writer.write_table(table, row_group_size=GROUP_ROWS)


_WITH_EXPOSURES = pa.schema([*BUCKET_SCHEMA, *EXPOSURE_SCHEMA])


def write_meta(directory: Path, meta: LogMeta) -> None:
    """Write `meta.json`, the last file of a log: its presence says that the rest is whole."""
    text = json.dumps(meta.as_json(), indent=2, sort_keys=True)
    (directory / "meta.json").write_text(text + "\n")
