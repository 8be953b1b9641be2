from __future__ import annotations

from pathlib import Path

import numpy as np

from feedrank.encodings import Encodings
from tests.logs import simulated


def test_encodings_come_back_as_they_were_written(tmp_path: Path) -> None:
    for profiles in (True, False):
        encodings = simulated(profiles=profiles).knowledge.encodings
        directory = tmp_path / str(profiles)
        directory.mkdir()
        encodings.save(directory)
        read = Encodings.load(directory)
        for name, value in vars(encodings).items():
            found = getattr(read, name)
            if name == "eras":
                assert len(found) == len(value) > 1
                for first, second in zip(found, value, strict=True):
                    assert first.first_step == second.first_step
                    assert first.strengths == second.strengths
                    for part, array in vars(second.groups).items():
                        np.testing.assert_array_equal(getattr(first.groups, part), array)
            elif name == "encoded":
                assert len(found) == len(value)
                for a, b in zip(found, value, strict=True):
                    np.testing.assert_array_equal(a, b)
            else:
                np.testing.assert_array_equal(found, value)
        assert read.n_topics == encodings.n_topics


def test_users_without_a_segment_column_are_one_segment() -> None:
    encodings = simulated(profiles=False).knowledge.encodings
    assert encodings.n_segments == 1
    assert encodings.segment(np.zeros((5, 0), np.uint16)).tolist() == [0] * 5


def test_an_era_holds_from_its_first_step_to_the_next_and_the_first_one_before() -> None:
    encodings = simulated().knowledge.encodings
    firsts = [era.first_step for era in encodings.eras]
    assert firsts == [7, 10, 15, 23]
    for step, number in ((-3, 0), (0, 0), (7, 0), (9, 0), (10, 1), (14, 1), (15, 2), (500, 3)):
        assert encodings.era_number(step) == number
        assert encodings.era(step) is encodings.eras[number]
