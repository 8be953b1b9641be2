"""What is judged in a fold: our ranker in two states, and the baselines, by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from feedrank.features.row_files import StoredRows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import features_of
from feedrank.io.storage import Location, fetched
from feedrank.log.calendar import Fold
from feedrank.params import ExportParams, TrainParams, ValidateParams
from feedrank.ranking.ranker import Ranker
from feedrank.ranking.recommender import Recommender
from feedrank.state.feature_store import FeatureStore
from feedrank.training.fit import fit_ranker
from feedrank.validation.baselines.als import Factors, has_implicit
from feedrank.validation.baselines.baseline import Random
from feedrank.validation.baselines.classic import Classic
from feedrank.validation.baselines.logistic import Logistic, LogisticWeights
from feedrank.validation.baselines.most_liked import MostLiked
from feedrank.validation.replay.replay import Ranks

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
    """What is fitted before a fold's cutoff, and where the store lies.

    Attributes:
        features: directory of `FeatureStore`.
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
        store = FeatureStore.load(fetched(features))
        earlier = rows.between(0, fold.cutoff)
        step = fold.cutoff // store.fitted.step_seconds
        names = method_names(validate)
        return cls(
            features,
            fold,
            fit_ranker(rows, fold.cutoff, features_of(store.fitted), train),
            Classic.fit(store, earlier, validate.seed),
            LogisticWeights.fit(earlier, validate.seed) if "logistic" in names else None,
            Factors.fit(store, step, validate.seed) if "als" in names else None,
            recommend,
            validate.state,
            validate.seed,
        )

    @cached_property
    def store(self) -> FeatureStore:
        """Loaded once a process, with the states that were derived of it."""
        return FeatureStore.load(fetched(self.features))

    def recommenders(self) -> tuple[Recommender, Recommender]:
        """Ours with the state of each request, and frozen at the cutoff."""
        rules = self.recommend
        return (
            Recommender(self.store, self.ranker, rules.candidates, rules.exclude),
            Recommender(self.store, self.ranker, rules.candidates, rules.exclude, self.fold.cutoff),
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
        store, headline = self.store, self.headline(fresh, aged)
        found: list[Ranks] = [
            headline,
            aged if headline is fresh else fresh,
            Random(len(store.catalogue.post_ids), self.seed),
            MostLiked(store, by_segment=False, as_of=self.as_of),
            MostLiked(store, by_segment=True, as_of=self.as_of),
            self.classic,
        ]
        if self.logistic is not None:
            found.append(Logistic(headline, self.logistic))
        if self.factors is not None:
            found.append(self.factors)
        return found

    def without_cut(self) -> Recommender:
        """Ours, in the state of each request, that scores every post by the trees."""
        n_posts = len(self.store.catalogue.post_ids)
        return Recommender(self.store, self.ranker, n_posts, self.recommend.exclude)
