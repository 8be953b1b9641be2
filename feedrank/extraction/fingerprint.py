"""Fingerprint of a source: a few bytes that change when the content of the three tables does.

The same rows give the same bytes on another machine, after a restore, or in another order. The
fingerprint takes one pass of the server over the feed. That pass is spared while the *signature*
of the tables is the same: counts that the server keeps anyway and that every write changes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from feedrank.errors import SourceError
from feedrank.extraction.audit.source_counts import count_rows
from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import Source, Transaction, quoted
from feedrank.extraction.postgres.feed_query import FeedSql, id_key
from feedrank.extraction.postgres.row_format import Layout
from feedrank.extraction.postgres.snapshot import Snapshot
from feedrank.extraction.relations import relations
from feedrank.extraction.spool.exposure_source import exposure_source
from feedrank.extraction.tables.profile_choice import ProfileChoice
from feedrank.extraction.tables.users_posts import post_columns
from feedrank.io.files import sha256_of, write_whole
from feedrank.log.calendar import FEWEST_DAYS, too_few_days
from feedrank.log.embeddings import embedding_file

FORMAT = 2  # of the fingerprint: another one makes the extract run again
logger = logging.getLogger(__name__)


def refresh_fingerprint(
    path: Path, cache: Path, source: Source, name: str, connections: int
) -> None:
    """Write the fingerprint of a source, or leave the file as it is where nothing changed.

    Args:
        path: the fingerprint.
        cache: a file of this machine with the signature that `path` belongs to.
        source: the database.
        name: name of the source in the log.
        connections: number of parallel ones.

    Raises:
        SourceError: the database cannot be read.
        SchemaError: a table or column is missing, or of a type that cannot be read.
    """
    # Before the content is read: a write in between makes the signature old, and the next run
    # reads the content again.
    files = {**_exposures(source), **_embeddings(source.params.embedding)}
    signature = _signature(source, files)
    if signature is not None and _remembered(cache) == _memory(signature, path):
        logger.info("source: the source is as it was: nothing has been written to it.")
        return
    content = {"format": FORMAT, "source": name, **_content(source, connections), **files}
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        write_whole(path, text.encode())
    cache.parent.mkdir(parents=True, exist_ok=True)
    write_whole(cache, json.dumps(_memory(signature, path)).encode())


def keep_fingerprint(path: Path) -> None:
    """Take the source to be as it was; raises `SourceError` without a fingerprint."""
    if not path.exists():
        raise SourceError(
            f"FEED_OFFLINE is set, but '{path}' is not there: nothing was extracted yet. "
            "Run `dvc pull`, or unset FEED_OFFLINE and run again."
        )
    logger.info("source: offline: the source is taken to be as it was.")


def _content(source: Source, connections: int) -> dict[str, Any]:
    with Snapshot.of(source, connections) as snapshot:
        users, posts, feed = relations(snapshot.first, source.params)
        profile = ProfileChoice.of(users, source.params).columns
        user_content, user_ids = _table(snapshot.first, users, source.params.user_id, profile)
        post_content, post_ids = _table(
            snapshot.first, posts, source.params.post_id, post_columns(source.params)
        )
        layout = Layout.for_bounds([*user_ids, *post_ids])
        sql = FeedSql.of(feed, source.params, None, layout)
        found = count_rows(snapshot, sql, connections, with_checks=True)
    n_days = len({day for day, *_ in found})
    if 0 < n_days < FEWEST_DAYS:
        logger.warning("source: %s", too_few_days(n_days))
    feed_content = {"sha256": _sha256(_sums(found)), "is_narrow": layout.is_narrow}
    return {"users": user_content, "posts": post_content, "feed": feed_content}


def _embeddings(name: str | None) -> dict[str, str]:
    """Hash of the file of embeddings; nothing where none is named, or it is not there."""
    path = embedding_file(name)
    if path is None or not path.exists():
        return {}  # the extract says that it is not there
    return {"embeddings": sha256_of(path)}


def _sums(found: list[tuple[Any, ...]]) -> list[str]:
    """Counts and checksums of each day and kind of rows, added up over the counted parts."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for day, kind, n, check in found:
        key = (str(day), str(kind))
        rows, checks = sums.get(key, (0, 0))
        sums[key] = (rows + n, checks + int(check or 0))
    return sorted(map(str, sums.items()))


def _table(
    transaction: Transaction, relation: Relation, id_name: str, others: list[str]
) -> tuple[dict[str, Any], list[int]]:
    """Rows and checksum of a small table, and the smallest and largest key of an id."""
    name, key = relation.column(id_name, "id"), id_key(relation, id_name, "id")
    # Only columns that the extract reads: a role may have no right to the others.
    read = ", ".join(quoted(c) for c in relation.columns if c == name or c in others)
    n, check, low, high = transaction.rows(
        f"""SELECT count(*), coalesce(sum(hashtextextended(ROW({read})::text, 0)), 0)::text,
              min({key}), max({key}) FROM {relation.path}"""
    )[0]
    columns = _sha256([f"{name} {kind}" for name, kind in relation.columns.items()])
    bounds = [b for b in (low, high) if b is not None]
    return {"rows": n, "check": check, "columns": columns}, bounds


def _exposures(source: Source) -> dict[str, Any]:
    """Names and sizes of the exposure files, which only grow; of a table checksums too."""
    if source.params.exposures is None:
        return {}
    files = [f"{file.name} {file.content}" for file in exposure_source(source)]
    return {"exposures": {"files": len(files), "sha256": _sha256(files)}}


def _signature(source: Source, files: dict[str, Any]) -> str | None:
    """Digest of numbers that every write to the source changes; None where the server has none.

    The numbers: size and file of each table, rows inserted, updated and deleted since the server
    started, and the time of that start, since a crash loses these counts. The server publishes
    them up to ten seconds after a commit (PGSTAT_IDLE_INTERVAL), so that a change of the last
    seconds may only be seen by the next run. A standby, a view, a foreign table, one with children
    and one with policies of rows have no such counts. The role belongs to it: another may see
    other rows.
    """
    with source.transaction() as transaction:
        tables = relations(transaction, source.params)
        server = transaction.rows(_SERVER)[0]
        counts = [transaction.rows(_WRITES.format(oid=int(t.oid))) for t in tables]
    is_standby, is_counting, *identity = server
    if is_standby or is_counting != "on" or not all(t.is_counted for t in tables):
        return None
    parts = [str(source), repr(identity), *(repr(asdict(t)) for t in tables), repr(counts)]
    return _sha256([*parts, repr(sorted(asdict(source.params).items())), repr(files)])


_SERVER = """
    SELECT pg_is_in_recovery(), current_setting('track_counts'),
      pg_postmaster_start_time()::text, coalesce(d.stats_reset::text, ''), d.datid, d.datname,
      current_user
    FROM pg_stat_database d WHERE d.datname = current_database()"""
_WRITES = "SELECT n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_all_tables WHERE relid = {oid}"


def _memory(signature: str | None, path: Path) -> dict[str, Any]:
    """A signature, and the hash of the fingerprint that it belongs to."""
    content = sha256_of(path) if path.exists() else None
    return {"signature": signature, "fingerprint": content}


def _remembered(cache: Path) -> dict[str, Any] | None:
    try:
        memory: dict[str, Any] = json.loads(cache.read_text())
    except (OSError, ValueError):
        return None
    return memory


def _sha256(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
