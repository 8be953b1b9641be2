"""Demo database: an embedded PostgreSQL with the tables of a simulated network."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import create_engine, inspect

from feedrank.demo.server import embedded_server
from feedrank.demo.simulation import FeedRows, Network
from feedrank.demo.truth import SCALARS
from feedrank.io.progress import tracked
from feedrank.log.embeddings import EMBEDDING
from feedrank.params import DemoParams
from feedrank.schema import LIKE, POST_ID, USER_ID, VIEW

logger = logging.getLogger(__name__)
PGDATA, TRUTH, FINGERPRINT = "pgdata", "truth", "fingerprint.json"
# Modules that decide the rows of the demo: after a change in one of them the demo is filled again.
RECIPE = (
    "population.py", "texts.py", "lives.py", "truth.py", "kinds.py", "latent.py",
    "simulation.py", "fill.py",
)  # fmt: skip
TABLES = {
    "user_data": "user_id int, gender int, age int, country text, city text, exp_group int, "
    "os text, source text",
    "post_text_df": "post_id int, text text, topic text",
    "feed_data": "timestamp timestamp, user_id int, post_id int, action text, target int",
}
POSTGRES_EPOCH = datetime(2000, 1, 1)
AHEAD = 2  # blocks of users generated while another is copied; 1 or more keep the server busy
# One row of the binary COPY format: the number of fields, then the length and value of each.
FEED_ROW = np.dtype(
    [("fields", ">i2"), ("l0", ">i4"), ("timestamp", ">i8"), ("l1", ">i4"), ("user_id", ">i4"),
     ("l2", ">i4"), ("post_id", ">i4"), ("l3", ">i4"), ("action", "S4"), ("l4", ">i4"),
     ("target", ">i4")]
)  # fmt: skip
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"


@contextmanager
def ensure_demo(directory: Path, params: DemoParams) -> Iterator[str]:
    """URL of the demo database of these parameters, for SQLAlchemy; it is filled where it is not.

    Args:
        directory: of the database, and of the network's truth in its folder `TRUTH`.
        params: of the network.

    Raises:
        SourceError: the server did not start.
    """
    fingerprint = _fingerprint(params)
    with embedded_server(directory / PGDATA) as url:
        if not _is_filled(directory, fingerprint, url):
            words = f"{params.users:,} users, {params.days} days"
            logger.info("Filling the demo database: %s, once.", words)
            (directory / FINGERPRINT).unlink(missing_ok=True)
            network = Network.simulate(params)
            network.truth.save(directory / TRUTH)
            _fill(network, url)
            # Written last: a demo without a fingerprint is filled again.
            (directory / FINGERPRINT).write_text(fingerprint)
        yield url


def _fingerprint(params: DemoParams) -> str:
    """Parameters and code that decide the rows of the demo, as JSON."""
    digest = hashlib.sha256()
    for name in RECIPE:
        digest.update(Path(__file__).with_name(name).read_bytes())
    parts = {"params": asdict(params), "recipe": digest.hexdigest()}
    return json.dumps(parts, indent=2, sort_keys=True) + "\n"


def _is_filled(directory: Path, fingerprint: str, url: str) -> bool:
    path = directory / FINGERPRINT
    if not path.exists() or path.read_text() != fingerprint:
        return False
    if not (directory / TRUTH / SCALARS).exists():
        return False
    engine = create_engine(url)
    try:
        return bool(inspect(engine).has_table("feed_data"))
    finally:
        engine.dispose()


def _fill(network: Network, url: str) -> None:
    """Create and fill the three tables, in one transaction."""
    engine = create_engine(url)
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        _create_tables(cursor, EMBEDDING in network.posts)
        _copy_frame(cursor, "user_data", network.users)
        _copy_frame(cursor, "post_text_df", network.posts)
        _copy_feed(cursor, network)
        connection.commit()
        cursor.execute("ANALYZE")
        connection.commit()
    engine.dispose()


def _create_tables(cursor: Any, has_embeddings: bool) -> None:
    for table, columns in TABLES.items():
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(f"CREATE TABLE {table} ({columns})")
    if has_embeddings:
        cursor.execute(f"ALTER TABLE post_text_df ADD {EMBEDDING} real[]")


def _copy_frame(cursor: Any, table: str, frame: pd.DataFrame) -> None:
    if EMBEDDING in frame:
        literals = [f"{{{','.join(map(str, v.tolist()))}}}" for v in frame[EMBEDDING]]
        frame = frame.assign(**{EMBEDDING: literals})
    rows = io.BytesIO(frame.to_csv(index=False, header=False).encode())
    cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT csv, FREEZE)", rows)


def _copy_feed(cursor: Any, network: Network) -> None:
    """Copy block after block while the next ones are generated; the order stays the same."""
    with ThreadPoolExecutor(1) as pool:
        blocks = range(network.n_blocks)
        ahead = [pool.submit(encoded_block, network, b) for b in blocks[:AHEAD]]
        for block in tracked(blocks, network.n_blocks, "feed", "block"):
            if block + AHEAD < network.n_blocks:
                ahead.append(pool.submit(encoded_block, network, block + AHEAD))
            rows = io.BytesIO(ahead.pop(0).result())
            cursor.copy_expert(
                "COPY feed_data FROM STDIN (FORMAT binary, FREEZE)", rows, size=1 << 20
            )


def encoded_block(network: Network, block: int) -> bytes:
    """One block of the feed in PostgreSQL's binary COPY format."""
    return encode_feed(network.feed(block), network)


def encode_feed(rows: FeedRows, network: Network) -> bytes:
    """Feed rows in PostgreSQL's binary COPY format, complete with header and trailer."""
    origin = datetime.fromisoformat(network.truth.origin) - POSTGRES_EPOCH
    table = np.zeros(len(rows), dtype=FEED_ROW)
    table["fields"] = 5
    for length, size in (("l0", 8), ("l1", 4), ("l2", 4), ("l3", 4), ("l4", 4)):
        table[length] = size
    table["timestamp"] = (rows.at + round(origin.total_seconds())) * 1_000_000
    table["user_id"] = network.users[USER_ID].to_numpy()[rows.user]
    table["post_id"] = network.posts[POST_ID].to_numpy()[rows.post]
    table["action"] = np.where(rows.is_like, LIKE.encode(), VIEW.encode())
    table["target"] = rows.target
    return COPY_HEADER + table.tobytes() + COPY_TRAILER
