"""Vocabulary: the design of a post that came after the fit, without the library that fits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from feedrank.state.posts.embedding_axes import NO_AXES, EmbeddingAxes

WORD = re.compile(r"\b\w\w+\b")  # as scikit-learn's TfidfVectorizer


@dataclass(frozen=True)
class Vocabulary:
    """Words by which texts differ; a design has the topics' columns, a constant, these, and axes.

    Attributes:
        n_topics: that have a column.
        words: in the order of their columns.
        idf: inverse document frequency of each, float64, shape (n_words,).
        axes: of embeddings.
    """

    n_topics: int
    words: tuple[str, ...]
    idf: np.ndarray
    axes: EmbeddingAxes = NO_AXES

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {word: column for column, word in enumerate(self.words)}

    def design(self, text: str, topic: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns that are not 0 of a design without embedding, ascending, and their values.

        Words weigh `(1 + log(count)) * idf`, over the Euclidean norm; others than known ones weigh
        nothing.

        Args:
            text: of the post.
            topic: its code; one that no post had at the fit has no column.
        """
        words = [self._columns[w] for w in WORD.findall(text.lower()) if w in self._columns]
        column, count = np.unique(np.array(words, np.int64), return_counts=True)
        weight = (1 + np.log(count)) * self.idf[column]
        if len(weight):
            weight = weight / np.sqrt((weight**2).sum())
        fixed = [self.n_topics] if topic >= self.n_topics else [topic, self.n_topics]
        columns = np.concatenate([fixed, self.n_topics + 1 + column]).astype(np.int64)
        return columns, np.concatenate([np.ones(len(fixed)), weight])

    def times(
        self, text: str, topic: int, embedding: np.ndarray | None, table: np.ndarray
    ) -> np.ndarray:
        """A post's design times a table with a row for each of its columns, shape (d,)."""
        columns, values = self.design(text, topic)
        found = values @ table[columns]
        if embedding is not None:
            found = found + self.axes.components(embedding) @ table[len(table) - self.n_axes :]
        return np.asarray(found)

    @property
    def n_axes(self) -> int:
        """Axes of embeddings."""
        return self.axes.axes.shape[1]
