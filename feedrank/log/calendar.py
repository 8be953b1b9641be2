"""Calendar: warm-up, training and rolling test folds over time, half-open."""

from __future__ import annotations

from dataclasses import dataclass

from feedrank.errors import ParamsError
from feedrank.log.metadata import SECONDS_A_DAY, LogMeta


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
    """

    warmup_days: int
    test_days: int
    n_days: int

    @classmethod
    def of(cls, meta: LogMeta, warmup_days: int | None, test_days: int | None) -> Calendar:
        """Days as named in the parameters; None: 14 and 7, or a fifth and a tenth of a short log.

        Raises:
            ParamsError: the log is too short to hold a warm-up, training and a test.
        """
        warmup = warmup_days or max(1, min(14, meta.n_days // 5))
        test = test_days or max(1, min(7, meta.n_days // 10))
        if warmup + test >= meta.n_days:
            raise ParamsError(
                f"the log has {meta.n_days} days: too few for {warmup} days of warm-up "
                f"('features.warmup_days'), {test} of test ('validate.test_days') and at least one "
                "between them. Lower these, or extract a longer period."
            )
        return cls(warmup, test, meta.n_days)

    def folds(self, n_folds: int) -> list[Fold]:
        """Up to `n_folds` folds, the earliest first; the last one ends with the log.

        Earlier folds are left out where they would leave less than one day for training.
        """
        since, test = self.warmup_days * SECONDS_A_DAY, self.test_days * SECONDS_A_DAY
        end = self.n_days * SECONDS_A_DAY
        cutoffs = [end - (back + 1) * test for back in reversed(range(n_folds))]
        return [
            Fold(since, cutoff, cutoff + test)
            for cutoff in cutoffs
            if cutoff >= since + SECONDS_A_DAY
        ]
