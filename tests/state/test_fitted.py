from __future__ import annotations

from pathlib import Path

import numpy as np

from feedrank.state.counts.tally import Tally
from feedrank.state.fitted import FittedParameters
from feedrank.state.plugins.pairs import Pairs
from tests.support.simulated_logs import DAY, divided, simulated, worded


def test_fitted_parameters_come_back_as_they_were_written(tmp_path: Path) -> None:
    logs = (simulated(), simulated(profiles=False), worded(), divided())
    for number, fitted in enumerate(learned.store.fitted for learned in logs):
        directory = tmp_path / str(number)
        directory.mkdir()
        fitted.save(directory)
        read = FittedParameters.load(directory)
        for name, value in vars(fitted).items():
            found = getattr(read, name)
            if name == "refits":
                assert len(found) == len(value) > 1
                for first, second in zip(found, value, strict=True):
                    assert first.first_step == second.first_step
                    assert first.strengths == second.strengths
                    for group in ("clusters", "factors"):
                        for part, array in vars(getattr(second, group)).items():
                            found_part = getattr(getattr(first, group), part)
                            np.testing.assert_array_equal(found_part, array)
            elif name == "vocabulary":
                assert (found.n_topics, found.words) == (value.n_topics, value.words)
                np.testing.assert_array_equal(found.idf, value.idf)
            elif name == "encoded":
                assert len(found) == len(value)
                for a, b in zip(found, value, strict=True):
                    np.testing.assert_array_equal(a, b)
            else:
                np.testing.assert_array_equal(found, value)
        assert read.n_topics == fitted.n_topics


def test_users_without_a_segment_column_are_one_segment() -> None:
    fitted = simulated(profiles=False).store.fitted
    assert fitted.n_segments == 1
    assert fitted.segment(np.zeros((5, 0), np.uint16)).tolist() == [0] * 5


def test_a_step_knows_of_segments_from_the_refit_that_found_them_on() -> None:
    fitted = divided().store.fitted
    since, codes = fitted.segments_since, divided().store.catalogue.codes
    assert fitted.knowing(since) is fitted
    assert fitted.knowing(since - 1).n_segments == 1
    assert not fitted.knowing(since - 1).segment(codes).any()
    user, at = np.arange(4), np.array([since - 1, since]).repeat(2) * DAY
    pairs = Pairs(fitted, codes, user, user, at)
    assert pairs.segment.tolist() == [0, 0, *fitted.segment(codes)[2:4].tolist()]
    assert pairs.segment[2:].all()
    assert fitted.n_segments == 6
    counts = Tally(*np.random.default_rng(1).integers(0, 9, (2, 6 * fitted.n_posts)))
    known, unknown = (fitted.by_segment(counts, step) for step in (since, since - 1))
    np.testing.assert_array_equal(known.liked, counts.liked.reshape(6, -1))
    np.testing.assert_array_equal(unknown.shown, counts.shown.reshape(6, -1).sum(0)[None])


def test_a_split_halves_each_code_of_the_segment_column() -> None:
    fitted, codes = divided().store.fitted, divided().store.catalogue.codes
    (split,) = fitted.segment_splits
    half = np.array(split.half)[codes[:, split.column]]
    np.testing.assert_array_equal(
        fitted.segment(codes), 2 * codes[:, fitted.segment_column].astype(int) + half
    )
    assert {*half.tolist()} == {0, 1}


def test_there_is_a_user_of_each_segment() -> None:
    for fitted in (divided().store.fitted, simulated(profiles=False).store.fitted):
        codes = fitted.codes_of_segments()
        assert fitted.segment(codes).tolist() == list(range(fitted.n_segments))
        assert (codes < np.array(fitted.column_codes)).all()


def test_files_of_before_texts_told_quality_have_posts_of_quality_1(tmp_path: Path) -> None:
    fitted = worded().store.fitted
    fitted.save(tmp_path)
    assert fitted.refits[-1].clusters.tells_quality
    for path in [*tmp_path.glob("*text_quality*"), *tmp_path.glob("*quality_of_text*")]:
        path.unlink()
    clusters = FittedParameters.load(tmp_path).refits[-1].clusters
    assert not clusters.tells_quality
    np.testing.assert_array_equal(clusters.text_quality, [1])


def test_an_refit_holds_from_its_first_step_to_the_next_and_the_first_one_before() -> None:
    fitted = simulated().store.fitted
    firsts = [refit.first_step for refit in fitted.refits]
    assert firsts == [7, 9, 13, 19, 26]
    for step, number in ((-3, 0), (0, 0), (7, 0), (8, 0), (9, 1), (12, 1), (13, 2), (500, 4)):
        assert fitted.refit_number(step) == number
        assert fitted.refit(step) is fitted.refits[number]
