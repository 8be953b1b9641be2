"""Log of the demo's network, straight into log files: for networks that no database here holds.

    python -m benchmarks.scale.large_log        (in a checkout; parameters are those of its demo)

Blocks of users are simulated side by side, sorted into buckets on disk, and each bucket is written
as an extract would.
"""

from __future__ import annotations

import argparse
import shutil
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from feedrank.demo.simulation import Network
from feedrank.engines.engine import map_parts
from feedrank.extraction.source_state import buckets_for
from feedrank.log.files import write_bucket, write_meta
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import LogMeta, bucket_bounds
from feedrank.params import load_params

BLOCKS_A_PART = 48  # some 5 million rows in memory
ROW = np.dtype([("user", "<u4"), ("post", "<u4"), ("at", "<u4"), ("liked", "u1")])
Sizes = tuple[int, int, int]  # impressions, likes, last second


def main() -> None:
    """Write `data/log` and `data/truth`."""
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    params = load_params()
    network = Network.simulate(params.demo)
    log, truth = Path("data/log"), Path("data/truth")
    for directory in (log, truth):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    network.truth.save(truth)
    network.users.to_parquet(log / "users.parquet")
    network.posts.to_parquet(log / "posts.parquet")
    _write(network, log, params.extract.buckets)


def _write(network: Network, log: Path, n_buckets: int | None) -> None:
    spool = Path(mkdtemp(dir=log.parent))
    try:
        n_parts = -(-network.n_blocks // BLOCKS_A_PART)
        simulated = partial(_simulate, network, spool)
        sizes = list(map_parts(simulated, n_parts, "simulating users"))
        shown, liked, last = zip(*sizes, strict=True)
        n_rows = sum(shown)
        n_buckets = buckets_for(n_rows, n_buckets)
        bounds = bucket_bounds(len(network.users), n_buckets)
        list(map_parts(partial(_write_bucket, spool, log, n_parts, bounds), n_buckets, "buckets"))
    finally:
        shutil.rmtree(spool)
    of_log = (len(network.users), len(network.posts), n_rows, sum(liked), n_buckets)
    write_meta(log, LogMeta(network.truth.origin, max(last), *of_log, source="simulation"))


def _simulate(network: Network, spool: Path, part: int) -> Sizes:
    """Rows of some blocks to a file, by user."""
    first = part * BLOCKS_A_PART
    blocks = range(first, min(first + BLOCKS_A_PART, network.n_blocks))
    rows = Impressions.joined(network.impressions(blocks))
    rows = rows[np.argsort(rows.user, kind="stable")]
    table = np.empty(len(rows), ROW)
    for name, column in vars(rows).items():
        table[name] = column
    np.save(spool / f"{part}.npy", table)
    return len(rows), int(rows.liked.sum()), int(rows.at.max())


def _write_bucket(spool: Path, log: Path, n_parts: int, bounds: np.ndarray, bucket: int) -> None:
    parts = []
    for part in range(n_parts):
        table = np.load(spool / f"{part}.npy", mmap_mode="r")
        low, high = np.searchsorted(table["user"], bounds[bucket : bucket + 2])
        rows = np.array(table[low:high])
        parts.append(Impressions(*(np.ascontiguousarray(rows[name]) for name in ROW.names or ())))
    write_bucket(log, bucket, Impressions.joined(parts))


if __name__ == "__main__":
    main()
