"""Notebook: an artifact and a log as pandas tables, by the ids and moments of the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from os import PathLike

import numpy as np
import pandas as pd

from feedrank.artifact.arguments import folder, length, moment, one_id
from feedrank.artifact.artifact import Artifact
from feedrank.artifact.checks.training_rows import check_rows
from feedrank.errors import SchemaError
from feedrank.features.row_files import load_rows
from feedrank.features.rows import EVER
from feedrank.log.files import Log
from feedrank.ranking.explanations import explain
from feedrank.ranking.recommender import Ranked, UnknownUserError
from feedrank.ranking.similarity import similar_posts
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID
from feedrank.state.catalogue import Catalogue, Id, plain_ids


def load(artifact: str | PathLike[str] = "models/artifact") -> Notebook:
    """An artifact as tables; raises `ArtifactError` if it is missing or refused."""
    return Notebook(Artifact.load(folder(artifact)))


def read_log(directory: str | PathLike[str] = "data/log") -> pd.DataFrame:
    """All impressions of an extracted log: user, post, moment, liked; by user, in order of time.

    It takes 40 bytes an impression; `feedrank.log.files.Log` reads bucket by bucket.

    Raises:
        SchemaError: the directory holds no log.
    """
    log = Log.open(folder(directory))
    users, posts = log.users[USER_ID].to_numpy(), log.posts[POST_ID].to_numpy()
    origin = np.datetime64(log.meta.origin_at, "s")
    buckets = (
        pd.DataFrame(
            {
                USER_ID: users[rows.user],
                POST_ID: posts[rows.post],
                "at": origin + rows.at.astype("timedelta64[s]"),
                "liked": rows.liked.astype(bool),
            }
        )
        for rows in log.buckets()
    )
    return pd.concat(buckets, ignore_index=True)


class Notebook:
    """Answers of one artifact as tables.

    A moment `at` is a `datetime`, a naive one on the log's clock; None is the end of the log. `k`
    is a whole number from 1 on. Anything else is a `TypeError` or `ValueError` that says so.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self._recommender = artifact.recommender
        self._catalogue: Catalogue = artifact.store.catalogue
        self._meta = artifact.store.meta

    def __repr__(self) -> str:
        users, posts = len(self._catalogue.user_ids), len(self._catalogue.post_ids)
        of = f"artifact {self.artifact.version}, {users:,} users, {posts:,} posts"
        return f"<feedrank: {of}, until {self.artifact.as_of}>"

    @property
    def users(self) -> pd.DataFrame:
        """Profile of each user in words, one column for each coded one, by user id."""
        codes, columns = self._catalogue.codes, self.artifact.store.columns
        words = {
            column.name: [column.label(code) for code in codes[:, i].tolist()]
            for i, column in enumerate(columns)
        }
        index = pd.Index(plain_ids(self._catalogue.user_ids), name=USER_ID)
        return pd.DataFrame(words, index=index)

    @property
    def posts(self) -> pd.DataFrame:
        """Topic, cluster (of the last refit) and text of each post, by post id."""
        store = self.artifact.store
        rows = range(len(self._catalogue.post_ids))
        return pd.DataFrame(
            {
                TOPIC: [store.topic[row] for row in rows],
                "cluster": store.fitted.refits[-1].clusters.cluster,
                TEXT: [store.text[row] for row in rows],
            },
            index=pd.Index(plain_ids(self._catalogue.post_ids), name=POST_ID),
        )

    def recommend(
        self, users: Id | Sequence[Id], at: datetime | None = None, k: int = 5
    ) -> pd.DataFrame:
        """The `k` best posts of one user or several, best first, with probability and topic.

        Without a user it has no row; with fewer than `k` candidates a list is shorter.

        Raises:
            UnknownUserError: nobody of an id is in the catalogue.
        """
        ids = np.atleast_1d(users).tolist()
        rows = np.array([self._user_row(user) for user in ids], np.int64)
        at_each = np.full(len(rows), self._seconds(at))
        lists = self._recommender.rank_many(rows, at_each, length(k))
        nothing = self._list(0, Ranked(np.zeros(0, np.int64), np.zeros(0, np.float32), 0))
        return pd.concat([*map(self._list, ids, lists)] or [nothing], ignore_index=True)

    def similar(self, post: Id, k: int = 5) -> pd.DataFrame:
        """The `k` posts that are most alike to users' tastes, as of the end of the log.

        Raises:
            KeyError: no post of this id is in the catalogue.
        """
        (row,) = self._post_rows([post])
        open_posts = self._catalogue.open_posts(self._seconds(None))
        found, similarity = similar_posts(self.artifact.store, int(row), length(k), open_posts)
        return pd.DataFrame(
            {
                POST_ID: plain_ids(self._catalogue.post_ids[found]),
                "similarity": similarity,
                TOPIC: [self.artifact.store.topic[row] for row in found.tolist()],
            }
        )

    def score(self, user: Id, posts: Sequence[Id], at: datetime | None = None) -> pd.Series[float]:
        """Probability of a like of each post, by post id; raises as `matrix`."""
        rows = self._post_rows(posts)
        found = self._recommender.score(self._user_row(user), self._seconds(at), rows)
        return pd.Series(found, index=pd.Index(posts, name=POST_ID), name="probability")

    def matrix(self, user: Id, posts: Sequence[Id], at: datetime | None = None) -> pd.DataFrame:
        """Features of a user and posts, one row a post, one named column a feature.

        Raises:
            UnknownUserError: nobody of this id is in the catalogue.
            KeyError: no post of an id is.
        """
        rows = self._post_rows(posts)
        found = self._recommender.matrix(self._user_row(user), self._seconds(at), rows)
        return pd.DataFrame(found, pd.Index(posts, name=POST_ID), self._feature_names)

    def explain(self, user: Id, at: datetime | None = None, k: int = 5) -> pd.DataFrame:
        """What each feature adds to the log-odds of each listed post, the largest effect first.

        One row a post and feature: post id, feature, value, effect, words.
        """
        row, second = self._user_row(user), self._seconds(at)
        ranked = self._recommender.rank(row, second, length(k))
        reasons = explain(self._recommender, row, second, ranked)
        n_posts, n_features = reasons.effects.shape
        ids = plain_ids(self._catalogue.post_ids[ranked.post])
        table = pd.DataFrame(
            {
                POST_ID: np.repeat(np.array(ids), n_features),
                "feature": list(reasons.names) * n_posts,
                "value": reasons.values.ravel(),
                "effect": reasons.effects.ravel(),
                "words": list(reasons.words) * n_posts,
                "place": np.repeat(np.arange(n_posts), n_features),
                "size": -np.abs(reasons.effects).ravel(),
            }
        )
        table = table.sort_values(["place", "size"], kind="stable", ignore_index=True)
        return table.drop(columns=["place", "size"])

    def history(self, user: Id, at: datetime | None = None) -> pd.DataFrame:
        """Impressions of a user before the step of a moment: post, begin of its step, liked."""
        step = self._recommender.step(self._seconds(at))
        post, steps, liked = self.artifact.store.history.before(self._user_row(user), step)
        seconds = steps.astype(np.int64) * self.artifact.store.fitted.step_seconds
        return pd.DataFrame(
            {
                POST_ID: plain_ids(self._catalogue.post_ids[post]),
                "step": np.datetime64(self._meta.origin_at, "s") + seconds.astype("m8[s]"),
                "liked": liked.astype(bool),
                TOPIC: [self.artifact.store.topic[row] for row in post.tolist()],
            }
        )

    def training_frame(self, directory: str | PathLike[str] = "data/rows") -> pd.DataFrame:
        """Training rows of the log that the artifact was made of: features, label, ids, moment.

        Of rows in files it holds the sample that fits into memory.

        Raises:
            SchemaError: the directory holds no training rows, or those of another run.
        """
        try:
            rows = load_rows(folder(directory)).between(0, EVER)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SchemaError(
                f"'{directory}' holds no training rows. Run `dvc repro features` first."
            ) from error
        check_rows(rows, self._recommender)
        frame = pd.DataFrame(np.asarray(rows.matrix), columns=self._feature_names)
        origin = np.datetime64(self._meta.origin_at, "s")
        labels = {
            USER_ID: np.array(plain_ids(self._catalogue.user_ids))[np.asarray(rows.user)],
            POST_ID: np.array(plain_ids(self._catalogue.post_ids))[np.asarray(rows.post)],
            "at": origin + np.asarray(rows.at).astype("m8[s]"),
            "liked": np.asarray(rows.liked).astype(bool),
        }
        return frame.assign(**labels)

    @property
    def _feature_names(self) -> list[str]:
        return [feature.name for feature in self._recommender.features]

    def _list(self, user: Id, ranked: Ranked) -> pd.DataFrame:
        return pd.DataFrame(
            {
                USER_ID: user,
                "place": np.arange(1, len(ranked.post) + 1),
                POST_ID: plain_ids(self._catalogue.post_ids[ranked.post]),
                "probability": ranked.probability,
                TOPIC: [self.artifact.store.topic[row] for row in ranked.post.tolist()],
            }
        )

    def _seconds(self, at: datetime | None) -> int:
        if at is None:
            step_seconds = self.artifact.store.fitted.step_seconds
            return self.artifact.store.shared.n_steps * step_seconds
        return self._meta.seconds(self._meta.local(moment(at)))

    def _user_row(self, user: Id) -> int:
        row = self._catalogue.user(one_id(user))
        if row < 0:
            raise UnknownUserError(f"there is no user {user!r}")
        return row

    def _post_rows(self, posts: Sequence[Id]) -> np.ndarray:
        if np.ndim(posts) != 1:
            raise TypeError(f"name posts by a list of ids, not by {posts!r}")
        rows = []
        for post in posts:
            rows.append(self._catalogue.post(one_id(post)))
            if rows[-1] < 0:
                raise KeyError(f"there is no post {post!r}")
        return np.array(rows, np.int64)
