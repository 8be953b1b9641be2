from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedrank.learning.profile_coding import MAX_CATEGORIES, OTHER, code_profiles
from feedrank.state.profiles import MISSING, ProfileColumn, Profiles, columns_from
from tests.support.simulated_logs import users_table

NUMBERS = st.lists(
    st.one_of(st.none(), st.integers(-5, 5), st.floats(-100, 100)), min_size=2, max_size=40
)


def _of(bands: int = 4, **columns: Any) -> Profiles:
    n = len(next(iter(columns.values())))
    return code_profiles(users_table(n, **columns), bands)


@settings(deadline=None)  # neighbours on the machine may take their time
@given(NUMBERS, st.integers(2, 6))
def test_bands_keep_the_order_of_numbers(values: list[float | None], bands: int) -> None:
    numbers = pd.Series(values, dtype=float)
    profiles = _of(bands, x=numbers)
    if profiles.columns and profiles.columns[0].edges:
        codes = profiles.codes[:, 0]
        given = numbers.notna().to_numpy()
        order = np.argsort(numbers[given].to_numpy(), kind="stable")
        assert (np.diff(codes[given][order].astype(int)) >= 0).all()
        assert codes.max() <= bands
        assert ((codes == MISSING) == ~given).all()


@settings(deadline=None)  # neighbours on the machine may take their time
@given(NUMBERS, st.integers(2, 6))
def test_every_code_is_below_the_number_of_codes(values: list[float | None], bands: int) -> None:
    words = pd.Series([None if v is None else f"word {v}" for v in values], dtype=object)
    profiles = _of(bands, x=pd.Series(values, dtype=float), y=words)
    for i, column in enumerate(profiles.columns):
        assert profiles.codes[:, i].max() < column.n_codes


def test_bands_hold_about_as_many_users_each() -> None:
    codes = _of(bands=4, age=np.arange(100)).codes[:, 0]
    assert np.bincount(codes)[1:].tolist() == [25, 25, 25, 25]


@pytest.mark.parametrize("mostly", [0.0, 9.0])
def test_a_number_that_is_mostly_its_lowest_or_highest_value_still_tells_users_apart(
    mostly: float,
) -> None:
    values = np.full(100, mostly)
    values[:10] = np.arange(10)
    profiles = _of(bands=4, x=values)
    assert len(profiles.columns) == 1
    codes = profiles.codes[:, 0]
    assert len(np.unique(codes)) == 2
    assert len(np.unique(codes[10:])) == 1


def test_few_numbers_are_categories() -> None:
    profiles = _of(bands=4, gender=[0, 1, 1, 0, 1])
    assert profiles.columns[0].categories == ("1", "0")
    assert profiles.codes[:, 0].tolist() == [2, 1, 1, 2, 1]


def test_a_missing_value_is_a_code_of_its_own() -> None:
    profiles = _of(city=["a", None, "b", "a"], age=[1.0, np.nan, 1.0, 1.0])
    assert profiles.codes[:, 0].tolist() == [1, MISSING, 2, 1]
    assert profiles.codes[:, 1].tolist() == [1, MISSING, 1, 1]


def test_columns_without_a_difference_are_left_out() -> None:
    profiles = _of(country=["x"] * 5, nothing=[None] * 5, gender=[0, 1, 0, 1, 1])
    assert profiles.names() == ["gender"]


def test_no_profile_columns_give_no_codes() -> None:
    profiles = code_profiles(users_table(4), bands=4)
    assert profiles.columns == ()
    assert profiles.codes.shape == (4, 0)


def test_rare_categories_share_the_last_code() -> None:
    names = [f"c{i:03d}" for i in range(100) for _ in range(2 if i < 10 else 1)]
    profiles = _of(city=names)
    column = profiles.columns[0]
    assert column.n_codes == MAX_CATEGORIES + 1
    assert column.categories[-1] == OTHER
    assert profiles.codes[names.index("c099"), 0] == profiles.codes[names.index("c098"), 0]
    assert profiles.codes[names.index("c000"), 0] != profiles.codes[names.index("c001"), 0]


def test_the_order_of_users_does_not_change_the_coding() -> None:
    rng = np.random.default_rng(5)
    table = users_table(60, age=rng.integers(10, 60, 60), city=rng.choice(list("abcd"), 60))
    shuffled = table.sample(frac=1, random_state=1)
    first, second = code_profiles(table, 4), code_profiles(shuffled, 4)
    assert first.columns == second.columns
    np.testing.assert_array_equal(first.codes[shuffled.index], second.codes)


def test_a_coding_comes_back_from_plain_values() -> None:
    profiles = _of(age=np.arange(30), city=["a", "b", None] * 10)
    described = json.loads(json.dumps([asdict(c) for c in profiles.columns]))
    assert columns_from(described) == profiles.columns


def test_labels_say_the_bands_and_categories() -> None:
    profiles = _of(bands=3, age=np.arange(30), city=["a", "b", None] * 10)
    age, city = profiles.columns
    assert [age.label(c) for c in range(age.n_codes)] == [
        "missing", "up to 9", "10 to 19", "over 19",
    ]  # fmt: skip
    assert ProfileColumn("age", edges=(22.0, 23.0)).label(2) == "23"
    assert ProfileColumn("score", edges=(0.5, 2.0)).label(2) == "over 0.5, up to 2"
    assert [city.label(c) for c in range(city.n_codes)] == ["missing", "a", "b"]


@pytest.mark.parametrize(
    "values",
    [
        pd.array([1, None, 3, 4, 5, 6], dtype="Int64"),
        pd.array([True, False, None, True, True, False], dtype="boolean"),
        pd.Categorical(["a", "b", None, "a", "b", "a"]),
        pd.to_datetime(["2020-01-01", None, "2021-01-01"] * 2),
        np.array([1.5, np.inf, -np.inf, 2.5, 3.5, np.nan]),
    ],
    ids=["whole numbers", "booleans", "categories", "dates", "infinite"],
)
def test_any_type_of_column_is_coded(values: Any) -> None:
    profiles = _of(bands=2, x=values)
    assert len(profiles.columns) == 1
    missing = pd.isna(pd.Series(values)).to_numpy()
    assert ((profiles.codes[:, 0] == MISSING) == missing).all()
    assert len(np.unique(profiles.codes[:, 0])) == 3
