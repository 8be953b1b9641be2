"""Calendar: warm-up, training and rolling test folds over time, half-open."""

from __future__ import annotations

from dataclasses import dataclass

from feedrank.errors import ParamsError
from feedrank.log.metadata import SECONDS_A_DAY, LogMeta

FEWEST_DAYS = 3  # one each of warm-up, training and test
# A log that ends earlier in the day than this ends within a day: its hours are no day to test on.
WHOLE_DAY = SECONDS_A_DAY * 3 // 4
# Impressions from which on a usual test has 14 days, or a fifth of a shorter log, not half as many:
# of so many a ranker has learned what it learns, while intervals narrow. Those of 69 million
# impressions do by a fifth, those of 7 million do not: docs/validation-results.md, "Matches of
# other requests".
LARGE = 10_000_000


@dataclass(frozen=True)
class Fold:
    """Training rows of [since, cutoff), test requests of [cutoff, until), in seconds."""

    since: int
    cutoff: int
    until: int


@dataclass(frozen=True)
class Calendar:
    """Use of a log's days.

    Attributes:
        warmup_days: first days, which only enter the counts.
        test_days: length of one fold's test.
        n_days: days of the log.
        partial_days: 1 if the log ends within its last day, else 0.
    """

    warmup_days: int
    test_days: int
    n_days: int
    partial_days: int = 0

    @classmethod
    def of(cls, meta: LogMeta, warmup_days: int | None, test_days: int | None) -> Calendar:
        """Days as named in the parameters, or as usual: 14 of warm-up, a fifth of a shorter log.

        The usual test is half as long as the usual warm-up, of a `LARGE` log as long.

        Raises:
            ParamsError: the log is too short to hold a warm-up, training and a test.
        """
        if meta.n_days < FEWEST_DAYS:
            raise ParamsError(too_few_days(meta.n_days))
        usual = max(1, min(14, meta.n_days // 5))
        warmup = warmup_days or usual
        test = test_days or (usual if meta.n_impressions >= LARGE else max(1, usual // 2))
        if warmup + test >= meta.n_days:
            named = {"'features.warmup_days'": warmup, "'validate.test_days'": test}
            lower = " or ".join(name for name, days in named.items() if days > 1)
            raise ParamsError(
                f"the log has {meta.n_days} days: too few for {warmup} days of warm-up "
                f"('features.warmup_days'), {test} of test ('validate.test_days') and at least one "
                f"between them. Lower {lower}, or extract a longer period."
            )
        ends_within = meta.last_at % SECONDS_A_DAY < WHOLE_DAY
        return cls(warmup, test, meta.n_days, int(ends_within and warmup + test + 1 < meta.n_days))

    def folds(self, n_folds: int) -> list[Fold]:
        """Up to `n_folds` folds, the earliest first; the last one ends with the log.

        Hours of a partial last day are added to the last fold. Earlier folds are left out where
        they would leave less than one day for training.
        """
        since, test = self.warmup_days * SECONDS_A_DAY, self.test_days * SECONDS_A_DAY
        end = (self.n_days - self.partial_days) * SECONDS_A_DAY
        partial = self.partial_days * SECONDS_A_DAY
        cutoffs = [end - (back + 1) * test for back in reversed(range(n_folds))]
        return [
            Fold(since, cutoff, cutoff + test + (partial if cutoff + test == end else 0))
            for cutoff in cutoffs
            if cutoff >= since + SECONDS_A_DAY
        ]


def too_few_days(n_days: int) -> str:
    """What to do about a log of fewer than `FEWEST_DAYS` days, two sentences."""
    return (
        f"the log has {n_days} day{'s' * (n_days != 1)}, but {FEWEST_DAYS} are the least: one of "
        "warm-up, one to learn from and one to test on. Extract a longer period ('extract.since' "
        "and 'extract.until'), or wait until the feed has more days."
    )
