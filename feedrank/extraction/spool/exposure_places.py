"""Exposure places: the posts of returned lists, by bucket, and the impressions that are of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from feedrank.errors import SchemaError
from feedrank.extraction.spool.exposure_lists import Lists, read_lists
from feedrank.extraction.spool.exposure_source import ExposureFile
from feedrank.log.impressions import Impressions, LoggedExposures
from feedrank.log.metadata import SECONDS_A_DAY

PLACE = np.dtype([("key", "<u8"), ("propensity", "<f4"), ("policy", "<u2")])


@dataclass(frozen=True)
class PairKeys:
    """Whole numbers that sort pairs of a bucket's user and a post, and moments within each pair.

    A window lies before the first second of each pair, so that two keys at most a window apart, the
    later one within the log, are of one pair. They fit into 64 bits, since `Packing` fits into 63
    and the window is no longer than a log, whose shortest is a day.

    Attributes:
        n_posts: of the log.
        seconds: of the log, from the encoder's first midnight.
        window: seconds after a list in which an impression is of it.
    """

    n_posts: int
    seconds: int
    window: int

    def of(self, user: np.ndarray, post: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Keys, uint64, shape (n,), of users counted from the bucket's first."""
        key = user.astype(np.uint64) * np.uint64(self.n_posts) + post.astype(np.uint64)
        later = (at.astype(np.int64) + self.window).astype(np.uint64)
        return key * np.uint64(self.seconds + self.window) + later

    def are_within(self, at: np.ndarray) -> np.ndarray:
        """Whether an impression of the log may be of a list served at these seconds."""
        return (at >= -self.window) & (at < self.seconds)


@dataclass
class ExposureCounts:
    """Lists and their places, each counted once.

    Attributes:
        lists: returned lists.
        places: posts of these lists.
        unknown: places of users or posts that the log lacks.
        outside: other places, served at a moment that the log does not cover.
    """

    lists: int = 0
    places: int = 0
    unknown: int = 0
    outside: int = 0

    @property
    def kept(self) -> int:
        """Places that an impression may be of."""
        return self.places - self.unknown - self.outside


@dataclass
class ExposurePlaces:
    """Places of all lists, in files of a directory, sorted by bucket.

    Attributes:
        directory: of the files, and of the lists that are kept for the next extract.
        keys: of the log.
        bounds: first user of each bucket, and the number of users.
        policies: that made the lists, sorted.
        counts: of the lists.
    """

    directory: Path
    keys: PairKeys
    bounds: np.ndarray
    policies: tuple[str, ...] = ()
    counts: ExposureCounts = field(default_factory=ExposureCounts)
    _files: list[tuple[Path, np.ndarray]] = field(default_factory=list)
    _found: dict[str, int] = field(default_factory=dict)

    def read(
        self,
        source: list[ExposureFile],
        user_ids: pd.Series,
        post_ids: pd.Series,
        first_day: int,
    ) -> ExposurePlaces:
        """Itself, with the lists of exposure files, some thousands at a time.

        Args:
            source: the files; raises `SchemaError` if one holds a broken line.
            user_ids: of the log's users, in order.
            post_ids: of its posts.
            first_day: days from 2000-01-01 to the midnight that packed times count from.
        """
        self.clear()
        self._places.mkdir(parents=True)
        users, posts = _Rows(user_ids), _Rows(post_ids)
        for lists in read_lists(source, self.directory / "lists"):
            self._add(lists, users, posts, first_day * SECONDS_A_DAY)
        self.policies = tuple(sorted(self._found))
        if len(self.policies) > np.iinfo(np.uint16).max:
            raise SchemaError(
                f"exposures are of {len(self.policies)} policies; 65,535 can be told apart. "
                "Remove the oldest files."
            )
        return self

    def bucket(self, number: int, since: int) -> BucketPlaces:
        """Places of one bucket, of a log whose origin is a packed second."""
        # Without a header, which numpy reads by `ast`: not safe in two threads on Python 3.11.
        parts = []
        for path, edges in self._files:
            first, last = edges[number : number + 2].tolist()
            parts.append(np.fromfile(path, PLACE, last - first, offset=first * PLACE.itemsize))
        places = np.concatenate([np.empty(0, PLACE), *parts])
        rank = np.searchsorted(self.policies, ["", *self._found]) + 1
        places["policy"] = rank[places["policy"]]
        # An impression is of the last: of two lists of one second, that of the smaller propensity.
        order = np.lexsort((places["policy"], -places["propensity"], places["key"]))
        return BucketPlaces(self.keys, int(self.bounds[number]), since, places[order])

    def clear(self) -> None:
        """Remove the places; the lists are kept."""
        shutil.rmtree(self._places, ignore_errors=True)

    @property
    def _places(self) -> Path:
        return self.directory / "places"

    def _add(self, lists: Lists, users: _Rows, posts: _Rows, since: int) -> None:
        n = lists.n_places
        user, post = np.repeat(users.find(lists.user_id), n), posts.find(lists.post_id)
        at = np.repeat(lists.at - since, n)
        is_known, is_within = (user >= 0) & (post >= 0), self.keys.are_within(at)
        self.counts.lists += len(n)
        self.counts.places += len(post)
        self.counts.unknown += int((~is_known).sum())
        self.counts.outside += int((is_known & ~is_within).sum())
        kept = is_known & is_within
        found = self._found
        number = [found.setdefault(name, len(found) + 1) for name in lists.policies.tolist()]
        bucket = np.searchsorted(self.bounds, user[kept], side="right") - 1
        places = np.empty(len(bucket), PLACE)
        places["key"] = self.keys.of(user[kept] - self.bounds[bucket], post[kept], at[kept])
        places["propensity"] = lists.propensity[kept]
        places["policy"] = np.repeat(np.array(number)[lists.policy], n)[kept]
        path = self._places / f"{len(self._files):06}"
        places[np.argsort(bucket, kind="stable")].tofile(path)
        edges = np.searchsorted(np.sort(bucket), np.arange(len(self.bounds)))
        self._files.append((path, edges))


class BucketPlaces:
    """Places of one bucket, for its impressions.

    Args:
        keys: of the log.
        first_user: of the bucket.
        since: packed second of the log's origin.
        places: sorted, of dtype PLACE.
    """

    def __init__(self, keys: PairKeys, first_user: int, since: int, places: np.ndarray) -> None:
        self._keys, self._first_user, self._since, self._places = keys, first_user, since, places
        self._is_met = np.zeros(len(places), dtype=bool)
        self.n_impressions = 0

    @property
    def n_met(self) -> int:
        """Places that an impression is of."""
        return int(self._is_met.sum())

    def __call__(self, rows: Impressions) -> LoggedExposures:
        """Of each impression the last list that held its post, at most a window before it."""
        found = LoggedExposures.none(len(rows))
        if not len(self._places):
            return found
        shown = self._keys.of(
            rows.user - self._first_user, rows.post, rows.at + np.int64(self._since)
        )
        last = np.searchsorted(self._places["key"], shown, side="right") - 1
        gap = shown - self._places["key"][last]
        of_a_list = np.flatnonzero((last >= 0) & (gap <= np.uint64(self._keys.window)))
        place = last[of_a_list]
        found.propensity[of_a_list] = self._places["propensity"][place]
        found.policy[of_a_list] = self._places["policy"][place]
        self._is_met[place] = True
        self.n_impressions += len(place)
        return found


class _Rows:
    """Rows of ids in a table, of whole numbers or text."""

    def __init__(self, ids: pd.Series) -> None:
        self._is_text = not pd.api.types.is_integer_dtype(ids)
        self._index = pd.Index(ids)

    def find(self, ids: np.ndarray) -> np.ndarray:
        """Row of each id, -1 where there is none."""
        if self._is_text:
            return np.asarray(self._index.get_indexer(pd.Index(ids.astype(np.str_), dtype=object)))
        if ids.dtype.kind == "U":  # among them one that is text
            numbers = [int(i) if i.removeprefix("-").isdecimal() else i for i in ids.tolist()]
            return np.asarray(self._index.get_indexer(pd.Index(numbers, dtype=object)))
        return np.asarray(self._index.get_indexer(pd.Index(ids)))
