"""Period: the requests of a fold's test, those that are replayed and those that may match lists."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from feedrank.log.calendar import Fold
from feedrank.log.files import Log
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.log.sampling import lowest
from feedrank.params import ValidateParams
from feedrank.state.feature_store import FeatureStore
from feedrank.validation.feed.strata import Strata, strata_of
from feedrank.validation.replay.matches import ListShares
from feedrank.validation.replay.propensity import Propensity
from feedrank.validation.replay.requests import Requests, Sessions, n_asked

logger = logging.getLogger(__name__)
# Other requests that each method ranks for each that is replayed, on average.
OTHERS = 3


@dataclass(frozen=True)
class PeriodRequests:
    """Requests of a test period.

    Attributes:
        requests: that every method answers.
        strata: of all users.
        sessions: all of the period.
        is_drawn: which of them are the requests, bool, shape (n_sessions,).
        propensity: of the old feed.
    """

    requests: Requests
    strata: Strata
    sessions: Sessions
    is_drawn: np.ndarray
    propensity: Propensity

    def others(self, shares: ListShares) -> tuple[Requests, np.ndarray]:
        """Requests that were not drawn, those that are `chosen` for matches.

        Args:
            shares: of the lists that hold each post, by method.

        Returns:
            Requests, and whether each method ranks them, bool, shape (n_methods, n_requests).
        """
        sessions = self.sessions
        length = np.bincount(sessions.of, minlength=len(sessions))
        chances = shares.chances(sessions.user, sessions.step, sessions.of, sessions.rows.post)
        asked = chosen(chances, sessions.step, length, sessions.draw, self.is_drawn)
        requests, of = sessions.requests(np.asarray(asked.any(axis=0)))
        return self._weighed(requests), asked[:, of]

    def of_users(self, kept: np.ndarray) -> Requests:
        """The requests of some users: a mask, shape (n_users,)."""
        is_kept = np.zeros(len(self.sessions), bool)
        is_kept[self.sessions.of] = kept[self.sessions.rows.user]
        return self._weighed(self.sessions.requests(self.is_drawn & is_kept)[0])

    def _weighed(self, requests: Requests) -> Requests:
        return requests.weighed(self.propensity, self.strata.of_user)


def chosen(
    chances: np.ndarray,
    step: np.ndarray,
    length: np.ndarray,
    draw: np.ndarray,
    is_drawn: np.ndarray,
) -> np.ndarray:
    """Which requests each method ranks: of each step and length those of the best chances.

    How long a request is may depend on what was liked in it. So the same share of the requests of
    each length is chosen; where that is a fraction of one, by lot.

    Args:
        chances: of a match, shape (n_methods, n).
        step: of each request, shape (n,).
        length: impressions of each request, shape (n,).
        draw: uniform numbers, the lowest of which were drawn, shape (n,).
        is_drawn: whether the request is replayed, bool, shape (n,).

    Returns:
        bool, shape (n_methods, n).
    """
    (left,) = np.nonzero(~is_drawn)
    left = left[np.argsort(draw[left], kind="stable")]
    n_drawn = np.bincount(step[is_drawn], minlength=1 + int(step.max(initial=0)))
    step, length = step[left], length[left]
    share = OTHERS * n_drawn[step] / np.bincount(step)[step]
    kinds = step * (1 + length.max(initial=0)) + length
    _, kind, n_alike = np.unique(kinds, return_inverse=True, return_counts=True)
    lot = draw[left] * 2**20 % 1  # by later digits than those that drew the others
    asked = np.zeros(chances.shape, bool)
    for of_method, chance in zip(asked, chances, strict=True):
        order = np.lexsort((-chance[left], kind))
        place = np.arange(len(order)) - np.searchsorted(kind[order], kind[order])
        of_method[left[order]] = place + lot[order] < (share * n_alike[kind])[order]
    return asked


def requests_in(
    log: Log, store: FeatureStore, fold: Fold, validate: ValidateParams
) -> PeriodRequests:
    """The requests of a fold's test period, with their propensities, and the strata of users."""
    n_posts, steps = log.meta.n_posts, test_steps(store, fold)
    sessions = Sessions.in_test(log, fold, store.fitted.step_seconds, validate.seed)
    is_drawn = lowest(sessions.draw, n_asked(validate, n_posts))
    requests, _ = sessions.requests(is_drawn)
    whose = "" if sessions.share == 1 else f"{sessions.share:.3g} of the users' "
    days = f"{(fold.until - fold.cutoff) / SECONDS_A_DAY:.3g} days"
    logger.info(
        "Replaying %d of %s%d requests of a fold, whose test has %s.",
        len(requests), whose, len(sessions), days,
    )  # fmt: skip
    codes = np.asarray(store.catalogue.codes)
    strata = strata_of(
        store.history, codes, np.unique(requests.user), steps, sessions.shown_by_policy
    )
    periods = ((0, steps.start), (steps.start, steps.stop))
    shown = (strata.shown(store.history, n_posts, *period) for period in periods)
    propensity = Propensity.estimate(*shown)
    weighed = requests.weighed(propensity, strata.of_user)
    return PeriodRequests(weighed, strata, sessions, is_drawn, propensity)


def test_steps(store: FeatureStore, fold: Fold) -> range:
    """Steps of a fold's test."""
    seconds = store.fitted.step_seconds
    return range(fold.cutoff // seconds, min(-(-fold.until // seconds), store.shared.n_steps))
