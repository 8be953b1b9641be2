from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.cumulative import CHECKPOINTS, CountsAsOf, RunningCounts
from feedrank.state.counts.tally import Cells, Tally, cells_of

N_STEPS = 2 * CHECKPOINTS + 5  # so that not every step is a checkpoint
N_KEYS, N_COLUMNS = 6, 3
EVENTS = st.lists(
    st.tuples(st.integers(0, N_STEPS - 1), st.integers(0, N_KEYS - 1), st.integers(0, 1))
)
STEPS = st.integers(0, N_STEPS)


def _counts(events: list[tuple[int, int, int]]) -> StepCounts:
    def cells() -> Iterator[Cells]:
        for step in range(N_STEPS):
            rows = np.array([e for e in events if e[0] == step], np.int64).reshape(-1, 3)
            yield cells_of(rows[:, 1], rows[:, 2], N_KEYS)

    return StepCounts.of(cells(), N_KEYS)


def _bytes(moment: CountsAsOf) -> list[bytes]:
    return [a.tobytes() for a in (moment.counts.shown, moment.counts.liked, moment.recent)]


@given(EVENTS, STEPS, st.sampled_from([0.5, 1.0, 2.5, 40.0]))
def test_counts_are_those_of_earlier_steps_and_halve_with_every_half_life(
    events: list[tuple[int, int, int]], step: int, half_life: float
) -> None:
    shown, recent = np.zeros((2, N_KEYS)), np.zeros((2, N_COLUMNS))
    for at, key, liked in events:
        if at < step:
            weight = 0.5 ** ((step - at - 1) / half_life)  # the step just gone weighs 1
            shown[:, key] += 1, liked
            recent[:, key % N_COLUMNS] += weight, weight * liked
    found = RunningCounts(_counts(events), N_COLUMNS, half_life).before(step)
    assert found.step == step
    assert [found.counts.shown.tolist(), found.counts.liked.tolist()] == shown.tolist()
    np.testing.assert_allclose(found.recent[0], recent, atol=1e-12)


@given(EVENTS, st.lists(STEPS, max_size=8), STEPS)
def test_a_moment_has_the_same_bits_whatever_was_derived_before(
    events: list[tuple[int, int, int]], derived: list[int], step: int
) -> None:
    counts = _counts(events)
    running = RunningCounts(counts, N_COLUMNS, 3.0)
    earlier = [(running.before(other), other) for other in derived]
    fresh = RunningCounts(counts, N_COLUMNS, 3.0)
    assert _bytes(running.before(step)) == _bytes(fresh.before(step))
    for moment, other in earlier:  # and what was derived stays as it was
        assert _bytes(moment) == _bytes(RunningCounts(counts, N_COLUMNS, 3.0).before(other))


def test_a_moment_starts_from_the_nearest_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    running = RunningCounts(_counts([(s, 0, 1) for s in range(N_STEPS)]), N_COLUMNS, 3.0)
    running.before(N_STEPS)
    added: list[int] = []
    add = RunningCounts._add

    def counted(self: RunningCounts, step: int, counts: Tally) -> np.ndarray:
        added.append(step)
        return add(self, step, counts)

    monkeypatch.setattr(RunningCounts, "_add", counted)
    apart = -(-N_STEPS // CHECKPOINTS)
    for step in range(N_STEPS + 1):
        added.clear()
        running.before(step)
        assert len(added) < apart


def test_a_stretch_without_rows_costs_nothing() -> None:
    offsets = np.concatenate([[0], np.full(10**7, 1), [2]])  # a row, then one years later
    counts = StepCounts(N_KEYS, offsets, *np.ones((3, 2), np.int64))
    running = RunningCounts(counts, N_COLUMNS, 1e6)
    assert running.before(10**7).recent[0, 0, 1] == pytest.approx(0.5**9.999999)
    assert running.before(10**7 + 1).recent[0, 0, 1] == pytest.approx(1 + 0.5**10)
    assert len(running._checkpoints) < CHECKPOINTS


def test_a_log_without_steps_has_nothing() -> None:
    empty = StepCounts.of([], N_KEYS)
    assert not RunningCounts(empty, N_COLUMNS, 3.0).before(0).counts.shown.any()
