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
            if name == "groups":
                for part, array in vars(value).items():
                    np.testing.assert_array_equal(getattr(found, part), array)
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
