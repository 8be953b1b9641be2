"""Refit: what is fitted to posts and users whenever the log has grown by 40 %, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from feedrank.state.posts.clusters import PostClusters, array_names
from feedrank.state.posts.factors import Factors
from feedrank.state.posts.taste_words import TasteWords

FACTOR_ARRAYS = ("post", "rate", "of_text")
WORD_ARRAYS = ("of_post", "strength", "column")


@dataclass(frozen=True)
class Strengths:
    """Prior strengths in expected likes (`feedrank.learning.prior_strengths` fits them).

    Attributes:
        user: of a user's like rate.
        user_cluster: of a user's ratio in a cluster, the user's like rate apart.
        user_topic: of a user's ratio in a topic, the user's like rate apart.
        segment_post: of a segment's ratio for a post, cluster and quality apart.
        trend: of a post's recent likes over its previous ones.
        columns: of the ratios of each profile column's codes in a cluster, segments apart.
    """

    user: float
    user_cluster: float
    user_topic: float
    segment_post: float
    trend: float
    columns: tuple[float, ...]


@dataclass(frozen=True)
class Refit:
    """Parameters fitted on everything before a step, which hold until the next refit.

    Attributes:
        first_step: of the refit.
        clusters: of posts.
        factors: of posts.
        words: taste words of posts.
        strengths: prior strengths.
        topic_ratio: log ratio of each topic's likes by context (`topic_contexts`), 0 for topics
            that came later, shape (n_contexts, n_topics + 1).
    """

    first_step: int
    clusters: PostClusters
    factors: Factors
    words: TasteWords
    strengths: Strengths
    topic_ratio: np.ndarray

    def about(self) -> dict[str, Any]:
        """Its numbers, for JSON."""
        return {
            "first_step": self.first_step,
            "quality_strength": self.clusters.quality_strength,
            "taste_strength": self.clusters.taste_strength,
            "strengths": vars(self.strengths),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name."""
        return {
            "topic_ratio": self.topic_ratio,
            **{n: getattr(self.clusters, n) for n in array_names(self.clusters.tells_quality)},
            **{f"factor_{name}": getattr(self.factors, name) for name in FACTOR_ARRAYS},
            **{f"word_{name}": getattr(self.words, name) for name in WORD_ARRAYS},
        }

    @classmethod
    def of(
        cls, about: dict[str, Any], array: Callable[[str], np.ndarray], tells_quality: bool
    ) -> Refit:
        """The refit of `about` and `arrays`, which are read by name.

        Args:
            about: its numbers.
            array: reads one of its arrays.
            tells_quality: whether there are those by which texts tell quality.
        """
        arrays: Any = {name: array(name) for name in array_names(tells_quality)}
        scalars: Any = {name: about[name] for name in ("quality_strength", "taste_strength")}
        factors = Factors(*(array(f"factor_{name}") for name in FACTOR_ARRAYS))
        words = TasteWords(*(array(f"word_{name}") for name in WORD_ARRAYS))
        strengths = {**about["strengths"], "columns": tuple(about["strengths"]["columns"])}
        clusters = PostClusters(**arrays, **scalars)
        fitted = (clusters, factors, words, Strengths(**strengths), array("topic_ratio"))
        return cls(about["first_step"], *fitted)
