"""Embedding axes: few columns of a post's design that its embedding tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EmbeddingAxes:
    """Principal axes of the posts' embeddings.

    Attributes:
        mean: of the embeddings, float64, shape (width,).
        axes: orthogonal, all of one length, float64, shape (width, n_axes).
    """

    mean: np.ndarray
    axes: np.ndarray

    def components(self, vectors: np.ndarray) -> np.ndarray:
        """Columns of vectors, shape (n, width), with NaN for none, which has 0: (n, n_axes)."""
        found = (vectors - self.mean) @ self.axes
        return np.where(np.isnan(found), 0.0, found)


NO_AXES = EmbeddingAxes(np.zeros(0), np.zeros((0, 0)))
