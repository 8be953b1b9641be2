"""Logs written by hand or simulated, without a database, and what is learned from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from feedrank.demo.simulation import Network
from feedrank.features.row_pass import training_rows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import features_of
from feedrank.learning.fit import fit_store
from feedrank.log.embeddings import EMBEDDING
from feedrank.log.files import Log, write_bucket, write_meta
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY, LogMeta
from feedrank.params import DemoParams, Params, load_params
from feedrank.ranking.rankers.ranker import Asked, Ranker
from feedrank.ranking.recommender import Recommender
from feedrank.state.feature_store import FeatureStore
from feedrank.training.fit import fit_ranker
from tests.support.network.taste_samples import likes
from tests.support.scratch import made_once, scratch

ORIGIN = "2021-10-01T00:00:00"
HOUR = 3600
DAY = SECONDS_A_DAY
DEFAULTS = load_params(Path(__file__).parents[2] / "params.yaml")
USUAL = DemoParams(kind="course", seed=7, users=300, posts=250, days=30, effect_scale=1.0)
Row = tuple[int, int, int, int]


def params(**changes: Any) -> Params:
    """The defaults on a network of seconds, with changes such as `features={"step": "1h"}`."""
    small: dict[str, dict[str, Any]] = {
        "features": {"clusters": 6, "segments": 4, "vocabulary": 100, "half_life_days": 5.0},
        "validate": {"requests": 200, "bootstrap": 100},
        "train": {"trees": 40, "min_split_gain": 1.0, "min_child_weight": 5.0, "threads": 1},
        "export": {"candidates": 60, "golden_requests": 8},
    }
    groups = {
        name: replace(getattr(DEFAULTS, name), **(values | changes.get(name, {})))
        for name, values in small.items()
    }
    return replace(DEFAULTS, **groups)


def impressions(rows: Iterable[Row]) -> Impressions:
    """Impressions from (user, post, at, liked), in that order."""
    user, post, at, liked = np.array(list(rows), dtype=np.uint32).reshape(-1, 4).T
    return Impressions(user, post, at, liked.astype(np.uint8))


def tuples(rows: Impressions) -> list[Row]:
    """(user, post, at, liked) of each impression."""
    columns = (rows.user, rows.post, rows.at, rows.liked)
    return list(zip(*(c.tolist() for c in columns), strict=True))


def users_table(n: int, **columns: Any) -> pd.DataFrame:
    """Users 10, 20, 30, ... with these profile columns."""
    return pd.DataFrame({"user_id": np.arange(1, n + 1) * 10, **columns})


def posts_table(n: int, topics: int = 3, words: bool = True) -> pd.DataFrame:
    """Posts 5, 10, 15, ...; the topics take turns, and each text says its own."""
    topic = [f"topic {i % topics}" for i in range(n)]
    text = [f"words on {t}" if words else "" for t in topic]
    return pd.DataFrame({"post_id": np.arange(1, n + 1) * 5, "text": text, "topic": topic})


def write_log(
    directory: Path,
    users: pd.DataFrame,
    posts: pd.DataFrame,
    rows: Impressions,
    buckets: int = 2,
    origin: str = ORIGIN,
) -> Log:
    """A log of these rows in a directory that may not exist yet."""
    directory.mkdir(parents=True, exist_ok=True)
    users.to_parquet(directory / "users.parquet")
    posts.to_parquet(directory / "posts.parquet")
    meta = LogMeta(
        origin=origin,
        last_at=int(rows.at.max(initial=0)),
        n_users=len(users),
        n_posts=len(posts),
        n_impressions=len(rows),
        n_likes=int(rows.liked.sum()),
        n_buckets=buckets,
        source="test",
    )
    for bucket in range(buckets):
        first, last = meta.user_range(bucket)
        write_bucket(directory, bucket, rows[(rows.user >= first) & (rows.user < last)])
    write_meta(directory, meta)
    return Log.open(directory)


def random_rows(
    n_rows: int,
    n_users: int,
    n_posts: int,
    days: float,
    seed: int = 0,
    like_rate: float = 0.2,
    sessions: int = 0,
) -> Impressions:
    """Rows of any user, post and second; posts differ by up to four times in how they are liked.

    Args:
        n_rows: impressions.
        n_users: that are shown posts.
        n_posts: that are shown.
        days: of the log, the first and the last of which hold a row.
        seed: of all draws.
        like_rate: about the share of liked rows.
        sessions: if given, rows fall into so many (user, hour) pairs.
    """
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, int(days * DAY), n_rows))
    at[0], at[-1] = 0, int(days * DAY) - 1
    user = rng.integers(0, n_users, n_rows)
    if sessions:
        begin, who = rng.integers(0, int(days * 24), sessions), rng.integers(0, n_users, sessions)
        of = np.concatenate([np.arange(sessions), rng.integers(0, sessions, n_rows - sessions)])
        at, user = begin[of] * HOUR + rng.integers(0, HOUR, n_rows), who[of]
        at[0], at[-1] = 0, int(days * DAY) - 1
    post = rng.integers(0, n_posts, n_rows)
    chance = np.clip(like_rate * np.exp(rng.uniform(-0.7, 0.7, n_posts))[post], 0, 1)
    liked = rng.random(n_rows) < chance
    columns = (user, post, at)
    return Impressions(*(c.astype(np.uint32) for c in columns), liked.astype(np.uint8))


def simulated_network(demo: DemoParams = USUAL) -> tuple[Network, Impressions]:
    """A simulated network, and its impressions."""
    network = Network.simulate(demo)
    return network, Impressions.joined(network.impressions())


@contextmanager
def workers(n: int) -> Iterator[None]:
    """That many processes; starting them takes longer than the work of most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEEDRANK_WORKERS", str(n))
        yield


def learned(log: Log, params: Params) -> tuple[FeatureStore, TrainingRows]:
    """What the features stage writes, in this process alone."""
    # Two threads take twice as long for arrays of this size, on the same bits.
    with workers(1), threadpool_limits(1):
        store = fit_store(log, params)
        return store, training_rows(log, store, params)


def fitted(store: FeatureStore, rows: TrainingRows, params: Params) -> Ranker:
    """A ranker of all rows; XGBoost's trees matter: so few rows would end their growth early."""
    if params.train.ranker == "xgboost":
        rows = replace(rows, at=np.zeros(len(rows)))
    return fit_ranker(rows, None, features_of(store.fitted), params.train, store)


@dataclass(frozen=True)
class Learned:
    """A log, and everything that is made of it."""

    log: Log
    params: Params
    store: FeatureStore
    rows: TrainingRows
    ranker: Ranker

    @property
    def factors(self) -> list[int]:
        """How many factors each refit has."""
        return [refit.factors.n_factors for refit in self.store.fitted.refits]

    @property
    def recommender(self) -> Recommender:
        """The scoring path, as the service has it."""
        return recommender_of(self)

    def probability(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Of some training rows, in one batch."""
        some = self.rows[rows]
        return self.ranker.probability(some.matrix, None, Asked.of_rows(some, self.store))

    @classmethod
    def of(cls, log: Log, params: Params) -> Learned:
        """Learn and train."""
        store, rows = learned(log, params)
        return cls(log, params, store, rows, fitted(store, rows, params))


def recommender_of(
    learned: Learned, store: FeatureStore | None = None, as_of: int | None = None, **export: Any
) -> Recommender:
    """The scoring path on a store of the same features, with changes such as `candidates=9`."""
    rules = {"candidates": learned.params.export.candidates, "exclude": "nothing", **export}
    return Recommender(store or learned.store, learned.ranker, **rules, as_of=as_of)


@made_once
def simulated(step: str = "1d", profiles: bool = True) -> Learned:
    """The simulated log of 300 users."""
    network, rows = simulated_network()
    users = network.users if profiles else network.users[["user_id"]]
    directory = scratch() / f"{step}-{profiles}"
    log = write_log(directory, users, network.posts, rows, origin=network.truth.origin)
    return Learned.of(log, params(features={"step": step, "warmup_days": 7}))


@made_once
def plugged(step: str = "1d") -> Learned:
    """The same log, learned with the own features of `plugins/features/reading.py`."""
    features = {"step": step, "warmup_days": 7, "plugins": ["reading"]}
    return Learned.of(simulated(step).log, params(features=features))


@made_once
def worded(step: str = "1d") -> Learned:
    """A log of posts whose words say which of eight like rates they have, with one cluster."""
    rows, rng = random_rows(60_000, 200, 240, 30, seed=5), np.random.default_rng(6)
    chance = 0.15 * np.geomspace(1 / 3, 3, 8)[rows.post % 8]
    rows = replace(rows, liked=(rng.random(len(rows)) < chance).astype(np.uint8))
    posts = posts_table(240, topics=1)
    posts["text"] = [f"words of kind{i % 8}" for i in range(240)]
    log = write_log(scratch() / f"worded-{step}", users_table(200), posts, rows)
    return Learned.of(log, params(features={"step": step, "warmup_days": 7, "clusters": 1}))


@made_once
def named(step: str = "1d") -> Learned:
    """A log of 300 users who like, from day 9 on, by one or two of a dozen names in texts."""
    rng = np.random.default_rng(8)
    name = rng.integers(0, 12, (2, 250))
    tastes = rng.normal(0, 0.8, (300, 12))
    sample = likes(tastes[:, name].sum(1), 100, rate=0.15, seed=9)
    at = np.sort(rng.integers(0, USUAL.days * DAY, len(sample.user)))
    mixed = rng.permutation(len(at))
    columns = (sample.user[mixed], sample.post[mixed], at)
    liked = np.where(at < 9 * DAY, rng.random(len(at)) < 0.15, sample.liked[mixed])
    rows = Impressions(*(c.astype(np.uint32) for c in columns), liked.astype(np.uint8))
    posts = posts_table(250)
    posts["text"] = [f"words of name{a} and name{b}" for a, b in name.T]
    log = write_log(scratch() / f"{step}-names", users_table(300), posts, rows)
    features = {"step": step, "warmup_days": 7, "clusters": 2, "factors": 0}
    return Learned.of(log, params(features=features))


@made_once
def tasteful(step: str = "1d") -> Learned:
    """A log of 300 users whose tastes no profile tells, so that its refits have factors.

    Some of them have a moment, a day of the log.
    """
    rng = np.random.default_rng(3)
    tastes = rng.normal(size=(300, 2)) @ rng.normal(0, 0.7, (2, 250))
    sample = likes(tastes, 300, rate=0.2, seed=4)
    at = np.sort(rng.integers(0, USUAL.days * DAY, len(sample.user)))
    mixed = rng.permutation(len(at))
    columns = (sample.user[mixed], sample.post[mixed], at)
    rows = Impressions(
        *(c.astype(np.uint32) for c in columns), sample.liked[mixed].astype(np.uint8)
    )
    joined = np.datetime64(ORIGIN, "s") + DAY * np.arange(300) % (USUAL.days * DAY)
    joined[::7] = np.datetime64("NaT")
    users = users_table(300, joined=joined)
    log = write_log(scratch() / f"{step}-tastes", users, posts_table(250), rows)
    return Learned.of(log, params(features={"step": step, "warmup_days": 7}))


@made_once
def divided(step: str = "1d") -> Learned:
    """A log of 300 users who like by side and, less, by age, from day 9 on, as a refit finds."""
    rng = np.random.default_rng(5)
    side, age = rng.integers(0, 2, 300), rng.integers(20, 60, 300)
    rows = random_rows(40_000, 300, 250, USUAL.days, seed=6)
    is_own = rows.post % 2 == side[rows.user]
    is_of_age = rows.post // 2 % 2 == (age >= 40)[rows.user]
    after = np.where(is_own, 0.4, 0.08) * np.where(is_of_age, 2, 0.5)
    liked = rng.random(len(rows)) < np.where(rows.at < 9 * DAY, 0.2, after)
    liked = liked.astype(np.uint8)
    city = rng.integers(0, 3, 300).astype(str)
    users = users_table(300, city=city, side=side.astype(str), age=age)
    log = write_log(
        scratch() / f"{step}-sides", users, posts_table(250), replace(rows, liked=liked)
    )
    return Learned.of(log, params(features={"step": step, "warmup_days": 7}))


@made_once
def ranked(step: str = "1d", ranker: str = "again:LikedAgain") -> Learned:
    """The log of tastes with another ranker: the one of `plugins/rankers`, or a shipped one."""
    of = tasteful(step)
    params = replace(of.params, train=replace(of.params.train, ranker=ranker))
    return replace(of, params=params, ranker=fitted(of.store, of.rows, params))


@made_once
def pictured(step: str = "1d") -> Learned:
    """The log of tastes; vectors, of which every tenth post has none, tell them, words nothing."""
    of = tasteful(step)
    rng = np.random.default_rng(3)
    rng.normal(size=(300, 2))
    of_posts = rng.normal(0, 0.7, (2, 250)).T  # as `tasteful` draws them
    vectors = np.hstack([of_posts, rng.normal(0, 0.3, (250, 6))]).astype(np.float32)
    posts = posts_table(250, words=False)
    posts[EMBEDDING] = [None if i % 10 == 0 else v for i, v in enumerate(vectors)]
    rows = Impressions.joined(of.log.buckets()).sorted()
    log = write_log(scratch() / f"{step}-pictures", of.log.users, posts, rows)
    return Learned.of(log, of.params)


def different_files(first: Path, second: Path) -> list[str]:
    """Names of files that two directories do not share byte for byte."""
    names = {p.name for d in (first, second) for p in d.iterdir()}
    return sorted(
        n
        for n in names
        if not ((first / n).exists() and (second / n).exists())
        or (first / n).read_bytes() != (second / n).read_bytes()
    )


def saved(learned: Learned, directory: Path) -> tuple[Path, Path]:
    """Directories of the store and of the ranker, as the stages leave them."""
    for name in ("features", "ranker"):
        (directory / name).mkdir(parents=True)
    learned.store.save(directory / "features")
    learned.ranker.save(directory / "ranker")
    return directory / "features", directory / "ranker"
