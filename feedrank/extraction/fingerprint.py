"""A few bytes that change exactly when the content of the three tables does.

The fingerprint is of the content, not of the files that a server keeps it in: the same rows give
the same bytes on another machine, after a restore, or in another order. Computing it takes one
pass of the server over the feed. That pass is spared while the *signature* of the tables stays
as it was: numbers that the server keeps anyway and that every write moves.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from feedrank.errors import SourceError
from feedrank.extraction.audit.source_counts import count_rows
from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import Source, Transaction, quoted
from feedrank.extraction.postgres.feed_query import WHOLE, FeedSql
from feedrank.extraction.postgres.row_format import Layout
from feedrank.extraction.postgres.snapshot import Snapshot
from feedrank.extraction.source_state import relations
from feedrank.io.files import write_whole
from feedrank.io.progress import say

FORMAT = 1


def refresh_fingerprint(
    path: Path, cache: Path, source: Source, name: str, connections: int
) -> None:
    """Write the fingerprint of a source, or leave the file as it is where nothing changed.

    Args:
        path: the fingerprint.
        cache: a file of this machine that remembers the signature that `path` belongs to.
        source: the database.
        name: what the log calls it.
        connections: that read at the same time.
    """
    # The signature is taken before the content is read: a write in between makes it old, and
    # the content is read once more next time.
    signature = _signature(source)
    if signature is not None and _remembered(cache) == _memory(signature, path):
        say("the source is as it was: nothing has been written to it.", "source")
        return
    content = {"format": FORMAT, "source": name, **_content(source, connections)}
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        write_whole(path, text.encode())
    cache.parent.mkdir(parents=True, exist_ok=True)
    write_whole(cache, json.dumps(_memory(signature, path)).encode())


def keep_fingerprint(path: Path) -> None:
    """Do without the database; raises `SourceError` if nothing was ever read from it."""
    if not path.exists():
        raise SourceError(
            f"FEED_OFFLINE is set, but '{path}' is not there: nothing was extracted yet. "
            "Run `dvc pull`, or unset FEED_OFFLINE and run again."
        )
    say("offline: the source is taken to be as it was.", "source")


def _content(source: Source, connections: int) -> dict[str, Any]:
    with Snapshot.of(source, connections) as snapshot:
        users, posts, feed = relations(snapshot.first, source.params)
        user_content, user_ids = _table(snapshot.first, users, source.params.user_id)
        post_content, post_ids = _table(snapshot.first, posts, source.params.post_id)
        layout = Layout.for_bounds([*user_ids, *post_ids])
        sql = FeedSql.of(feed, source.params, None, layout)
        found = count_rows(snapshot, sql, connections, with_checks=True)
    feed_content = {"sha256": _sha256(_sums(found)), "is_narrow": layout.is_narrow}
    return {"users": user_content, "posts": post_content, "feed": feed_content}


def _sums(found: list[tuple[Any, ...]]) -> list[str]:
    """Counts and checksums of each day and kind of rows, whatever parts they were counted in."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for day, kind, n, check in found:
        key = (str(day), str(kind))
        rows, checks = sums.get(key, (0, 0))
        sums[key] = (rows + n, checks + int(check or 0))
    return sorted(map(str, sums.items()))


def _table(
    transaction: Transaction, relation: Relation, id_name: str
) -> tuple[dict[str, Any], list[int]]:
    """Rows and checksum of a small table, and its smallest and largest id."""
    name = relation.column(id_name, "id")
    relation.typed(name, WHOLE, "whole numbers")
    column = quoted(name)
    n, check, low, high = transaction.rows(
        f"""SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text,
              min({column}), max({column}) FROM {relation.path} AS t"""
    )[0]
    columns = _sha256([f"{name} {kind}" for name, kind in relation.columns.items()])
    bounds = [b for b in (low, high) if b is not None]
    return {"rows": n, "check": check, "columns": columns}, bounds


def _signature(source: Source) -> str | None:
    """Digest of what every write to the tables moves; None where there is no such thing.

    Size and file of each table, rows inserted, updated and deleted since the server started, and
    its start, since a crash loses these counts. The server publishes them up to ten seconds
    after a commit, so a change of the last moments may only be seen by the next run. A standby,
    a view and a foreign table have no such counts.
    """
    with source.transaction() as transaction:
        tables = relations(transaction, source.params)
        server = transaction.rows(_SERVER)[0]
        counts = [transaction.rows(_WRITES.format(oid=int(t.oid))) for t in tables]
    is_standby, is_counting, *identity = server
    if is_standby or is_counting != "on" or not all(t.is_stored for t in tables):
        return None
    parts = [str(source), repr(identity), *(repr(asdict(t)) for t in tables), repr(counts)]
    return _sha256([*parts, repr(sorted(asdict(source.params).items()))])


_SERVER = """
    SELECT pg_is_in_recovery(), current_setting('track_counts'),
      pg_postmaster_start_time()::text, coalesce(d.stats_reset::text, ''), d.datid, d.datname
    FROM pg_stat_database d WHERE d.datname = current_database()"""
_WRITES = "SELECT n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_all_tables WHERE relid = {oid}"


def _memory(signature: str | None, path: Path) -> dict[str, Any]:
    """What ties a signature to the fingerprint that it was taken for."""
    content = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
    return {"signature": signature, "fingerprint": content}


def _remembered(cache: Path) -> dict[str, Any] | None:
    try:
        memory: dict[str, Any] = json.loads(cache.read_text())
    except (OSError, ValueError):
        return None
    return memory


def _sha256(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
