"""Embeddings: vectors of one width by post, from texts and files; what is none is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feedrank.errors import SchemaError
from feedrank.log.embeddings import check_vectors, embeddings_of, read_vectors, vector_of


@pytest.mark.parametrize("numbers", ["[0.5,-2,1e-3]", "[0.5, -2, 0.001]", [0.5, -2, 0.001]])
def test_a_vector_is_read_from_json_or_a_list(numbers: object) -> None:
    found = vector_of(numbers)
    assert found.dtype == np.float32
    assert found.tolist() == np.array([0.5, -2, 0.001], np.float32).tolist()


@pytest.mark.parametrize(
    "numbers",
    [
        "",
        "{1,2}",
        "words",
        "7",
        "[[1, 2]]",
        "[1, null]",
        '[1, "NaN"]',
        "[1e300]",
        '{"a": 1}',
        "[]",
        f"[1{'0' * 400}]",
        "[" * 100_000,
    ],
)
def test_anything_else_is_empty(numbers: str) -> None:
    assert vector_of(numbers).tolist() == []


def _posts(*vectors: object) -> pd.DataFrame:
    ids = np.arange(len(vectors)) + 1
    of_posts = [None if v is None else vector_of(v) for v in vectors]
    return pd.DataFrame({"post_id": ids, "embedding": pd.Series(of_posts, dtype=object)})


def _check(posts: pd.DataFrame) -> None:
    check_vectors(posts["post_id"], posts["embedding"], "'e'")


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        ((None, None), r"no post has an embedding by 'e'"),
        (("[1]", "[1, null]", None), r"'e' must hold vectors of finite numbers.* \[2\]"),
        (("[1]", "[1, 2]"), r"post 1 has 1 numbers and post 2 has 2"),
    ],
)
def test_posts_with_no_vectors_of_one_width_are_refused(vectors: tuple, words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        _check(_posts(*vectors))


def test_posts_without_a_vector_are_counted_and_have_nan(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    posts = _posts("[1, 2]", None, "[3, 4]")
    _check(posts)
    assert "2 of 3 posts have one" in caplog.text
    np.testing.assert_array_equal(embeddings_of(posts), [[1, 2], [np.nan] * 2, [3, 4]])
    assert embeddings_of(posts[["post_id"]]).shape == (3, 0)


@pytest.mark.parametrize("ids", [[30, 10, 99], ["b", "a", "z"]])
@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_a_file_is_read_by_post_id(tmp_path: Path, ids: list, ending: str) -> None:
    path, vectors = tmp_path / f"v.{ending}", np.arange(6.0).reshape(3, 2)
    if ending == "npz":
        np.savez(path, post_id=np.array(ids), embedding=vectors)
    else:
        pd.DataFrame({"post_id": ids, "embedding": list(vectors)}).to_parquet(path)
    found = read_vectors(path, pd.Series([ids[1], "none", ids[0]], [7, 8, 9]))
    assert found.index.tolist() == [7, 8, 9]
    assert [None if v is None else v.tolist() for v in found] == [[2, 3], None, [0, 1]]


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path, ids = tmp_path / "v.parquet", pd.Series([1])
    with pytest.raises(SchemaError, match=r"v\.parquet', which cannot be read"):
        read_vectors(path, ids)
    pd.DataFrame({"post_id": [1, 1], "embedding": [[1.0], [2.0]]}).to_parquet(path)
    with pytest.raises(SchemaError, match=r"post ids twice, such as \[1\]"):
        read_vectors(path, ids)
    pd.DataFrame({"post_id": [1]}).to_parquet(path)
    with pytest.raises(SchemaError, match="'post_id' and 'embedding'"):
        read_vectors(path, ids)


def _whole(path: Path, save: Callable[..., None] = np.savez) -> bytes:
    save(path, post_id=np.arange(3), embedding=np.arange(6.0).reshape(3, 2))
    return path.read_bytes()


def _renamed(path: Path) -> bytes:
    np.save(path.with_suffix(".npy"), np.arange(3))
    return path.with_suffix(".npy").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: b"",
        lambda path: _whole(path)[:200],
        lambda path: _whole(path, np.savez_compressed)[:60] + bytes(40) + _whole(path)[100:],
        lambda path: _whole(path)[:-30],
        lambda path: _whole(path).replace(b"NUMPY", b"NUMPX"),
        lambda path: _whole(path)[:150] + b"damaged" + _whole(path)[157:],
        _renamed,
    ],
)
def test_a_damaged_file_of_arrays_is_named(tmp_path: Path, damage: Callable[[Path], bytes]) -> None:
    path = tmp_path / "v.npz"
    path.write_bytes(damage(path))
    with pytest.raises(SchemaError, match=r"v\.npz', which cannot be read .*Write Parquet or"):
        read_vectors(path, pd.Series([1]))
