"""The passes over buckets: what they count does not depend on how the log is cut or ordered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from feedrank.features import row_pass
from feedrank.features.row_pass import training_rows
from feedrank.features.spec import features_of
from feedrank.learning.fit import fit_store
from feedrank.log.files import bucket_path, write_bucket
from feedrank.log.impressions import Impressions
from feedrank.log.sampling import hash_uniform, lowest
from tests.support.simulated_logs import (
    DAY,
    HOUR,
    Learned,
    different_files,
    fitted,
    impressions,
    learned,
    params,
    posts_table,
    random_rows,
    simulated,
    simulated_network,
    tuples,
    users_table,
    workers,
    write_log,
)


@pytest.fixture(scope="module")
def usual() -> Learned:
    return simulated()


def _all_rows(usual: Learned) -> Impressions:
    return Impressions.joined(usual.log.buckets())


@pytest.mark.parametrize("max_rows", [1_000_000, 5000])
def test_the_number_of_buckets_does_not_change_a_byte(
    usual: Learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_rows: int
) -> None:
    monkeypatch.setattr(
        "feedrank.learning.warmup.SAMPLED_ROWS", 2000
    )  # fewer than the warm-up holds
    changed = params(features={"max_rows": max_rows})
    of_days = _all_rows(usual)
    of_days = of_days[of_days.at < 18 * DAY]
    for n in (2, 1, 7):
        log = write_log(tmp_path / f"log-{n}", usual.log.users, usual.log.posts, of_days, n)
        store, rows = learned(log, changed)
        for name, made in (("features", store), ("rows", rows)):
            (tmp_path / f"{name}-{n}").mkdir()
            made.save(tmp_path / f"{name}-{n}")
        (tmp_path / f"rows-{n}" / "ranker.json").write_bytes(fitted(store, rows, changed).content)
    for n in (1, 7):
        # The log's own meta data say how many buckets there are.
        assert different_files(tmp_path / "features-2", tmp_path / f"features-{n}") == [
            "feature_store.json"
        ]
        assert different_files(tmp_path / "rows-2", tmp_path / f"rows-{n}") == []


def test_the_number_of_workers_does_not_change_a_byte(tmp_path: Path) -> None:
    network, rows = simulated_network()
    rows = rows[rows.at < 12 * DAY]
    log = write_log(tmp_path / "log", network.users, network.posts, rows, buckets=3)
    for n in (1, 2):
        with workers(n):
            store = fit_store(log, params())
            training = training_rows(log, store, params())
        for name, made in (("features", store), ("rows", training)):
            (tmp_path / f"{name}-{n}").mkdir()
            made.save(tmp_path / f"{name}-{n}")
        (tmp_path / f"ranker-{n}").mkdir()
        fitted(store, training, params()).save(tmp_path / f"ranker-{n}")
    for name in ("features", "rows", "ranker"):
        assert different_files(tmp_path / f"{name}-1", tmp_path / f"{name}-2") == []


def test_the_order_that_rows_come_in_does_not_change_a_byte(tmp_path: Path) -> None:
    rows = random_rows(3000, 40, 30, 10)
    shuffled = rows[np.random.default_rng(1).permutation(len(rows))]
    write_bucket(tmp_path, 0, rows)
    write_bucket(tmp_path, 1, shuffled)
    assert bucket_path(tmp_path, 0).read_bytes() == bucket_path(tmp_path, 1).read_bytes()


def test_shared_counts_are_the_rows_of_each_step_segment_and_post(usual: Learned) -> None:
    store, rows = usual.store, _all_rows(usual)
    segment = store.fitted.segment(store.catalogue.codes)[rows.user]
    for step in (0, 11, 29):
        of = rows.at // DAY == step
        keys = list(zip(segment[of].tolist(), rows.post[of].tolist(), strict=True))
        shown = Counter(keys)
        liked = Counter(k for k, like in zip(keys, rows.liked[of].tolist(), strict=True) if like)
        key, n_shown, n_liked = store.shared.by_post.at(step)
        places = [divmod(int(k), store.fitted.n_posts) for k in key]
        assert dict(zip(places, n_shown.tolist(), strict=True)) == shown
        found = {p: n for p, n in zip(places, n_liked.tolist(), strict=True) if n}
        assert found == liked


def test_column_counts_are_the_rows_of_each_code_segment_and_cluster(usual: Learned) -> None:
    store, rows = usual.store, _all_rows(usual)
    fitted, codes = store.fitted, store.catalogue.codes
    segment = fitted.segment(codes)[rows.user]
    for step in (7, 10, 14, 20, 28, 30):
        cluster = fitted.refit(step).clusters.cluster
        by_column = store.shared.by_column[fitted.refit_number(step)].before(step)
        counts = by_column.reshape(-1, fitted.n_segments, fitted.n_clusters)
        early = rows.at < step * DAY
        for column, offset in enumerate(fitted.column_offsets[:-1]):
            for code in range(fitted.column_codes[column]):
                of = early & (codes[rows.user, column] == code)
                expected = np.zeros((fitted.n_segments, fitted.n_clusters), int)
                np.add.at(expected, (segment[of], cluster[rows.post[of]]), 1)
                np.testing.assert_array_equal(counts.shown[offset + code], expected)


def test_an_refit_keeps_what_was_before_it_as_one_step_and_nothing_of_the_next_one(
    usual: Learned,
) -> None:
    fitted, firsts = usual.store.fitted, [7, 9, 13, 19, 26]
    assert [refit.first_step for refit in fitted.refits] == firsts
    for counts, first, last in zip(
        usual.store.shared.by_column, firsts, [*firsts[1:], 30], strict=True
    ):
        counted = [len(counts.at(step)[0]) > 0 for step in range(30)]
        assert counted == [first - 1 <= step < last for step in range(30)]


def test_training_rows_are_all_impressions_after_the_warm_up(usual: Learned) -> None:
    warmup = (usual.params.features.warmup_days or 0) * DAY
    rows = _all_rows(usual)
    expected = sorted(tuples(rows[rows.at >= warmup]), key=lambda r: (r[2], r[0], r[1]))
    made = usual.rows
    assert tuples(Impressions(made.user, made.post, made.at, made.liked)) == expected


def test_a_share_of_rows_is_about_that_share_whatever_the_labels(
    usual: Learned, tmp_path: Path
) -> None:
    rows = _all_rows(usual)
    flipped = Impressions(rows.user, rows.post, rows.at, 1 - rows.liked)
    drawn = []
    for i, some in enumerate((rows, flipped)):
        log = write_log(tmp_path / str(i), usual.log.users, usual.log.posts, some)
        made = learned(log, params(features={"row_share": 0.2, "warmup_days": 7}))[1]
        drawn.append(
            list(zip(made.user.tolist(), made.post.tolist(), made.at.tolist(), strict=True))
        )
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == pytest.approx(0.2 * len(usual.rows), rel=0.05)


def test_marks_of_pairs_that_collide_change_nothing(
    usual: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = params(features={"row_share": 0.1, "warmup_days": 7})
    made = learned(usual.log, some)[1]
    monkeypatch.setattr(row_pass, "PAIR_SLOTS", 7)
    np.testing.assert_array_equal(learned(usual.log, some)[1].matrix, made.matrix)


def test_a_step_may_be_longer_than_the_warm_up(tmp_path: Path) -> None:
    rows = random_rows(4000, 40, 30, 40)
    log = write_log(tmp_path, users_table(40), posts_table(30), rows)
    store, made = learned(log, params(features={"step": "7d", "warmup_days": 3}))
    assert store.fitted.refits[0].first_step == 0
    assert len(made) == (rows.at >= 3 * DAY).sum()


def test_a_list_is_drawn_as_a_whole(usual: Learned, tmp_path: Path) -> None:
    rows = _all_rows(usual)
    lists = Impressions(rows.user, rows.post, rows.at // HOUR * HOUR, rows.liked).sorted()
    log = write_log(tmp_path, usual.log.users, usual.log.posts, lists)
    every, some = (
        learned(log, params(features={"row_share": share, "warmup_days": 7}))[1]
        for share in (1.0, 0.3)
    )
    drawn = np.isin(every.user * 2.0**32 + every.at, some.user * 2.0**32 + some.at)
    assert 0.2 < drawn.mean() < 0.4
    assert len(some) == drawn.sum()  # all rows of the user and moment of each


def test_a_first_impression_knows_nothing_of_its_user_and_a_later_one_does(tmp_path: Path) -> None:
    # Two days of warm-up, then user 0 is shown post 3 each day, and likes it on day 4.
    warm = tuples(random_rows(400, 8, 6, 2, seed=3))
    late = [(0, 3, day * DAY + 9 * HOUR, int(day == 4)) for day in range(3, 8)]
    other = [(7, 1, day * DAY + HOUR, day % 2) for day in range(2, 12)]
    rows = impressions([r for r in warm if r[0] != 0] + late + other)
    log = write_log(tmp_path, users_table(8), posts_table(6), rows.sorted())
    store, made = learned(log, params(features={"warmup_days": 2}))
    names = [f.name for f in features_of(store.fitted)]
    of_user = made.matrix[made.user == 0]
    assert of_user[:, names.index("pair_impression_count")].tolist() == [0, 1, 2, 3, 4]
    assert of_user[:, names.index("pair_like_count")].tolist() == [0, 0, 1, 1, 1]
    like_rate = of_user[:, names.index("user_log_ratio")]
    assert like_rate[0] == 0
    assert like_rate[1] < 0  # shown, not liked
    assert like_rate[2] > 0  # then liked


def test_impressions_of_one_step_do_not_know_of_each_other(tmp_path: Path) -> None:
    warm = tuples(random_rows(400, 8, 6, 2, seed=3))
    same_day = [(0, 3, 3 * DAY + i * HOUR, 1) for i in range(5)]
    last = [(7, 1, 6 * DAY, 0)]
    rows = impressions([r for r in warm if r[0] != 0] + same_day + last).sorted()
    for step, expected in (("1d", [0] * 5), ("1h", [0, 1, 2, 3, 4])):
        log = write_log(tmp_path / step, users_table(8), posts_table(6), rows)
        store, made = learned(log, params(features={"warmup_days": 2, "step": step}))
        column = [f.name for f in features_of(store.fitted)].index("pair_impression_count")
        assert made.matrix[made.user == 0][:, column].tolist() == expected


def test_lots_depend_on_the_row_and_the_seed_alone() -> None:
    rows = random_rows(5000, 50, 40, 10)
    order = np.random.default_rng(2).permutation(len(rows))
    draws = hash_uniform(rows, 7)
    np.testing.assert_array_equal(hash_uniform(rows[order], 7), draws[order])
    relabelled = Impressions(rows.user, rows.post, rows.at, 1 - rows.liked)
    np.testing.assert_array_equal(hash_uniform(relabelled, 7), draws)
    assert abs(np.corrcoef(draws, hash_uniform(rows, 8))[0, 1]) < 0.05


def test_lots_are_uniform_and_free_of_user_post_and_time() -> None:
    rows = random_rows(40_000, 50, 40, 10)
    draws = hash_uniform(rows, 7)
    assert 0 <= draws.min() <= draws.max() < 1
    shares = np.histogram(draws, 10, (0, 1))[0] / len(draws)
    assert np.abs(shares - 0.1).max() < 0.01
    for column in (rows.user, rows.post, rows.at):
        assert abs(np.corrcoef(draws, column)[0, 1]) < 0.02


def test_the_lowest_lots_of_all_are_among_the_lowest_of_each_part() -> None:
    draws = np.random.default_rng(3).random(1000).round(2)  # with ties
    parts = np.array_split(draws, 7)
    of_parts = np.concatenate([p[lowest(p, 50)] for p in parts])
    at_once = draws[lowest(draws, 50)]
    assert sorted(of_parts[lowest(of_parts, 50)]) == sorted(at_once)
    assert len(at_once) >= 50
    assert at_once.max() <= draws[~lowest(draws, 50)].min()
