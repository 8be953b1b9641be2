"""Transfer: answers of tasks in pieces that fit into rows."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from feedrank.engines.processes import one_thread_of_algebra
from feedrank.errors import FeedrankError

PIECES = "part long, kind string, piece int, payload binary"
SUM, REST, REFUSED = "sum", "rest", "refused"
PIECE_BYTES = 16 << 20  # far below the 2 GB that a value may have, and above the cost of a row


def run_parts(function: Any, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In a task: pieces of the function's answers, each a pair of a sum and the rest.

    Args:
        function: a broadcast variable, so that its arrays are sent once a machine.
        batches: with the numbers of the parts.
    """
    one_thread_of_algebra()
    for batch in batches:
        for part in batch.column(0).to_pylist():
            try:
                one, rest = function.value(part)
            except FeedrankError as error:  # raised in the driver; another attempt would fail too
                yield from _cut(part, REFUSED, error)
            else:
                yield from _cut(part, SUM, one)
                yield from _cut(part, REST, rest)


def merge_pieces(
    add: Callable[[Sequence[Any]], Any], key: tuple[pa.Scalar, ...], table: pa.Table
) -> pa.Table:
    """In a task: pieces of the sum of neighbouring parts, added up in their order."""
    table = table.sort_by([("part", "ascending"), ("piece", "ascending")])
    pieces: dict[int, list[Any]] = {}
    for part, payload in zip(table["part"].to_pylist(), table["payload"], strict=True):
        pieces.setdefault(part, []).append(payload.as_buffer())
    sums = [_whole(of_part) for of_part in pieces.values()]
    return pa.Table.from_batches(_cut(key[0].as_py(), SUM, add(sums)))


def joined(pieces: Sequence[Any]) -> Any:
    """The answer of these pieces, given in order."""
    return _whole([piece.payload for piece in pieces])


def _whole(payloads: Sequence[Any]) -> Any:
    return pickle.loads(b"".join(payloads))


def _cut(part: int, kind: str, answer: Any) -> Iterator[pa.RecordBatch]:
    content = memoryview(pickle.dumps(answer, protocol=5))
    for piece, start in enumerate(range(0, len(content), PIECE_BYTES)):
        yield pa.record_batch(
            [
                pa.array([part], pa.int64()),
                pa.array([kind], pa.large_string()),
                pa.array([piece], pa.int32()),
                pa.array([content[start : start + PIECE_BYTES]], pa.large_binary()),
            ],
            names=["part", "kind", "piece", "payload"],
        )
