"""What is judged in a fold: our ranker in two states, and the baselines, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from feedrank.fitting import fit_ranker
from feedrank.folds import Fold
from feedrank.knowledge import Knowledge
from feedrank.params import ExportParams, TrainParams, ValidateParams
from feedrank.ranker import Ranker
from feedrank.recommender import Recommender
from feedrank.rows import TrainingRows
from feedrank.stored import StoredRows
from feedrank.stores import Location, fetched
from feedrank.validation.baselines import Classic, MostLiked, Random
from feedrank.validation.factors import Factors, has_implicit
from feedrank.validation.logistic import Logistic, LogisticWeights
from feedrank.validation.replay import Ranks

OURS, FRESH, AGED = "feedrank", "feedrank_fresh", "feedrank_aged"
BASELINES = ("random", "most_liked", "most_liked_by_segment", "classic")
COSTLY = ("logistic", "als")


def method_names(params: ValidateParams) -> tuple[str, ...]:
    """Ours first, then ours in the other state, then the baselines that can be had."""
    other = FRESH if params.state == "aged" else AGED
    costly = COSTLY if params.baselines == "all" else ()
    return (OURS, other, *BASELINES, *(n for n in costly if n != "als" or has_implicit()))


@dataclass(frozen=True)
class FoldModels:
    """What is fitted before a fold's cutoff, and where the knowledge lies.

    Attributes:
        features: directory of `Knowledge`.
        fold: the fold.
        ranker: trained on rows before the cutoff.
        classic: fitted on the same rows.
        logistic: fitted on the same rows; None where it is not asked for.
        factors: of likes before the cutoff; None where not asked for or not to be had.
        recommend: how lists are made.
        state: 'fresh' or 'aged': of the headline.
        seed: of the random baseline.
    """

    features: Location
    fold: Fold
    ranker: Ranker
    classic: Classic
    logistic: LogisticWeights | None
    factors: Factors | None
    recommend: ExportParams
    state: str
    seed: int

    @classmethod
    def fit(
        cls,
        features: Location,
        rows: TrainingRows | StoredRows,
        fold: Fold,
        validate: ValidateParams,
        train: TrainParams,
        recommend: ExportParams,
    ) -> FoldModels:
        """Fit everything on rows before the cutoff."""
        knowledge = Knowledge.load(fetched(features))
        earlier = rows.between(0, fold.cutoff)
        step = fold.cutoff // knowledge.encodings.step_seconds
        names = method_names(validate)
        return cls(
            features,
            fold,
            fit_ranker(rows, fold.cutoff, knowledge.features, train),
            Classic.fit(knowledge, earlier, validate.seed),
            LogisticWeights.fit(earlier, validate.seed) if "logistic" in names else None,
            Factors.fit(knowledge, step, validate.seed) if "als" in names else None,
            recommend,
            validate.state,
            validate.seed,
        )

    @cached_property
    def knowledge(self) -> Knowledge:
        """Loaded once a process, with the states that were derived of it."""
        return Knowledge.load(fetched(self.features))

    def recommenders(self) -> tuple[Recommender, Recommender]:
        """Ours with the state of each request, and frozen at the cutoff."""
        return (
            self.knowledge.recommender(self.ranker, self.recommend),
            self.knowledge.recommender(self.ranker, self.recommend, as_of=self.fold.cutoff),
        )

    @property
    def as_of(self) -> int | None:
        """Seconds after which the headline knows nothing; None: it knows all before a request."""
        return self.fold.cutoff if self.state == "aged" else None

    def headline(self, fresh: Recommender, aged: Recommender) -> Recommender:
        """Ours in the state of the headline."""
        return fresh if self.as_of is None else aged

    def methods(self, fresh: Recommender, aged: Recommender) -> list[Ranks]:
        """The methods in the order of `method_names`.

        What counts or reads features knows as much as the headline; trained models what they saw.
        """
        knowledge, headline = self.knowledge, self.headline(fresh, aged)
        found: list[Ranks] = [
            headline,
            aged if headline is fresh else fresh,
            Random(len(knowledge.catalogue.post_ids), self.seed),
            MostLiked(knowledge, by_segment=False, as_of=self.as_of),
            MostLiked(knowledge, by_segment=True, as_of=self.as_of),
            self.classic,
        ]
        if self.logistic is not None:
            found.append(Logistic(headline, self.logistic))
        if self.factors is not None:
            found.append(self.factors)
        return found

    def without_cut(self) -> Recommender:
        """Ours, in the state of each request, that scores every post by the trees."""
        every = replace(self.recommend, candidates=len(self.knowledge.catalogue.post_ids))
        return self.knowledge.recommender(self.ranker, every)
