from __future__ import annotations

import pandas as pd
import pytest

from feedrank.errors import SchemaError
from feedrank.extraction.tables.checks import check_posts, check_users
from feedrank.schema import NO_ID

NAMES = ("people", "uid")  # the table's own, of its ids too


def test_users_are_sorted_and_keep_every_column() -> None:
    users = check_users(
        pd.DataFrame({"age": [30, None], "user_id": [7, 3], "city": ["", None]}), *NAMES
    )
    assert users["user_id"].tolist() == [3, 7]
    assert users.columns.tolist() == ["age", "user_id", "city"]
    assert users["age"].isna().tolist() == [True, False]


def test_missing_texts_are_empty_and_missing_topics_unknown() -> None:
    posts = check_posts(
        pd.DataFrame({"post_id": [1, 2], "text": ["a", None], "topic": [None, "t"]}), *NAMES
    )
    assert posts["text"].tolist() == ["a", ""]
    assert posts["topic"].tolist() == ["unknown", "t"]
    without = check_posts(pd.DataFrame({"post_id": [1]}), *NAMES)
    assert without.to_numpy().tolist() == [[1, "", "unknown"]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"user_id": []}, "table 'people' is empty"),
        ({"user_id": [1, None]}, "'uid' of 'people' holds NULL"),
        ({"user_id": [1, 2, 2]}, r"must be unique, but 1 ids stand more than once, such as \[2\]"),
        ({"user_id": [1.5, 2.0]}, "must hold whole numbers or text, but is floating"),
        (
            {"user_id": ["a", "b"], "user_id_key": [5, 5]},
            "two ids of 'people' have the same 64",
        ),
        ({"user_id": [1, NO_ID]}, "'uid' of 'people' holds -9223372036854775808, which stands for"),
    ],
)
def test_ids_that_are_none_are_refused(table: dict[str, list[object]], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        check_users(pd.DataFrame(table), *NAMES)
