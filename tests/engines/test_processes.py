from __future__ import annotations

import os
from functools import partial

import pytest

from feedrank.engines.processes import map_parts, n_workers
from feedrank.errors import FeedrankError, SchemaError


def _square(part: int) -> int:
    return part * part


def _refuse(refused: int, part: int) -> int:
    if part == refused:
        raise SchemaError(f"part {part} holds no like")
    return part


def _die(part: int) -> int:
    if part == 1:
        os._exit(9)
    return part


@pytest.mark.parametrize("n", [1, 2])
def test_results_come_in_the_order_of_parts(n: int) -> None:
    assert list(map_parts(_square, 7, "squaring", workers=n)) == [0, 1, 4, 9, 16, 25, 36]


def test_parts_without_words_are_worked_on_in_silence(
    capfd: pytest.CaptureFixture[str], logged: pytest.LogCaptureFixture
) -> None:
    assert list(map_parts(_square, 3, "", workers=1)) == [0, 1, 4]
    assert logged.messages == []
    assert list(map_parts(_square, 3, "squaring", workers=1)) == [0, 1, 4]
    assert logged.messages == ["squaring: 3 parts"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("n", [1, 2])
def test_an_error_of_a_worker_is_raised_as_itself(n: int) -> None:
    with pytest.raises(SchemaError, match="part 2 holds no like"):
        list(map_parts(partial(_refuse, 2), 4, "refusing", workers=n))


def test_a_killed_worker_says_what_to_do() -> None:
    with pytest.raises(FeedrankError, match=r"killed while counting.*FEEDRANK_WORKERS=1"):
        list(map_parts(_die, 4, "counting", workers=2))


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_a_wrong_number_of_workers_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FEEDRANK_WORKERS", value)
    with pytest.raises(FeedrankError, match=f"FEEDRANK_WORKERS is '{value}'"):
        n_workers()


def test_without_a_number_all_processors_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEEDRANK_WORKERS", raising=False)
    assert 1 <= n_workers() <= (os.cpu_count() or 1)
