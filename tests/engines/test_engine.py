"""The engine of one machine, and what is said where Spark cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from feedrank.engines import engine
from feedrank.engines.engine import Engine, map_parts, sum_parts, using
from feedrank.engines.selection import running_on
from feedrank.errors import FeedrankError, SchemaError
from feedrank.io.storage import url_of
from tests.support.simulated_logs import DEFAULTS, workers


def _named(part: int) -> tuple[str, int]:
    return f"{part} ", -part


def _refused(part: int) -> tuple[str, int]:
    if part == 2:
        raise SchemaError("part 2 holds no like")
    return _named(part)


@pytest.mark.parametrize("n", [1, 2])
def test_sums_are_added_up_in_the_order_of_parts(n: int) -> None:
    n_parts = 2 * engine.HELD + 3
    others: list[int] = []
    with workers(n):
        one = sum_parts(_named, "".join, n_parts, "naming", others.append)
    assert one.split() == [str(part) for part in range(n_parts)]
    assert others == [-part for part in range(n_parts)]


def test_no_more_sums_are_held_than_is_said() -> None:
    held: list[int] = []

    def add(sums: Sequence[str]) -> str:
        held.append(len(sums))
        return "".join(sums)

    with workers(1):
        sum_parts(_named, add, 3 * engine.HELD, "naming")
    assert max(held) == engine.HELD


@pytest.mark.parametrize("n", [1, 2])
def test_an_error_of_one_part_is_raised_as_itself(n: int) -> None:
    with workers(n), pytest.raises(SchemaError, match=r"^part 2 holds no like$"):
        sum_parts(_refused, "".join, 4, "refusing")


def test_a_pass_runs_on_the_engine_in_use() -> None:
    class Backwards(Engine):
        def map_parts(self, function, n_parts, words):  # type: ignore[no-untyped-def]
            return iter([function(part) for part in reversed(range(n_parts))])

    with using(Backwards()):
        assert list(map_parts(abs, 3, "counting")) == [2, 1, 0]
    with workers(1):
        assert list(map_parts(abs, 3, "counting")) == [0, 1, 2]


def test_the_local_engine_leaves_folders_and_rows_where_they_are(tmp_path: Path) -> None:
    with running_on(DEFAULTS.engine) as local:
        assert local.share(tmp_path) == tmp_path
        assert local.rows_place(tmp_path) == url_of(tmp_path)


def test_without_pyspark_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith(("pyspark", "feedrank.engines.spark"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyspark", None)  # as if it were not installed
    with (
        pytest.raises(FeedrankError, match=r"requirements-spark\.txt.*'engine\.name' to local"),
        running_on(replace(DEFAULTS.engine, name="spark")),
    ):
        pass
