"""Table of requests: hits of every request, by which two runs are compared."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import is_numeric_dtype

from feedrank.errors import SchemaError
from feedrank.io.files import write_whole
from feedrank.log.files import Log
from feedrank.state.catalogue import Catalogue, are_text, plain_ids
from feedrank.validation.fold import FoldResult, joined
from feedrank.validation.hitrate.scores import KINDS, Scores
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult

KEYS = ("user_id", "at", "fold")
LIST = "list"  # column of checksums of our list of the first k, 'list@3' of a further one
OUTCOMES = "outcomes"  # column of checksums of the posts shown and liked
VOID = "expected_is_void"  # column, constant: the tests of the feed make `expected` void
# Column, constant: standard deviation of what no request tells of `expected` of our list of the
# first k, 'expected_doubt@3' of a further one.
DOUBT = "expected_doubt"
# Columns of our longest list: ids, best first, and standard deviations of the posts' qualities in
# log-odds, by which the doubts of two runs correlate.
POSTS, SPREADS = "posts", "post_spreads"


def requests_table(
    results: Sequence[FoldResult],
    scores: Sequence[Scores],
    log: Log,
    catalogue: Catalogue,
    is_void: bool,
) -> pd.DataFrame:
    """One row a request, sorted by fold, moment and user.

    Columns: `user_id`, `at` (a naive moment), `fold`, and for every method, kind and k
    `<method>/<kind>@<k>`, float32: values whose mean is that hit rate, NaN where there is none.
    `expected` holds pseudo-values (see `feedrank.validation.hitrate.expected`). `list` is a
    checksum of the ids on our list of the first k, in any order, `outcomes` one of the posts shown
    and of those liked, which is equal for two runs of the same log; `expected_is_void` says in each
    row whether `expected` counts for nothing, by the tests of the feed or a severe warning,
    `expected_doubt` the standard deviation of what no request tells of `expected` of our list.
    Each further k has a `list@<k>` and an `expected_doubt@<k>` of its own. `posts` holds the ids of
    our longest list, best first, `post_spreads` the standard deviation of each one's quality.
    """
    replayed, ours = joined(results), results[0].names.index(OURS)
    top, spread = replayed.top[ours], replayed.top_spread[ours].astype(np.float32)
    columns: dict[str, object] = {
        "user_id": plain_ids(np.asarray(catalogue.user_ids)[replayed.user]),
        "at": pd.to_datetime(log.meta.origin) + pd.to_timedelta(replayed.at, unit="s"),
        "fold": np.repeat(np.arange(len(results)), [len(r.replayed.user) for r in results]),
        LIST: list_checksums(np.asarray(catalogue.post_ids), top[:, : scores[0].k]),
        OUTCOMES: outcome_checksums(np.asarray(catalogue.post_ids), replayed),
        VOID: is_void,
        DOUBT: float(scores[0].methods[OURS].doubt.std()),
        POSTS: [plain_ids(np.asarray(catalogue.post_ids)[of[of >= 0]]) for of in top],
        SPREADS: [of[posts >= 0] for of, posts in zip(spread, top, strict=True)],
    }
    for found in scores[1:]:
        lists = list_checksums(np.asarray(catalogue.post_ids), top[:, : found.k])
        columns[f"{LIST}@{found.k}"] = lists
        columns[f"{DOUBT}@{found.k}"] = float(found.methods[OURS].doubt.std())
    for found in scores:
        for name, hits in found.methods.items():
            for kind in KINDS:
                columns[column(name, kind, found.k)] = hits.by_request[kind].astype(np.float32)
    table = pd.DataFrame(columns)
    return table.sort_values(["fold", "at", "user_id"], kind="stable", ignore_index=True)


def list_checksums(post_ids: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """CRC-32 of each list's sorted ids, uint32, shape (n_requests,); -1 is an empty place."""
    empty = np.array("" if are_text(post_ids) else -1, post_ids.dtype)
    ids = np.sort(np.where(lists >= 0, post_ids[lists], empty), axis=1)
    return np.array([zlib.crc32(_bytes(row)) for row in ids], np.uint32)


def outcome_checksums(post_ids: np.ndarray, replayed: ReplayResult) -> np.ndarray:
    """CRC-32 of the posts shown to each request and of which were liked, uint32, (n_requests,)."""
    n_shown = np.bincount(replayed.shown_request, minlength=len(replayed.user))
    ends = np.cumsum(n_shown)
    ids = post_ids[replayed.shown_post]
    liked = replayed.shown_liked.astype(np.uint8)
    return np.array(
        [
            zlib.crc32(liked[first:end].tobytes(), zlib.crc32(_bytes(ids[first:end])))
            for first, end in zip(ends - n_shown, ends, strict=True)
        ],
        np.uint32,
    )


def _bytes(ids: np.ndarray) -> bytes:
    """Bytes of ids that do not depend on ids of other posts, as the width of text does."""
    return b"\0".join(ids.tolist()) if are_text(ids) else ids.tobytes()


def column(method: str, kind: str, k: int) -> str:
    """The name of a column of hits."""
    return f"{method}/{kind}@{k}"


def write_requests(path: Path, table: pd.DataFrame) -> None:
    """Write the table; equal tables give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    buffer = io.BytesIO()
    pq.write_table(arrow, buffer, compression="zstd", compression_level=9)
    write_whole(path, buffer.getvalue())


def read_requests(content: bytes, name: str) -> pd.DataFrame:
    """The table that `write_requests` wrote; raises `SchemaError` for anything else.

    Args:
        content: of the file.
        name: of the file in the message.
    """
    try:
        table = pq.read_table(io.BytesIO(content)).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise SchemaError(
            f"'{name}' is not a table of requests. Run `dvc repro validate`."
        ) from error
    missing = [key for key in KEYS if key not in table]
    if missing:
        raise SchemaError(f"'{name}' lacks the columns {missing}. Run `dvc repro validate`.")
    words = [c for c in table if "@" in c and not is_numeric_dtype(table[c])]
    if words:
        raise SchemaError(f"columns {words} of '{name}' hold no numbers. Run `dvc repro validate`.")
    return table
