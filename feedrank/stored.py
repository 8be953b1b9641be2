"""Training rows that no single machine holds: Parquet files of a store, and what names them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feedrank.atomic import write_whole
from feedrank.engine import map_parts
from feedrank.errors import SchemaError
from feedrank.log import Impressions
from feedrank.lots import draw_lots, lowest
from feedrank.rows import TrainingRows
from feedrank.stores import inside, opened, url_of, write_bytes

FILE = "rows.json"
SAMPLE_ROWS = 1_000_000  # that are looked at in one place
LOTS_SEED = 2  # any number: of the lots that choose them


@dataclass(frozen=True)
class StoredRows:
    """Training rows as files of a store, one a bucket.

    Attributes:
        url: where the files lie.
        names: of the features.
        files: in the order of buckets; a name holds the hash of the file's content.
    """

    url: str
    names: tuple[str, ...]
    files: tuple[str, ...]

    def part(self, number: int) -> TrainingRows:
        """The rows of one file."""
        try:
            with opened(inside(self.url, self.files[number])) as file:
                table = pq.read_table(file)
        except FileNotFoundError as error:
            raise SchemaError(
                f"training rows '{self.files[number]}' are no longer at '{self.url}'. "
                "Run `dvc repro --force features`."
            ) from error
        matrix = np.stack([table[name].to_numpy() for name in self.names], axis=1)
        return TrainingRows(matrix, *(table[c].to_numpy() for c in ("liked", "at", "user", "post")))

    def between(self, since: int, until: int) -> TrainingRows:
        """A sample of the rows of [since, until) seconds, in a total order; all if they are few."""
        job = partial(_sample, self, since, until)
        parts = list(map_parts(job, len(self.files), "sampling rows"))
        return _lowest(TrainingRows.joined(parts)).sorted()

    def save(self, directory: Path) -> None:
        """Write `rows.json`, which names the files."""
        url = None if self.url == url_of(directory) else self.url
        text = json.dumps({"url": url, "names": self.names, "files": self.files}, indent=2)
        write_whole(directory / FILE, text.encode() + b"\n")


def store_rows(
    job: Callable[[int], TrainingRows], n_parts: int, names: list[str], url: str
) -> StoredRows:
    """Pass 2 whose workers write what they assemble; a part that is done twice is the same file."""
    store = partial(_store, job, tuple(names), url)
    return StoredRows(url, tuple(names), tuple(map_parts(store, n_parts, "assembling")))


def load_rows(directory: Path) -> TrainingRows | StoredRows:
    """What `save` of either kind wrote; raises `SchemaError` where there is nothing."""
    if not (directory / FILE).exists():
        return TrainingRows.load(directory)
    about = json.loads((directory / FILE).read_text())
    url = about["url"] or url_of(directory)
    return StoredRows(url, tuple(about["names"]), tuple(about["files"]))


def _store(job: Callable[[int], TrainingRows], names: tuple[str, ...], url: str, part: int) -> str:
    rows = job(part)
    columns = [pa.array(column) for column in rows.matrix.T]
    columns += [pa.array(c) for c in (rows.liked, rows.at, rows.user, rows.post)]
    table = pa.Table.from_arrays(columns, names=[*names, "liked", "at", "user", "post"])
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd", use_dictionary=False)
    written = content.getvalue()
    file = f"part-{part:04d}-{hashlib.sha256(written).hexdigest()[:16]}.parquet"
    write_bytes(inside(url, file), written)
    return file


def _sample(rows: StoredRows, since: int, until: int, part: int) -> TrainingRows:
    return _lowest(rows.part(part).between(since, until))


def _lowest(rows: TrainingRows) -> TrainingRows:
    lots = draw_lots(Impressions(rows.user, rows.post, rows.at, rows.liked), LOTS_SEED)
    return rows[lowest(lots, SAMPLE_ROWS)]
