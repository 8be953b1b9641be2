from __future__ import annotations

import pandas as pd
import pytest

from feedrank.errors import SchemaError
from feedrank.schema import check_posts, check_users


def test_users_are_sorted_and_keep_every_column() -> None:
    users = check_users(pd.DataFrame({"age": [30, None], "user_id": [7, 3], "city": ["", None]}))
    assert users["user_id"].tolist() == [3, 7]
    assert users.columns.tolist() == ["age", "user_id", "city"]
    assert users["age"].isna().tolist() == [True, False]


@pytest.mark.parametrize(("check", "name"), [(check_users, "user_id"), (check_posts, "post_id")])
def test_an_id_may_be_called_id(check: object, name: str) -> None:
    assert check(pd.DataFrame({"id": [2, 1]}))[name].tolist() == [1, 2]  # type: ignore[operator]


def test_a_table_with_both_names_keeps_its_own() -> None:
    users = check_users(pd.DataFrame({"id": [1, 2], "user_id": [9, 8]}))
    assert users["user_id"].tolist() == [8, 9]
    assert users["id"].tolist() == [2, 1]


def test_missing_texts_are_empty_and_missing_topics_unknown() -> None:
    posts = check_posts(
        pd.DataFrame({"post_id": [1, 2], "text": ["a", None], "topic": [None, "t"]})
    )
    assert posts["text"].tolist() == ["a", ""]
    assert posts["topic"].tolist() == ["unknown", "t"]
    without = check_posts(pd.DataFrame({"post_id": [1]}))
    assert without.to_numpy().tolist() == [[1, "", "unknown"]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": [1]}, r"'user_data' has no column 'user_id' \(or 'id'\), only 'name'"),
        ({"user_id": []}, "table 'user_data' is empty"),
        ({"user_id": [1, None]}, "'user_id' of 'user_data' holds NULL"),
        ({"user_id": [1, 2, 2]}, r"must be unique, but 1 ids stand more than once, such as \[2\]"),
        ({"user_id": [1.5, 2.0]}, "must hold whole numbers or text, but is floating"),
        ({"user_id": ["a", "b"], "user_id_key": [5, 5]}, "have the same 64-bit hash"),
    ],
)
def test_ids_that_are_none_are_refused(table: dict[str, list[object]], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        check_users(pd.DataFrame(table))
