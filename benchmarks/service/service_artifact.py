"""Artifact of full size, made of a small one whose users are repeated.

Histories, shared counts and the catalogue of users grow as in a network with more users of the
same kinds, so the service takes as much time and memory as at full size:

    python -m benchmarks.service.service_artifact models/artifact tmp/full/artifact
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.export import export
from feedrank.params import ExportParams
from feedrank.state.feature_store import FeatureStore
from feedrank.state.history import History

REFERENCE_USERS = 163_205  # of the reference installation


def repeated(store: FeatureStore, n_users: int) -> FeatureStore:
    """The same store of `n_users` users, each a copy of one of the old users."""
    of = np.arange(n_users) % store.meta.n_users
    history = _repeated_history(store.history, of)
    n = len(history.post)
    times = n / store.meta.n_impressions
    meta = replace(
        store.meta,
        n_users=n_users,
        n_impressions=n,
        n_likes=round(times * store.meta.n_likes),
    )
    catalogue = replace(
        store.catalogue,
        user_ids=np.arange(200, 200 + n_users, dtype=np.int64),
        codes=np.asarray(store.catalogue.codes)[of],
    )
    shared = replace(
        store.shared,
        by_post=_grown(store.shared.by_post, round(times)),
        by_column=tuple(_grown(c, round(times)) for c in store.shared.by_column),
    )
    return replace(store, meta=meta, catalogue=catalogue, shared=shared, history=history)


def _repeated_history(history: History, of: np.ndarray) -> History:
    n_shown = np.diff(history.offsets)
    n_each = n_shown[of]
    offsets = np.concatenate([[0], np.cumsum(n_each)])
    n_rounds = -(-len(of) // len(n_shown))
    liked = np.unpackbits(np.asarray(history.liked))[: len(history.post)]

    def many(values: np.ndarray) -> np.ndarray:
        return np.tile(np.asarray(values), n_rounds)[: offsets[-1]]

    return History(offsets, many(history.post), many(history.step), np.packbits(many(liked)))


def _grown(counts: Any, times: int) -> Any:
    """Counts over time with every count `times` as high."""
    grown = {
        name: np.asarray(getattr(counts, name)) * times
        for name in ("shown", "liked")
        if hasattr(counts, name)
    }
    return replace(counts, **grown)


def main() -> None:
    """Write the artifact."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("small", type=Path)
    parser.add_argument("full", type=Path)
    parser.add_argument("--users", type=int, default=REFERENCE_USERS)
    given = parser.parse_args()
    small = Artifact.load(given.small)
    with tempfile.TemporaryDirectory() as scratch:
        features = Path(scratch) / "features"
        features.mkdir()
        repeated(small.store, given.users).save(features)
        ranker = Path(scratch) / "ranker"
        ranker.mkdir()
        small.recommender.ranker.save(ranker)
        params = ExportParams(**small.manifest["recommend"])
        facts = {"metrics": small.manifest.get("metrics", {}), "repeated_from": str(given.small)}
        export(given.full, features, ranker, params, facts, seed=20, k=5)
    size = sum(p.stat().st_size for p in given.full.iterdir()) / 2**20
    print(f"{given.full}: {given.users:,} users, {size:.0f} MB")


if __name__ == "__main__":
    main()
