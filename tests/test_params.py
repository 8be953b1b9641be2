from __future__ import annotations

import copy
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from feedrank.errors import ParamsError
from feedrank.io.param_fields import duration_seconds, moment
from feedrank.params import Params, load_params, parse_params

FILE = Path(__file__).parents[1] / "params.yaml"
GROUPS: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())
KEYS = [(group, key) for group, values in GROUPS.items() for key in values]


@pytest.fixture
def groups() -> dict[str, dict[str, Any]]:
    return copy.deepcopy(GROUPS)


def test_the_file_of_the_repository_is_read() -> None:
    params = load_params(FILE)
    assert params.features.step_seconds == 86_400
    assert vars(params).keys() == GROUPS.keys()
    for name, values in GROUPS.items():
        assert vars(getattr(params, name)) == values


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"nowhere.yaml' not found\. Run from the folder"):
        load_params(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("content", [b"a: [", b"a: b: c", b"\xff\xfe\x00", b"\t- a"])
def test_a_file_that_is_not_yaml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ParamsError, match=r"params.yaml' is not YAML"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("content", ["", "a", "[1, 2]", "3"])
def test_a_file_without_groups_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(ParamsError, match=r"the file of params.yaml must hold keys, but holds"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("group", GROUPS)
def test_a_missing_group_is_named(groups: dict[str, Any], group: str) -> None:
    del groups[group]
    with pytest.raises(ParamsError, match=f"parameter '{group}' is missing from params.yaml"):
        parse_params(groups)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_without_keys_is_named(groups: dict[str, Any], group: str) -> None:
    groups[group] = None
    with pytest.raises(ParamsError, match=f"group '{group}' of params.yaml must hold keys"):
        parse_params(groups)


@pytest.mark.parametrize(("group", "key"), KEYS)
def test_a_missing_key_is_named(groups: dict[str, Any], group: str, key: str) -> None:
    del groups[group][key]
    with pytest.raises(ParamsError, match=f"'{group}.{key}' is missing from params.yaml"):
        parse_params(groups)


@pytest.mark.parametrize("group", GROUPS)
def test_an_unknown_key_is_named_beside_the_known(groups: dict[str, Any], group: str) -> None:
    groups[group]["max_deph"] = 3
    known = next(iter(GROUPS[group]))
    with pytest.raises(
        ParamsError, match=f"unknown parameter '{group}.max_deph'; known are .*{known}"
    ):
        parse_params(groups)


@pytest.mark.parametrize(("group", "key"), KEYS)
@pytest.mark.parametrize("value", [{"a": 1}, True, object()], ids=["mapping", "bool", "object"])
def test_a_key_of_another_type_is_named(
    groups: dict[str, Any], group: str, key: str, value: object
) -> None:
    groups[group][key] = value
    with pytest.raises(ParamsError, match=f"'{group}.{key}"):
        parse_params(groups)


@pytest.mark.parametrize(
    ("group", "key", "value", "message"),
    [
        ("train", "max_depth", 0, "'train.max_depth' is 0, but must be greater than or equal to 1"),
        ("train", "max_depth", 3.5, "'train.max_depth' is 3.5, but must be a valid integer"),
        (
            "train",
            "learning_rate",
            "fast",
            "'train.learning_rate' is 'fast', but must be a",
        ),
        ("train", "learning_rate", True, "'train.learning_rate' is True; write a number"),
        (
            "train",
            "learning_rate",
            float("nan"),
            "rate' is nan, but must be a finite number",
        ),
        (
            "train",
            "reg_lambda",
            float("inf"),
            "lambda' is inf, but must be a finite number",
        ),
        (
            "export",
            "exclude",
            "all",
            "'all', but must be 'nothing', 'liked' or 'seen'",
        ),
        ("validate", "k", [], r"'validate.k' is \[\], but must have at least 1 item"),
        ("validate", "k", 5, "'validate.k' is 5, but must be a valid list"),
        ("validate", "k", [5, 0], "'validate.k.1' is 0, but must be greater than or equal to 1"),
        ("features", "warmup_days", 0, "'features.warmup_days' is 0, but must be greater"),
        ("features", "seed", -1, "'features.seed' is -1, but must be greater"),
        ("features", "step", "a day", "'features.step' is 'a day'; write a whole number"),
        ("features", "step", "0d", "'features.step' is '0d'; write a whole number"),
        ("features", "step", "4000d", "'features.step' is '4000d'; at most 3650d"),
        ("source", "statement_timeout", "25d", "'source.statement_timeout' is '25d'; at most 24d"),
        ("engine", "name", "dask", "'engine.name' is 'dask', but must be 'local' or 'spark'"),
        ("engine", "master", "localhost", r"'engine.master' is 'localhost'; write local\[2\]"),
        ("engine", "held_rows", 0, "'engine.held_rows' is 0, but must be greater"),
        ("source", "exposures", "", "'source.exposures' is ''; write a directory, table:name"),
        ("source", "exposures", "table: ", "'source.exposures' is 'table: '; write a directory"),
        ("extract", "since", "yesterday", "'extract.since' is 'yesterday'; write a date"),
        ("extract", "until", "2021-10-01T00:00:00+02:00", "'extract.until' is .* own clock"),
    ],
)
def test_a_value_out_of_range_is_refused_when_the_file_is_read(
    groups: dict[str, Any], group: str, key: str, value: object, message: str
) -> None:
    groups[group][key] = value
    with pytest.raises(ParamsError, match=message):
        parse_params(groups)


@pytest.mark.parametrize("key", ["warmup_days"])
def test_null_leaves_the_choice_to_the_log(groups: dict[str, Any], key: str) -> None:
    groups["features"][key] = None
    assert getattr(parse_params(groups).features, key) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-2", 0.01), ("1E-2", 0.01), ("1e-02", 0.01), (".5", 0.5), ("1", 1.0), ("'0.5'", 0.5)],
)
def test_a_number_is_one_in_any_notation(tmp_path: Path, text: str, number: float) -> None:
    written = FILE.read_text().replace("learning_rate: 0.1", f"learning_rate: {text}")
    (tmp_path / "params.yaml").write_text(written)
    assert load_params(tmp_path / "params.yaml").train.learning_rate == number


@pytest.mark.parametrize("text", ["2021-10-01", "'2021-10-01'", "2021-10-01T00:00:00"])
def test_a_date_is_one_with_and_without_quotes(tmp_path: Path, text: str) -> None:
    written = FILE.read_text().replace("since: null", f"since: {text}")
    (tmp_path / "params.yaml").write_text(written)
    since = load_params(tmp_path / "params.yaml").extract.since_at
    assert since == datetime(2021, 10, 1)


def test_a_whole_number_may_be_written_as_a_power_of_ten(tmp_path: Path) -> None:
    written = FILE.read_text().replace("max_rows: 500000", "max_rows: 5e5")
    (tmp_path / "params.yaml").write_text(written)
    assert load_params(tmp_path / "params.yaml").features.max_rows == 500_000


def test_a_key_that_is_written_twice_is_refused(tmp_path: Path) -> None:
    written = FILE.read_text().replace("max_depth: 4", "max_depth: 4\n  max_depth: 5")
    (tmp_path / "params.yaml").write_text(written)
    with pytest.raises(ParamsError, match='found duplicate key "max_depth"'):
        load_params(tmp_path / "params.yaml")


def test_all_that_is_wrong_is_said_at_once(groups: dict[str, Any]) -> None:
    groups["train"] |= {"max_depth": 0, "trees": "many"}
    with pytest.raises(ParamsError, match=r"(?s)'train.trees' is 'many'.*'train.max_depth' is 0"):
        parse_params(groups)


def test_a_changed_group_is_checked_as_well(groups: dict[str, Any]) -> None:
    params = parse_params(groups)
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        replace(params.train, max_depth=0)


def test_the_schema_for_editors_holds_the_ranges() -> None:
    schema = TypeAdapter(Params).json_schema()["$defs"]["TrainParams"]
    assert schema["properties"]["max_depth"]["maximum"] == 16
    assert schema["additionalProperties"] is False


def test_a_whole_number_may_stand_for_any_number(groups: dict[str, Any]) -> None:
    groups["train"]["learning_rate"] = 1
    params: Params = parse_params(groups)
    assert params.train.learning_rate == 1.0
    assert isinstance(params.train.learning_rate, float)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1min", 60), ("90min", 5400), ("1h", 3600), ("12h", 43_200), ("1d", 86_400), ("7d", 604_800)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@given(st.text(max_size=6).filter(lambda t: not t[:1].isdecimal()))
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="write a whole number and min, h or d"):
        duration_seconds(text)


@pytest.mark.parametrize("text", ["1", "d", "1.5h", "-1d", "1 d", "1dd", "1s", "1w", "²d", "1D"])
def test_what_nearly_is_a_duration_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="write a whole number and min, h or d"):
        duration_seconds(text)


def test_a_moment_is_naive() -> None:
    assert moment("2021-10-01").isoformat() == "2021-10-01T00:00:00"
    assert moment("2021-10-01T12:30:00").hour == 12


def test_a_module_of_own_features_stands_once(groups: dict[str, Any]) -> None:
    groups["features"]["plugins"] = ["author", "reading", "author"]
    with pytest.raises(ParamsError, match="; 'author' stands there twice"):
        parse_params(groups)
