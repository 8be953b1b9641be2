"""Log of a simulated network, written without a database."""

from __future__ import annotations

from pathlib import Path

from feedrank.demo.simulation import Network
from feedrank.log.files import Log, write_bucket, write_meta
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import LogMeta


def write_simulated_log(
    network: Network, directory: Path, n_buckets: int, rows: Impressions | None = None
) -> Log:
    """Write a network's log as the extract would, to a directory that is created if needed.

    Args:
        network: with the users and posts.
        directory: of the log.
        n_buckets: of whole users.
        rows: impressions in place of the network's own.
    """
    directory.mkdir(parents=True, exist_ok=True)
    rows = Impressions.joined(network.impressions()) if rows is None else rows
    meta = LogMeta(
        origin=network.truth.origin,
        last_at=int(rows.at.max()),
        n_users=len(network.users),
        n_posts=len(network.posts),
        n_impressions=len(rows),
        n_likes=int(rows.liked.sum()),
        n_buckets=n_buckets,
        source="simulation",
    )
    network.users.to_parquet(directory / "users.parquet")
    network.posts.to_parquet(directory / "posts.parquet")
    for bucket in range(n_buckets):
        first, last = meta.user_range(bucket)
        write_bucket(directory, bucket, rows[(rows.user >= first) & (rows.user < last)])
    write_meta(directory, meta)
    return Log.open(directory)
