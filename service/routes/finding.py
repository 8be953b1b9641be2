"""Search of the page: users by words of their profile, posts by words of their text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from feedrank.artifact.artifact import Artifact
from feedrank.state.catalogue import are_text
from feedrank.state.profiles import ProfileColumn

MOST_FOUND = 12  # users, and posts: what fits the page without scrolling


def users_of(artifact: Artifact, words: Sequence[str]) -> tuple[np.ndarray, int]:
    """The most active users whose profile holds every word, and how many there are in all.

    A number finds the band that holds it; any other word the values in which a word begins with it.
    After a column's name a word is sought in that column alone. A user's id finds the user.

    Args:
        artifact: that knows them.
        words: without any, nobody is found.

    Returns:
        Rows of users, most impressions first, at most `MOST_FOUND`.
    """
    store = artifact.store
    codes = np.asarray(store.catalogue.codes)
    found = np.full(len(codes), bool(words))
    ids = store.catalogue.user_ids
    ids = np.char.decode(ids) if are_text(ids) else ids.astype(str)
    for name, word in _named(words, {column.name.casefold() for column in store.columns}):
        of_word = ids == word
        for number, column in enumerate(store.columns):
            if name in ("", column.name.casefold()):
                of_word |= _matches(column, word)[codes[:, number]]
        found &= of_word
    rows = np.flatnonzero(found)
    n_shown = store.history.n_shown[rows]
    return rows[np.argsort(-n_shown, kind="stable")][:MOST_FOUND], len(rows)


def posts_of(artifact: Artifact, words: Sequence[str]) -> list[int]:
    """Rows of the first open posts in whose text or topic every word begins a word."""
    return list(islice(_posts(artifact, words), MOST_FOUND)) if words else []


def _posts(artifact: Artifact, words: Sequence[str]) -> Iterator[int]:
    store = artifact.store
    for row in store.catalogue.open_posts(store.meta.last_at).tolist():
        text = f"{store.topic[row]} {store.text[row]}"
        if all(_begins_a_word(word, text) for word in words):
            yield row


def _named(words: Sequence[str], names: set[str]) -> Iterator[tuple[str, str]]:
    """Each word, after the column's name before it; a last name is a word of its own."""
    name = ""
    for place, word in enumerate(words):
        if not name and word.casefold() in names and place < len(words) - 1:
            name = word.casefold()
        else:
            yield name, word
            name = ""


def _matches(column: ProfileColumn, word: str) -> np.ndarray:
    """Whether each code of a column answers a word, shape (n_codes,)."""
    if column.edges and _is_number(word):
        band = 1 + int(np.searchsorted(column.edges, float(word), side="left"))
        return np.arange(column.n_codes) == band
    return np.array([_begins_a_word(word, column.label(c)) for c in range(column.n_codes)])


def _is_number(word: str) -> bool:
    return word.removeprefix("-").replace(".", "", 1).isdecimal()


def _begins_a_word(word: str, text: str) -> bool:
    return f" {word.casefold()}" in f" {text.casefold()}"
