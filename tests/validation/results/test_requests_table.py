from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from feedrank.errors import SchemaError
from feedrank.validation.replay.replay import ReplayResult
from feedrank.validation.results.requests_table import (
    list_checksums,
    outcome_checksums,
    read_requests,
    write_requests,
)
from tests.support.request_tables import hits_table


def test_a_list_is_known_by_its_posts_not_by_their_order() -> None:
    ids = np.array([10, 20, 30, 40])
    same, other = np.array([[3, 0, 1], [1, 3, 0]]), np.array([[3, 0, 2], [3, 0, -1]])
    assert len(set(list_checksums(ids, same))) == 1
    assert len({*list_checksums(ids, same), *list_checksums(ids, other)}) == 3
    # By ids, not by rows: a post that is added before them moves the rows.
    assert list_checksums(ids[1:], np.array([[2, 0]])) == list_checksums(ids, np.array([[1, 3]]))


def _outcomes(
    shown: list[list[int]], liked: list[list[int]], ids: np.ndarray | None = None
) -> list[int]:
    post = np.array([p for request in shown for p in request], np.int64)
    request = np.repeat(np.arange(len(shown)), [len(r) for r in shown])
    flags = [p in liked[i] for i, of in enumerate(shown) for p in of]
    replayed = SimpleNamespace(
        user=np.arange(len(shown)),
        shown_post=post,
        shown_request=request,
        shown_liked=np.array(flags, bool),
    )
    ids = np.arange(0, 50, 10) if ids is None else ids
    return outcome_checksums(ids, cast(ReplayResult, replayed)).tolist()


def test_outcomes_are_known_by_the_posts_shown_and_liked() -> None:
    usual = _outcomes([[0, 1, 2], [1, 2]], [[1], []])
    assert usual == _outcomes([[0, 1, 2], [1, 2]], [[1], []])
    for shown, liked in (
        ([[0, 1, 3], [1, 3]], [[1], []]),  # another post was shown
        ([[0, 1, 2], [1, 2]], [[2], [1]]),  # another post was liked
        ([[0, 1], [2, 1, 2]], [[1], []]),  # the same posts in other requests
    ):
        assert not set(usual) & set(_outcomes(shown, liked))
    # By ids, not by rows: a post that is added before them moves the rows.
    assert usual == _outcomes([[1, 2, 3], [2, 3]], [[2], []], np.array([-5, 0, 10, 20]))


def test_the_table_comes_back_and_repeats_to_the_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_requests(tmp_path / name, hits_table())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = read_requests((tmp_path / "a").read_bytes(), "a")
    pd.testing.assert_frame_equal(back, hits_table(), check_dtype=False)


def test_what_is_no_table_of_requests_is_refused() -> None:
    with pytest.raises(SchemaError, match="'x' is not a table"):
        read_requests(b"something", "x")


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    write_requests(tmp_path / "a", hits_table())
    content = (tmp_path / "a").read_bytes()
    for damaged in (content[:200] + b"x" * 400 + content[600:], content[:-9] + b"PAR1", b""):
        with pytest.raises(SchemaError, match="'x' is not a table"):
            read_requests(damaged, "x")
    write_requests(tmp_path / "a", hits_table().assign(**{"feedrank/shown@5": "high"}))
    with pytest.raises(SchemaError, match=r"columns \['feedrank/shown@5'\] of 'x' hold no numbers"):
        read_requests((tmp_path / "a").read_bytes(), "x")
