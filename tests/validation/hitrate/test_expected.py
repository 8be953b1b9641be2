"""`hitrate@k/expected` against networks whose true probabilities are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import expit, logit

from feedrank.stats.hits import expected_hit_at_k
from feedrank.stats.intervals import Estimate, estimate, user_weights
from feedrank.validation.hitrate.calibration import Shown, Standard, calibrate
from feedrank.validation.hitrate.dependence import Dependence, mean_product
from feedrank.validation.hitrate.expected import Expected, expected_hitrate
from feedrank.validation.hitrate.hit_model import SHIFT_SPREAD, Lists, hit_probability
from feedrank.validation.hitrate.shift import SELECTION_BIAS, Shift, matching_weight
from feedrank.validation.replay.matches import Matches

K, DEPTH, N_POSTS, N_SHOWN = 5, 50, 400, 30


@dataclass(frozen=True)
class Simulation:
    """Requests as the replay returns them, and the truth about them."""

    found: Expected
    interval: Estimate
    truth: float
    predicted: float
    independent: float


def _apart(n_requests: int) -> Dependence:
    return Dependence(np.zeros((n_requests, 2)), np.zeros((n_requests, 3)))


def _shown(
    probability: np.ndarray,
    liked: np.ndarray,
    request: np.ndarray,
    propensity: np.ndarray,
    n_requests: int,
    presence: np.ndarray | None = None,
) -> Shown:
    even = np.zeros(len(liked)) if presence is None else presence
    return Shown(probability, liked, request, propensity, even, n_requests)


def _lists(
    probability: np.ndarray,
    rank: np.ndarray,
    supported: bool = True,
    presence: float = 0.0,
    post_variance: float = 0.0,
) -> Lists:
    is_post, near = np.full(probability.shape, supported), np.full(probability.shape, presence)
    return Lists(probability, rank, is_post, near, post_variance)


def _simulate(
    error: float = 0.0,
    shift: float = 0.0,
    n: int = 1500,
    seed: int = 0,
    by: str = "ours",
    mood: float = 0.0,
    uneven: float = 0.0,
    wild: float = 0.0,
    suits: float = 0.0,
) -> Simulation:
    """A random feed, and a model that errs by `error` and is `shift` too high.

    The top five of hundreds by such a model are biased upwards. A `mood` moves all log-odds of a
    request, unknown to the model; posts are shown unevenly, by `uneven`, and those shown more often
    are liked less. The model errs by two more for a share of the posts, the `wild` ones. It `suits`
    users unequally: what posts of a request differ by is taken times 1 plus so many draws.
    """
    rng = np.random.default_rng(seed)
    known = rng.normal(-2.5, 0.6, (n, N_POSTS))
    propensity = np.exp(uneven * rng.normal(size=N_POSTS))
    propensity /= propensity.mean()
    flaw = -uneven * np.log(propensity)
    true = known + flaw + mood * rng.normal(size=(n, 1))
    true += suits * rng.normal(size=(n, 1)) * (known - known.mean(1, keepdims=True))
    ours = known + shift + rng.normal(0, error, (n, N_POSTS))
    ours += 2 * rng.normal(size=ours.shape) * (rng.random(ours.shape) < wild)
    order = ours if by == "ours" else rng.normal(size=ours.shape)
    best = np.argsort(-order, axis=1)
    rank = np.argsort(best, axis=1)
    draws = rng.random((n, N_POSTS)) ** (1 / propensity)
    shown = np.argsort(-draws, axis=1)[:, :N_SHOWN]
    rows = np.arange(n)[:, None]
    liked = rng.random((n, N_SHOWN)) < expit(true[rows, shown])
    of_shown = rank[rows, shown]
    top = best[:, :K]
    predicted = expit(ours[rows, top])
    impressions = _shown(
        expit(ours[rows, shown]).ravel(),
        liked.ravel(),
        np.repeat(np.arange(n), N_SHOWN),
        propensity[shown].ravel(),
        n,
    )
    places = np.where(of_shown < DEPTH, of_shown, -1).ravel()
    calibration = calibrate(impressions)
    lists = _lists(predicted, places)
    found = expected_hitrate(impressions, calibration, lists)
    apart = expected_hitrate(impressions, replace(calibration, dependence=_apart(n)), lists)
    doubt = found.doubts(rng.normal(size=300))
    interval = estimate(found.pseudo, user_weights(np.arange(n) // 2, 300, seed), doubt)
    truth = float(expected_hit_at_k(expit(true[rows, top])).mean())
    alone = float(expected_hit_at_k(predicted).mean())
    return Simulation(found, interval, truth, alone, apart.value)


def test_a_true_model_is_left_as_it_is() -> None:
    simulated = _simulate()
    assert simulated.found.shift.value == pytest.approx(0, abs=0.1)
    assert simulated.found.value == pytest.approx(simulated.truth, abs=0.03)


@pytest.mark.parametrize(("error", "shift"), [(0.6, 0.0), (0.0, 0.8), (0.4, 0.5), (0.0, -0.7)])
def test_a_wrong_model_is_corrected(error: float, shift: float) -> None:
    simulated = _simulate(error, shift)
    wrong = abs(simulated.predicted - simulated.truth)
    assert wrong > 0.08
    assert abs(simulated.found.value - simulated.truth) < 0.25 * wrong


def test_what_stands_out_by_error_alone_is_taken_for_less() -> None:
    found = [_simulate(wild=0.02, seed=seed) for seed in range(4)]
    gap = np.mean([s.found.value - s.truth for s in found])
    assert np.mean([s.predicted - s.truth for s in found]) > 0.15
    assert abs(gap) < 0.04


def test_posts_that_the_feed_hardly_shows_any_more_are_as_good_as_others_of_their_kind() -> None:
    """Posts cool, and likes fall by half of what impressions fall by; the model knows a half."""
    rng, n, n_posts, n_shown = np.random.default_rng(6), 1_500, 400, 20
    heat = -rng.exponential(1.0, n_posts)
    own = rng.normal(-2.5, 0.4, (n, n_posts))
    ours, true = own + 0.25 * heat, own + 0.5 * heat
    draws = rng.random((n, n_posts)) ** np.exp(-heat)
    shown = np.argsort(-draws, axis=1)[:, :n_shown]
    rows, presence = np.arange(n)[:, None], heat - np.log(np.exp(heat).mean())
    liked = rng.random(shown.shape) < expit(true[rows, shown])
    listed = np.argsort(heat)[:50][rng.integers(0, 50, (n, K))]  # of the coldest

    def gap(near: np.ndarray) -> float:
        impressions = _shown(
            expit(ours[rows, shown]).ravel(), liked.ravel(), np.repeat(np.arange(n), n_shown),
            np.ones(shown.size), n, near[shown].ravel(),
        )  # fmt: skip
        lists = _lists(expit(ours[rows, listed]), np.full(shown.size, -1))
        lists = replace(lists, presence=near[listed])
        calibration = replace(calibrate(impressions), dependence=_apart(n))
        truth = expected_hit_at_k(expit(true[rows, listed])).mean()
        return float(expected_hitrate(impressions, calibration, lists).value - truth)

    assert gap(np.zeros(n_posts)) > 0.03
    assert abs(gap(presence)) < 0.01


@pytest.mark.parametrize("why", [{"mood": 1.0}, {"suits": 0.6}])
def test_five_that_are_liked_together_make_fewer_hits(why: dict[str, float]) -> None:
    found = [_simulate(**why, seed=seed) for seed in range(4)]
    gap = np.mean([s.found.value - s.truth for s in found])
    of_independent = np.mean([s.independent - s.truth for s in found])
    assert of_independent > 0.04
    assert abs(gap) < 0.4 * of_independent


def test_a_shared_variance_lowers_the_hit_probability() -> None:
    log_odds = np.full((1, K), -1.5)
    apart, together = (hit_probability(log_odds, v)[0] for v in (0.0, 1.0))
    assert apart == pytest.approx(expected_hit_at_k(expit(log_odds))[0])
    assert together < apart - 0.05


@pytest.mark.parametrize("variance", [0.0, 0.3, 1.0])
def test_the_hit_probability_is_the_mean_over_the_shared_effect(variance: float) -> None:
    log_odds = np.random.default_rng(5).normal(-1.5, 0.7, (50, K))
    log_odds[:20, 3:], log_odds[0] = -np.inf, -np.inf
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    stretched = log_odds * np.sqrt(1 + np.pi * variance / 8)
    effects = stretched + nodes[:, None, None] * np.sqrt(variance)
    missed = weights / weights.sum() @ np.prod(expit(-effects), axis=2)
    found = hit_probability(log_odds, variance)
    assert found[0] == 0
    np.testing.assert_allclose(found, 1 - missed, rtol=0, atol=2e-4)


def test_a_list_that_is_sure_to_hold_a_like_has_a_hit_probability_of_one() -> None:
    assert hit_probability(np.full((2, 100), 20.0), 1.0).tolist() == [1.0, 1.0]


def test_the_shared_variance_is_found_from_pairs_of_a_request() -> None:
    rng = np.random.default_rng(3)
    n = 3000
    true = rng.normal(-2, 0.5, (n, 20))
    for mood in (0.0, 0.7):
        liked = rng.random(true.shape) < expit(true + mood * rng.normal(size=(n, 1)))
        shown = _shown(expit(true).ravel(), liked.ravel(), np.repeat(np.arange(n), 20),
                      np.ones(true.size), n)  # fmt: skip
        dependence = calibrate(shown).dependence
        assert dependence.variance(0.0)[0] == pytest.approx(mood**2, abs=0.1)


def test_lists_of_what_stands_out_share_more_than_posts_at_random() -> None:
    rng = np.random.default_rng(4)
    n = 4000
    known = rng.normal(0, 0.8, (n, 20))
    true = known * rng.normal(1, 0.5, (n, 1)) - 1.5
    liked = rng.random(true.shape) < expit(true)
    shown = _shown(expit(known - 1.5).ravel(), liked.ravel(), np.repeat(np.arange(n), 20),
                  np.ones(true.size), n)  # fmt: skip
    dependence = calibrate(shown).dependence
    assert dependence.variance(0.0)[0] == pytest.approx(0, abs=0.05)
    assert dependence.variance(3.0)[0] == pytest.approx(3 * (0.5 * 0.8) ** 2, abs=0.15)


def test_deviations_multiply_over_the_pairs_of_a_list() -> None:
    deviation = np.array([[1.0, 2.0, 3.0], [2.0, -1.0, 9.0]])
    listed = np.array([[True, True, True], [True, True, False]])
    assert mean_product(deviation, listed) == pytest.approx((2 + 3 + 6 - 2) / 4)
    assert mean_product(deviation[:, :1], listed[:, :1]) == 0


def test_selection_bias_is_corrected_unless_matches_say_otherwise() -> None:
    p = np.tile([0.1, 0.3], 400)
    shown = _shown(p, np.tile(np.arange(20) < 4, 40), np.repeat(np.arange(400), 2),
                  np.ones(800), 400)  # fmt: skip
    calibration = replace(calibrate(shown), dependence=_apart(400))

    def shift(listed: float) -> float:
        lists = _lists(np.full((400, K), listed), np.full(800, -1))
        return expected_hitrate(shown, calibration, lists).shift.value

    standard = calibration.standard
    design = standard.design(np.array([0.6]), standard.of_request[:1], np.zeros(1))
    high = (design @ calibration.weights)[0] - calibration.mean
    assert shift(0.6) == pytest.approx(-SELECTION_BIAS * high)
    assert shift(0.01) == 0


def test_matches_of_other_requests_move_the_shift_and_leave_their_own_sampling() -> None:
    # 4,000 matches liked at .5, where the calibration says some .2: the prior hardly counts.
    n, p = 4_000, np.tile([0.1, 0.3], 400)
    shown = _shown(p, np.tile(np.arange(20) < 4, 40), np.repeat(np.arange(400), 2),
                  np.ones(800), 400)  # fmt: skip
    calibration = replace(calibrate(shown), dependence=_apart(400))
    alone = _lists(np.full((400, K), 0.2), np.full(800, -1))

    def shift(of_user: int) -> Shift:
        liked = np.arange(n) % (2 * of_user) < of_user
        zero, user = np.zeros(n, np.int64), np.arange(n) // of_user
        mean = np.full(n, calibration.standard.of_request[0])
        others = Matches(zero, user, zero, np.full(n, 0.2), mean, np.ones(n), np.zeros(n), liked)
        return expected_hitrate(shown, calibration, replace(alone, others=others)).shift

    design = calibration.standard.design(
        np.array([0.2]), calibration.standard.of_request[:1], np.zeros(1)
    )
    one, ten = shift(1), shift(10)
    assert one.value == pytest.approx(-(design @ calibration.weights)[0], abs=0.02)
    assert (one.n_listed, one.n_matching) == (n, n)
    assert one.spread == pytest.approx((n / 4) ** -0.5, rel=0.1)
    # Ten matches of a user, all liked or none, tell as much as one.
    assert ten.spread == pytest.approx(10**0.5 * one.spread, rel=0.1)
    assert expected_hitrate(shown, calibration, alone).shift.n_matching == 0


def test_the_influence_of_a_request_on_the_variance_is_in_its_pseudo_value() -> None:
    rng = np.random.default_rng(8)
    n = 300
    mood = rng.normal(size=(n, 1))
    liked = rng.random((n, 10)) < expit(-1 + mood)
    shown = _shown(np.full(n * 10, 0.3), liked.ravel(), np.repeat(np.arange(n), 10),
                  np.ones(n * 10), n)  # fmt: skip
    calibration = calibrate(shown)
    still = replace(calibration, influence=np.zeros((n, 6)))
    lists = _lists(np.full((n, K), 0.3), np.full(n * 10, -1))
    pseudo = expected_hitrate(shown, still, lists).pseudo
    # More variance, fewer hits; nothing else moves these equal lists.
    assert np.corrcoef(pseudo, calibration.dependence.variance(0.0)[1])[0, 1] < -0.999999


def test_posts_that_are_shown_more_often_do_not_count_more_often() -> None:
    with_propensity = [_simulate(uneven=0.6, seed=seed) for seed in range(3)]
    gap = np.mean([s.found.value - s.truth for s in with_propensity])
    wrong = np.mean([s.predicted - s.truth for s in with_propensity])
    assert abs(gap) < max(0.5 * abs(wrong), 0.02)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    n_covering = 0
    for seed in range(20):
        simulated = _simulate(shift=0.5, n=300, seed=seed)
        interval = simulated.interval
        assert interval.low < interval.value < interval.high
        assert interval.value == pytest.approx(simulated.found.value)
        n_covering += interval.low <= simulated.truth <= interval.high
    assert n_covering >= 17


def test_more_requests_narrow_the_interval() -> None:
    few, many = (_simulate(error=0.3, n=n).interval for n in (150, 6000))
    assert many.high - many.low < 0.7 * (few.high - few.low)


def test_the_lead_over_random_lists_is_the_true_difference() -> None:
    ours, other = (_simulate(error=0.3, by=by) for by in ("ours", "random"))
    weights = user_weights(np.arange(1500) // 2, 300, 0)
    found = estimate(ours.found.pseudo - other.found.pseudo, weights)
    assert found.low > 0
    assert found.value == pytest.approx(ours.truth - other.truth, abs=0.04)


def test_a_match_counts_the_less_the_further_down() -> None:
    rank = np.array([0, K - 1, K, 10 * K - 1, 100 * K])
    weight = matching_weight(rank, np.ones(len(rank)), K)
    assert weight[0] == weight[1] == 1
    assert (np.diff(weight[1:]) < 0).all()
    assert weight[-1] > 0


def test_a_match_counts_the_less_the_more_often_its_post_is_shown() -> None:
    weight = matching_weight(np.zeros(4, int), np.array([0.0, 0.5, 1.0, 4.0]), K)
    assert weight.tolist() == [10, 2, 1, 0.25]


def test_without_a_match_the_model_is_all_there_is() -> None:
    request = np.repeat(np.arange(4), 2)
    shown = _shown(np.full(8, 0.1), np.arange(8) < 1, request, np.ones(8), 4)
    log_odds = np.log(0.1 / 0.9)
    calibration = replace(
        calibrate(shown),
        weights=np.array([log_odds, 1, 0, 0, 0, 0]),
        mean=log_odds,
        dependence=_apart(4),
    )
    found = expected_hitrate(shown, calibration, _lists(np.full((4, K), 0.1), np.full(8, -1)))
    assert found.shift.value == 0
    assert found.shift.n_matching == 0
    assert found.value == pytest.approx(1 - 0.9**K)


def _matched(n: int, supported: bool = True, listed: float = 0.2) -> Expected:
    """Lists twice as likely to be liked as the impressions, by the model, and n matches."""
    n_shown = 400
    rng = np.random.default_rng(2)
    shown = _shown(np.full(2 * n_shown, 0.1), rng.random(2 * n_shown) < 0.1,
                  np.repeat(np.arange(n_shown), 2), np.ones(2 * n_shown), n_shown)  # fmt: skip
    places = np.where(np.arange(2 * n_shown) < n, 0, -1)
    lists = _lists(np.full((n_shown, K), listed), places, supported)
    calibration = replace(calibrate(shown), dependence=_apart(n_shown))
    return expected_hitrate(shown, calibration, lists)


def test_doubt_is_that_of_the_prior_without_a_match_and_falls_with_matches() -> None:
    none, some, many = (_matched(n).doubts(np.array([-1.0, 0.0, 1.0])) for n in (0, 80, 800))
    assert none[1] == some[1] == many[1] == 0
    slope = (1 - 0.2) ** K * K * 0.2  # of the hit rate by the log-odds of all five
    assert none[2] - none[0] == pytest.approx(2 * SHIFT_SPREAD * slope, rel=0.15)
    assert none[2] > some[2] > many[2] > 0


def test_posts_that_the_feed_did_not_show_are_in_doubt_though_no_better_than_others() -> None:
    low, _, high = _matched(0, supported=False, listed=0.1).doubts(np.array([-1.0, 0.0, 1.0]))
    slope = (1 - 0.1) ** K * K * 0.1
    assert high - low == pytest.approx(2 * 0.05 * slope, rel=0.15)


def test_an_error_that_all_users_share_is_in_the_interval() -> None:
    """The same five posts for everybody, each better or worse than the model says."""
    rng, n, spread = np.random.default_rng(11), 400, 0.3
    n_covering = np.zeros(2, int)
    for seed in range(80):
        liked = rng.random(n * 20) < 0.1
        shown = _shown(np.full(n * 20, 0.1), liked, np.repeat(np.arange(n), 20), np.ones(n * 20), n)
        truth = expected_hit_at_k(expit(logit(0.2) + spread * rng.normal(size=(1, K))))[0]
        calibration = replace(calibrate(shown), dependence=_apart(n))
        for row, variance in enumerate((0.0, spread**2 / K)):
            lists = _lists(np.full((n, K), 0.2), np.full(n * 20, -1), post_variance=variance)
            found = expected_hitrate(shown, calibration, lists)
            doubt = found.doubts(np.random.default_rng(seed).normal(size=300))
            interval = estimate(found.pseudo, user_weights(np.arange(n), 300, seed), doubt)
            n_covering[row] += interval.low <= truth <= interval.high
    assert n_covering[0] < 50
    assert n_covering[1] >= 68


def test_posts_that_the_feed_does_not_show_are_in_doubt_whatever_matches() -> None:
    shown, bare = (_matched(800, supported) for supported in (True, False))
    assert bare.value < shown.value - 0.05
    at = np.array([-2.0, 2.0])
    assert np.ptp(bare.doubts(at)) > 5 * np.ptp(shown.doubts(at))


def test_the_prior_of_a_shift_widens_where_the_next_posts_of_lists_are_off() -> None:
    def doubt(n_liked: int) -> float:
        shown = _shown(np.full(200, 0.1), np.arange(200) < n_liked, np.arange(200), np.ones(200),
                      200)  # fmt: skip
        calibration = replace(calibrate(shown), weights=np.array([logit(0.1), 1, 0, 0, 0, 0]))
        lists = _lists(np.full((200, K), 0.1), np.full(200, DEPTH - 1))
        return float(expected_hitrate(shown, calibration, lists).doubts(np.ones(1))[0])

    assert doubt(n_liked=28) > 2 * doubt(n_liked=20)  # 1.7 standard errors more


def test_few_matches_shift_less_than_many() -> None:
    def shift(n: int) -> float:
        shown = _shown(np.full(2 * n, 0.1), np.arange(2 * n) % 2 == 0, np.repeat(np.arange(n), 2),
                      np.ones(2 * n), n)  # fmt: skip
        lists = _lists(np.full((n, K), 0.1), np.where(shown.liked, 0, -1))
        return expected_hitrate(shown, calibrate(shown), lists).shift.value

    assert 0 < shift(2) < shift(20) < shift(2000)


def test_a_list_that_is_too_short_counts_for_what_it_holds() -> None:
    shown = _shown(np.array([0.1]), np.array([False]), np.array([0]), np.ones(1), 1)  # fmt: skip
    calibration = replace(
        calibrate(shown), weights=np.array([0.0, 1, 0, 0, 0, 0]), mean=0.0, dependence=_apart(1),
        standard=Standard(0.0, np.zeros(1), 1.0, 0.0),
    )  # fmt: skip
    short = np.array([[0.3, 0.2, 0, 0, 0]])
    found = expected_hitrate(shown, calibration, _lists(short, np.array([-1])))
    assert found.value == pytest.approx(1 - 0.7 * 0.8, abs=1e-4)


def test_no_requests_have_no_hit_rate() -> None:
    none = np.zeros(0)
    shown = _shown(none, none.astype(bool), none.astype(int), none, 0)
    lists = _lists(np.zeros((0, K)), none.astype(int))
    found = expected_hitrate(shown, calibrate(shown), lists)
    assert np.isnan(found.value)


def test_pseudo_values_agree_with_a_refit_of_each_resample() -> None:
    rng = np.random.default_rng(5)
    n, n_shown = 600, 12
    score = rng.normal(-2, 0.5, (n, n_shown))
    liked = rng.random((n, n_shown)) < expit(0.8 * score - 0.6)
    listed = expit(rng.normal(-1.5, 0.3, (n, K)))
    rank = rng.integers(0, 40, (n, n_shown))

    def of(rows: np.ndarray) -> Expected:
        shown = _shown(expit(score[rows]).ravel(), liked[rows].ravel(),
                      np.repeat(np.arange(len(rows)), n_shown),
                      np.ones(len(rows) * n_shown), len(rows))  # fmt: skip
        return expected_hitrate(shown, calibrate(shown), _lists(listed[rows], rank[rows].ravel()))

    whole = of(np.arange(n))
    weights = user_weights(np.arange(n), 60, 2)
    refitted = np.array([of(np.repeat(np.arange(n), w)).value for w in weights.of_user.astype(int)])
    drawn = weights.means(whole.pseudo)
    assert np.corrcoef(refitted, drawn)[0, 1] > 0.9
    assert 0.9 < drawn.std() / refitted.std() < 1.2
