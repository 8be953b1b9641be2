"""COPY reader: impressions by ranges of blocks in parallel, or as one stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import Transaction
from feedrank.extraction.postgres.feed_query import FeedSql
from feedrank.extraction.postgres.row_format import (
    COPY_HEADER,
    ROW_HEADER,
    Layout,
    WireRows,
    glued_rows,
    single_rows,
)
from feedrank.extraction.postgres.snapshot import Snapshot

TRAILER = b"\xff\xff"
BINARY = "FORMAT binary"
LOOKS, LOOK_BLOCKS = 8, 16  # 1 MB of a table, of any size
Keep = Callable[[str, WireRows], None]


@dataclass(frozen=True)
class BlockRange:
    """Blocks [first, last) of a table, the unit that is read and kept."""

    number: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """Name of its chunk."""
        return f"blocks-{self.number:06d}"


def rows_a_block(transaction: Transaction, relation: Relation) -> int:
    """Rows of a table's blocks, at least 1: the most of some that are spread over it.

    A window may hold all rows of some blocks and none of others: its own rows tell nothing.
    """
    most = 1
    for look in range(LOOKS):
        first = look * relation.blocks // LOOKS
        where = f"ctid >= '({first},0)'::tid AND ctid < '({first + LOOK_BLOCKS},0)'::tid"
        n = transaction.rows(f"SELECT count(*) FROM {relation.path} WHERE {where}")[0][0]
        most = max(most, -(-n // min(LOOK_BLOCKS, relation.blocks - first or 1)))
    return most


def block_ranges(blocks: int, rows_a_block: int, chunk_rows: int) -> list[BlockRange]:
    """Ranges that cover a table, with about `chunk_rows` of its rows each."""
    step = max(1, min(blocks, chunk_rows // rows_a_block))
    firsts = range(0, blocks, step)
    return [BlockRange(i, first, min(first + step, blocks)) for i, first in enumerate(firsts)]


def read_ranges(snapshot: Snapshot, sql: FeedSql, ranges: list[BlockRange], keep: Keep) -> None:
    """Read ranges over the snapshot's connections; `keep` gets each whole range, in any order."""
    snapshot.each(partial(_read_range, sql=sql, blocks=r, keep=keep) for r in ranges)


def read_stream(transaction: Transaction, sql: FeedSql, chunk_rows: int, keep: Keep) -> None:
    """Read all rows over one connection, of a relation that has no blocks of its own."""
    sink = _Chunks(sql.layout, chunk_rows, keep)
    transaction.copy(sql.stream(), BINARY, sink)
    sink.close()


def _read_range(transaction: Transaction, sql: FeedSql, blocks: BlockRange, keep: Keep) -> None:
    sink = Collected()
    transaction.copy(sql.chunk(blocks.first, blocks.last), BINARY, sink)
    keep(blocks.name, sql.layout.parse(glued_rows(sink.content(), sql.layout)))


class Collected:
    """A sink that keeps all bytes but the trailer."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        if data != TRAILER:
            self._parts.append(data)

    def content(self) -> bytes:
        """All bytes; a single part, as a rule, is not copied."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


class _Chunks:
    """A sink that hands on whole rows, many at a time."""

    def __init__(self, layout: Layout, chunk_rows: int, keep: Keep) -> None:
        self._layout, self._keep = layout, keep
        self._size = chunk_rows * (ROW_HEADER + layout.dtype.itemsize)
        self._buffer = bytearray()
        self._has_begun = False
        self._n_chunks = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._buffer += data
        if not self._has_begun and len(self._buffer) >= COPY_HEADER:
            del self._buffer[:COPY_HEADER]
            self._has_begun = True
        if len(self._buffer) > self._size + len(TRAILER):
            self._hand_on(self._size)

    def close(self) -> None:
        """Hand on the rest."""
        self._hand_on(len(self._buffer) - len(TRAILER))

    def _hand_on(self, size: int) -> None:
        rows = single_rows(bytes(self._buffer[:size]), self._layout)
        del self._buffer[:size]
        self._keep(f"stream-{self._n_chunks:06d}", self._layout.parse(rows))
        self._n_chunks += 1
