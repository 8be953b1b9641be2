"""Stored rows: training rows beyond memory, as Parquet files, one a bucket, and their index."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feedrank.engines.engine import map_parts
from feedrank.errors import SchemaError
from feedrank.features.rows import TrainingRows
from feedrank.io.files import write_whole
from feedrank.io.storage import inside, opened, url_of, write_bytes
from feedrank.log.impressions import Impressions
from feedrank.log.sampling import hash_uniform, lowest

FILE = "rows.json"
LABELS = ("liked", "at", "user", "post")
GROUP_ROWS = 100_000  # of one Parquet row group: 26 MB of 65 features
SAMPLE_ROWS = 1_000_000  # at most in one process: 260 MB of 65 features
SAMPLE_SEED = 2  # any number
SHARES = 4  # of the held rows: XGBoost holds as many quantised batches at once


@dataclass(frozen=True)
class StoredRows:
    """Training rows as files of a store, one a bucket.

    Attributes:
        url: where the files lie.
        names: of the features.
        files: in the order of buckets; a name holds the hash of the file's content.
        held: rows that one process holds at once, at most, a sample apart.
    """

    url: str
    names: tuple[str, ...]
    files: tuple[str, ...]
    held: int

    def batches(self, since: int, until: int) -> Iterator[TrainingRows]:
        """The rows of [since, until) seconds, a few at a time, in their total order.

        The order is that of buckets, and of (at, user, post) within each: always the same.
        """
        most = max(1, self.held // SHARES)
        pieces = (
            piece.between(since, until)
            for number in range(len(self.files))
            for piece in self.pieces(number)
        )
        return TrainingRows.batches(pieces, most)

    def pieces(self, number: int, names: tuple[str, ...] | None = None) -> Iterator[TrainingRows]:
        """The rows of one file, some at a time, in the order of (at, user, post).

        Args:
            number: of the file.
            names: features that are read; None: all.

        Raises:
            SchemaError: the file is gone.
        """
        names = self.names if names is None else names
        with self._opened(number) as file:
            for batch in pq.ParquetFile(file).iter_batches(GROUP_ROWS, columns=[*names, *LABELS]):
                matrix = np.empty((len(batch), len(names)), np.float32)
                for column, name in enumerate(names):
                    matrix[:, column] = batch[name].to_numpy()
                yield TrainingRows(matrix, *(batch[name].to_numpy() for name in LABELS))

    def between(self, since: int, until: int) -> TrainingRows:
        """A hash sample of the rows of [since, until) seconds, in a total order; all if few."""
        draws = np.empty(0)
        job = partial(_draws, self, since, until)
        for some in map_parts(job, len(self.files), "drawing a sample"):
            draws = np.concatenate([draws, some])
            draws = draws[lowest(draws, SAMPLE_ROWS)]
        chosen = partial(_chosen, self, since, until, float(draws.max(initial=0.0)))
        parts = list(map_parts(chosen, len(self.files), "sampling rows"))
        return TrainingRows.joined(parts).sorted()

    def save(self, directory: Path) -> None:
        """Write `rows.json`, which names the files."""
        about = vars(self) | {"url": None if self.url == url_of(directory) else self.url}
        write_whole(directory / FILE, json.dumps(about, indent=2).encode() + b"\n")

    def _opened(self, number: int) -> Any:
        try:
            return opened(inside(self.url, self.files[number]))
        except FileNotFoundError as error:
            raise SchemaError(
                f"training rows '{self.files[number]}' are no longer at '{self.url}'. "
                "Run `dvc repro --force features`."
            ) from error


def store_rows(
    job: Callable[[int], Iterable[TrainingRows]],
    n_parts: int,
    names: list[str],
    url: str,
    held: int,
) -> StoredRows:
    """Assemble in workers that write files; a part that is done twice is the same file."""
    store = partial(_store, job, tuple(names), url)
    return StoredRows(url, tuple(names), tuple(map_parts(store, n_parts, "assembling")), held)


def load_rows(directory: Path) -> TrainingRows | StoredRows:
    """Training rows that `save` of either class wrote."""
    if not (directory / FILE).exists():
        return TrainingRows.load(directory)
    about = json.loads((directory / FILE).read_text())
    url = about["url"] or url_of(directory)
    return StoredRows(url, tuple(about["names"]), tuple(about["files"]), about["held"])


def _store(
    job: Callable[[int], Iterable[TrainingRows]], names: tuple[str, ...], url: str, part: int
) -> str:
    columns = [(name, pa.float32()) for name in names]
    labels = zip(LABELS, (pa.uint8(), *[pa.uint32()] * 3), strict=True)
    schema = pa.schema([*columns, *labels])
    with tempfile.TemporaryDirectory(prefix="feedrank-rows-") as folder:
        path = Path(folder) / "part"
        with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
            for rows in TrainingRows.batches(job(part), GROUP_ROWS):
                values = (*rows.matrix.T, *(getattr(rows, name) for name in LABELS))
                writer.write_table(pa.Table.from_arrays([*map(pa.array, values)], schema=schema))
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        name = f"part-{part:04d}-{content[:16]}.parquet"
        with pa.memory_map(str(path)) as file:
            write_bytes(inside(url, name), file.read_buffer())
    return name


def _within(
    rows: StoredRows, part: int, since: int, until: int, names: tuple[str, ...] | None
) -> Iterator[tuple[TrainingRows, np.ndarray]]:
    """Rows of a part in [since, until), some at a time, each with its draws."""
    for piece in rows.pieces(part, names):
        some = piece.between(since, until)
        draws = hash_uniform(Impressions(some.user, some.post, some.at, some.liked), SAMPLE_SEED)
        yield some, draws


def _draws(rows: StoredRows, since: int, until: int, part: int) -> np.ndarray:
    """Draws of the rows of a part that may be in the sample, shape (n,)."""
    draws = np.concatenate([np.empty(0), *(n for _, n in _within(rows, part, since, until, ()))])
    return draws[lowest(draws, SAMPLE_ROWS)]


def _chosen(rows: StoredRows, since: int, until: int, last: float, part: int) -> TrainingRows:
    """Rows of a part whose draw is not above the last one."""
    nothing = np.empty((0, len(rows.names)), np.float32)
    none = TrainingRows(nothing, np.empty(0, np.uint8), *[np.empty(0, np.uint32)] * 3)
    drawn = (some[draws <= last] for some, draws in _within(rows, part, since, until, None))
    return TrainingRows.joined([none, *drawn])
