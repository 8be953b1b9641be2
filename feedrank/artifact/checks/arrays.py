"""Arrays of an artifact: the expectation of each `.npy` file, by the sizes of its feature store."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from feedrank.log.metadata import HOURS_A_DAY
from feedrank.state.posts.clusters import LEAST_TOLD, MOST_TOLD
from feedrank.state.posts.taste_words import LEAST_STRENGTH, MOST_STRENGTH
from feedrank.state.posts.topic_contexts import FIRST_CODE

INT, FLOAT, UINT = ("<i8",), ("<f8",), ("|u1", "<u2", "<u4", "<u8")
TEXT_IDS = "|S"  # and a width, which is that of the longest id
HIGHEST = 2**63 - 1


@dataclass(frozen=True)
class Array:
    """Expectation of one `.npy` file.

    Attributes:
        name: without the ending.
        types: that it may have, as `numpy.dtype.str`; TEXT_IDS for text of any width.
        shape: of numbers, and of names whose number the first array with that name sets.
        low: lowest value.
        high: highest value, or the name of the dimension that the values number.
        ends: of offsets, the name of the dimension that they divide; they rise from 0 to it.
    """

    name: str
    types: tuple[str, ...]
    shape: tuple[int | str, ...]
    low: float = 0
    high: float | str = HIGHEST
    ends: str = ""


@dataclass(frozen=True)
class Sizes:
    """Sizes that the two JSON files of a feature store agree on."""

    n_users: int
    n_posts: int
    n_steps: int
    first_steps: tuple[int, ...]
    codes: tuple[int, ...]
    segment_column: int
    segments_since: int
    n_splits: int
    hides_posts: bool
    n_moments: int
    plugins: tuple[str, ...]
    n_own_columns: int
    n_keys: tuple[int, ...]
    has_embeddings: bool
    tells_quality: tuple[bool, ...]

    @property
    def n_refits(self) -> int:
        """Refits, one a first step."""
        return len(self.first_steps)

    @property
    def n_segments(self) -> int:
        """Segments of users, once they are found."""
        return self.codes[self.segment_column] << self.n_splits if self.segment_column >= 0 else 1

    def segments_of(self, refit: int) -> int:
        """Segments that a refit knows of."""
        return self.n_segments if self.first_steps[refit] >= self.segments_since else 1


def arrays_of(sizes: Sizes) -> Iterator[Array]:
    """All arrays of an artifact of these sizes."""
    n_users, n_posts = sizes.n_users, sizes.n_posts
    lowest, codes = -HIGHEST, sizes.codes
    yield Array("catalogue_user_ids", (*INT, TEXT_IDS), (n_users,), lowest)
    yield Array("catalogue_post_ids", (*INT, TEXT_IDS), (n_posts,), lowest)
    yield Array("catalogue_codes", ("<u2",), (n_users, len(codes)))
    if sizes.hides_posts:
        yield Array("catalogue_hidden_from", INT, (n_posts,), lowest)
    if sizes.n_moments:
        yield Array("catalogue_moments", ("<i4",), (n_users, sizes.n_moments), lowest)
    for name in ("text", "topic"):
        yield Array(f"{name}_blob", ("|u1",), (f"{name}_bytes",))
        yield Array(f"{name}_offsets", INT, (n_posts + 1,), ends=f"{name}_bytes")
    yield Array("fitted_topic", INT, (n_posts,), high="posts")
    for i, n in enumerate((*codes, HOURS_A_DAY)):
        yield Array(f"fitted_encoded_{i}", FLOAT, (n,), lowest)
    for i in range(sizes.n_refits):
        yield Array(f"fitted_rate_{i}", FLOAT, (sizes.segments_of(i), "clusters"), high=1)
        yield Array(f"fitted_log_gate_{i}", FLOAT, (n_posts, "clusters"), -math.inf, 1)
        yield Array(f"fitted_topic_ratio_{i}", FLOAT, (FIRST_CODE + sum(codes), "topics"), lowest)
        yield Array(f"fitted_cluster_{i}", INT, (n_posts,), high="clusters")
        yield Array(f"fitted_factor_post_{i}", FLOAT, (n_posts, f"factors_{i}"), lowest)
        yield Array(f"fitted_factor_rate_{i}", FLOAT, (sizes.segments_of(i), n_posts), high=1)
        yield Array(f"fitted_word_of_post_{i}", UINT, (f"words_a_post_{i}", n_posts))
        strengths = (LEAST_STRENGTH, MOST_STRENGTH)
        yield Array(f"fitted_word_strength_{i}", FLOAT, (f"taste_words_{i}",), *strengths)
        yield Array(f"fitted_word_column_{i}", INT, (f"taste_words_{i}",), high="design")
        is_last = i == sizes.n_refits - 1
        for name, width in (("gate", "clusters"), ("factor_of_text", f"factors_{i}")):
            shape = ("design", width) if is_last else (0, 0)
            yield Array(f"fitted_{name}_{i}", FLOAT, shape, lowest)
        if sizes.tells_quality[i]:
            yield Array(f"fitted_text_quality_{i}", FLOAT, (n_posts,), LEAST_TOLD, MOST_TOLD)
            yield Array(f"fitted_quality_of_text_{i}", FLOAT, ("design",), lowest)
    yield Array("fitted_idf", FLOAT, ("words",), lowest)
    yield Array("fitted_words_blob", ("|u1",), ("words_bytes",))
    yield Array("fitted_words_offsets", INT, ("words_by_offset",), ends="words_bytes")
    if sizes.has_embeddings:
        yield Array("fitted_embedding_mean", FLOAT, ("embedding",), lowest)
        yield Array("fitted_embedding_axes", FLOAT, ("embedding", "axes"), lowest)
    for i in range(sizes.n_own_columns):
        yield Array(f"fitted_own_{i}", FLOAT, (n_posts,), lowest)
    keyed: dict[str, str | float] = {"by_post": "post_keys"}
    keyed |= {f"by_column_{i}": f"column_keys_{i}" for i in range(sizes.n_refits)}
    keyed |= {f"by_key_{i}": n - 1 for i, n in enumerate(sizes.n_keys)}
    for name, keys in keyed.items():
        yield Array(f"{name}_key", ("<u4",), (f"{name}_rows",), high=keys)
        yield Array(f"{name}_shown", UINT, (f"{name}_rows",))
        yield Array(f"{name}_liked", UINT, (f"{name}_rows",))
        yield Array(f"{name}_offsets", INT, (sizes.n_steps + 1,), ends=f"{name}_rows")
    yield Array("history_post", UINT, ("impressions",), high="posts")
    yield Array("history_step", UINT, ("impressions",), high="steps")
    yield Array("history_offsets", INT, (n_users + 1,), ends="impressions")
    yield Array("history_liked", ("|u1",), ("impressions_by_8",))
