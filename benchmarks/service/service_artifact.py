"""Artifact of full size, made of a small one whose users, or posts, are repeated.

Histories, shared counts and the catalogue of users grow as in a network with more users of the
same kinds, so the service takes as much time and memory as at full size:

    python -m benchmarks.service.service_artifact models/artifact tmp/full/artifact

Ten times the posts, each with text and cluster of one post and the likes of another of its cluster:

    python -m benchmarks.service.service_artifact models/artifact tmp/wide/artifact --post-copies 10
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
from feedrank.state.catalogue import Texts
from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Cells
from feedrank.state.feature_store import FeatureStore
from feedrank.state.history import History
from feedrank.state.posts.refit import Refit

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


def with_copies(store: FeatureStore, n: int, seed: int = 20) -> FeatureStore:
    """The same store with `n` times the posts; nobody's history holds a copy."""
    n_old, rng = store.meta.n_posts, np.random.default_rng(seed)
    copies, numbers = np.tile(np.arange(n_old), n), np.arange(n * n_old, dtype=np.int64)
    fitted = replace(
        store.fitted,
        topic=store.fitted.topic[copies],
        refits=tuple(_with_posts(refit, copies) for refit in store.fitted.refits),
    )
    cluster = fitted.refits[-1].clusters.cluster[:n_old]
    ids = numbers + int(store.catalogue.post_ids[0])
    return replace(
        store,
        meta=replace(store.meta, n_posts=len(copies)),
        catalogue=replace(store.catalogue, post_ids=ids),
        text=Texts.of([store.text[row] for row in copies.tolist()]),
        topic=Texts.of([store.topic[row] for row in copies.tolist()]),
        fitted=fitted,
        shared=replace(store.shared, by_post=_copied(store.shared.by_post, n, n_old, cluster, rng)),
    )


def _with_posts(refit: Refit, posts: np.ndarray) -> Refit:
    clusters, factors = refit.clusters, refit.factors
    names = ("log_gate", "cluster", *(["text_quality"] if clusters.tells_quality else []))
    of_posts = {name: getattr(clusters, name)[posts] for name in names}
    factors = replace(factors, post=factors.post[posts], rate=factors.rate[:, posts])
    return replace(refit, clusters=replace(clusters, **of_posts), factors=factors)


def _copied(
    counts: StepCounts, n: int, n_posts: int, cluster: np.ndarray, rng: np.random.Generator
) -> StepCounts:
    """Counts of the posts, then of copies, each of which has those of another of its cluster."""
    by_cluster = np.argsort(cluster, kind="stable")
    of_copies = [np.arange(n_posts)]
    for _ in range(n - 1):
        mixed = np.lexsort((rng.random(n_posts), cluster))
        of_copies.append(np.empty(n_posts, np.int64))
        of_copies[-1][by_cluster] = mixed

    def cells(step: int) -> Cells:
        key, shown, liked = counts.at(step)
        segment, post = np.divmod(key.astype(np.int64), n_posts)
        keys = [
            segment * n * n_posts + number * n_posts + of_copy[post]
            for number, of_copy in enumerate(of_copies)
        ]
        order = np.argsort(np.concatenate(keys), kind="stable")
        return np.concatenate(keys)[order], np.tile(shown, n)[order], np.tile(liked, n)[order]

    return StepCounts.of(map(cells, range(counts.n_steps)), n * counts.n_keys)


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
    parser.add_argument("--post-copies", type=int, help="in place of repeated users")
    given = parser.parse_args()
    small = Artifact.load(given.small)
    with tempfile.TemporaryDirectory() as scratch:
        features = Path(scratch) / "features"
        features.mkdir()
        copies = given.post_copies
        store = repeated(small.store, given.users) if copies is None else small.store
        (store if copies is None else with_copies(store, copies)).save(features)
        ranker = Path(scratch) / "ranker"
        ranker.mkdir()
        small.recommender.ranker.save(ranker)
        params = ExportParams(**small.manifest["recommend"])
        facts = {"metrics": small.manifest.get("metrics", {}), "repeated_from": str(given.small)}
        export(given.full, features, ranker, params, facts, seed=20, k=5)
    size = sum(p.stat().st_size for p in given.full.iterdir()) / 2**20
    print(f"{given.full}: {store.meta.n_users:,} users, {size:.0f} MB")


if __name__ == "__main__":
    main()
