"""Embeddings: a vector of each post, all of one width, from a column of the posts or a file."""

from __future__ import annotations

import json
import logging
import zlib
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd

from feedrank.errors import SchemaError

EMBEDDING = "embedding"  # column of the log's posts, and of a file
FILE_ID = "post_id"
UNREADABLE = (OSError, KeyError, TypeError, ValueError, EOFError, BadZipFile, zlib.error)
NO_VECTOR = np.zeros(0, np.float32)
logger = logging.getLogger(__name__)


def embedding_file(name: str | None) -> Path | None:
    """The file that `source.embedding` names; None where it names a column or nothing."""
    return Path(name) if name is not None and name.endswith((".parquet", ".npz")) else None


def embedding_column(name: str | None) -> str | None:
    """The column that `source.embedding` names; None where it names a file or nothing."""
    return name if embedding_file(name) is None else None


def vector_of(numbers: object) -> np.ndarray:
    """A vector of a list of numbers or its JSON, float32; empty for anything else."""
    try:
        listed = json.loads(numbers) if isinstance(numbers, str) else numbers
        with np.errstate(over="ignore"):  # infinite then, which is no number either
            found = np.asarray(listed, np.float64).astype(np.float32)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return NO_VECTOR
    return found if found.ndim == 1 and np.isfinite(found).all() else NO_VECTOR


def read_vectors(path: Path, ids: pd.Series) -> pd.Series:
    """Vectors of a file in the order of some post ids, None for a post that it lacks.

    Args:
        path: Parquet with columns, or `.npz` with arrays, `post_id` and `embedding`.
        ids: of the posts.

    Raises:
        SchemaError: the file is missing, is none of these, or holds an id twice.
    """
    try:
        if path.suffix == ".npz":
            with ZipFile(path), np.load(path) as arrays:  # any other array is no zip
                found = pd.Series(list(arrays[EMBEDDING]), arrays[FILE_ID], dtype=object)
        else:
            found = pd.read_parquet(path, columns=[FILE_ID, EMBEDDING]).set_index(FILE_ID)[
                EMBEDDING
            ]
    except UNREADABLE as error:
        raise SchemaError(
            f"'source.embedding' names the file '{path}', which cannot be read ({error}). Write "
            f"Parquet or .npz with '{FILE_ID}' and '{EMBEDDING}', a vector for each post."
        ) from error
    if not found.index.is_unique:
        twice = found.index[found.index.duplicated()][:5].tolist()
        raise SchemaError(f"'{path}' holds post ids twice, such as {twice}. Keep one of each.")
    given = {post: vector_of(v) for post, v in found.items() if v is not None}
    return pd.Series([given.get(post) for post in ids.tolist()], ids.index, dtype=object)


def check_vectors(ids: pd.Series, vectors: pd.Series, where: str) -> None:
    """Check the embeddings of all posts, None for none, and say how many lack one.

    Raises:
        SchemaError: no post has one, one is no vector of finite numbers, or widths differ.
    """
    given = vectors.dropna()
    width, post = given.map(len).to_numpy(), ids[given.index].to_numpy()
    if given.empty:
        raise SchemaError(
            f"no post has an embedding by {where}. Fill it, or set 'source.embedding' to null."
        )
    if not width.all():
        wrong = post[width == 0][:5].tolist()
        raise SchemaError(
            f"{where} must hold vectors of finite numbers, and does not for posts such as {wrong}. "
            "Mend them, or make them NULL: their words alone place them then."
        )
    if width.min() < width.max():
        narrow, wide = post[[width.argmin(), width.argmax()]].tolist()
        raise SchemaError(
            f"{where} must hold vectors of one width, but post {narrow!r} has {width.min()} "
            f"numbers and post {wide!r} has {width.max()}. Compute all by one model."
        )
    logger.info(
        f"extract: embeddings of {width[0]} numbers by {where}; {len(given):,} of "
        f"{len(ids):,} posts have one, words alone place the others."
    )


def embeddings_of(posts: pd.DataFrame) -> np.ndarray:
    """Embeddings of a log's posts, float32, NaN where one has none, shape (n_posts, width).

    The width is 0 where the source names none.
    """
    given = posts[EMBEDDING].dropna() if EMBEDDING in posts else pd.Series(dtype=object)
    width = 0 if given.empty else len(given.iloc[0])
    vectors = np.full((len(posts), width), np.nan, np.float32)
    if width:
        vectors[given.index] = np.stack(given.tolist())
    return vectors
