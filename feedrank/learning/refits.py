"""Refits: clusters, factors and prior strengths, fitted whenever the log has grown by 40 %."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice, repeat

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.engines.engine import map_parts, sum_parts
from feedrank.learning.counting_pass import added
from feedrank.learning.posts.choice import choose_kind
from feedrank.learning.posts.factors import text_components
from feedrank.learning.posts.fit import FittedPosts, fit_posts
from feedrank.learning.posts.larger_sample import fitted_again, sample_of
from feedrank.learning.prior_strengths import RefitCounts, fit_strengths, sampled_users
from feedrank.learning.texts.design import text_design
from feedrank.learning.texts.taste_words import TextWords, find_taste_words
from feedrank.learning.topic_contexts import count_contexts, n_contexts, topic_ratios
from feedrank.log.embeddings import embeddings_of
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.log.steps import by_step, n_steps, steps_of
from feedrank.params import FeaturesParams
from feedrank.schema import TEXT
from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Cells, Tally, cells_of, sum_of_cells, tally
from feedrank.state.fitted import FittedParameters, WarmupParameters
from feedrank.state.history import History, InteractionSample
from feedrank.state.posts.clusters import PostClusters
from feedrank.state.posts.refit import Refit, Strengths
from feedrank.state.posts.taste_words import TasteWords
from feedrank.state.profiles import Profiles

# The last refit has 75 of the reference log's 90 days; at 1.5 it had 70. At 1.25 nine refits, not
# six, double the time of the features.
GROWTH = 1.4
# Share of the steps before a refit that a trial of both kinds is fitted on, the others judging it:
# from .8 to .9 *films* and *interests* choose alike.
TRIAL_SHARE = 0.85

NO_TEXT = np.empty((0, 0))  # posts come after the last refit

OfUsers = tuple[Tally, Tally]  # of sampled users, by cluster and by topic


def refit_days(warmup_days: int, n_days: int, most: int) -> list[int]:
    """First days of the refits: the end of the warm-up, then whenever the log has grown by 40 %."""
    days = {int(warmup_days * GROWTH**number) for number in range(2 * most)}
    return sorted(day for day in days if day < n_days)[:most]


def refit_steps(days: list[int], step_seconds: int) -> list[int]:
    """First steps of the refits, from their first days; of steps longer than a day, each once."""
    return sorted({day * SECONDS_A_DAY // step_seconds for day in days})


def fit_refits(
    log: Log,
    profiles: Profiles,
    fixed: WarmupParameters,
    by_post: StepCounts,
    history: History,
    firsts: list[int],
    params: FeaturesParams,
) -> tuple[FittedParameters, tuple[StepCounts, ...]]:
    """All fitted parameters, and the counts by profile column of each refit.

    A refit is fitted on the impressions strictly before its first step.

    Args:
        log: the log.
        profiles: of all users.
        fixed: parameters of the warm-up.
        by_post: counts over time, key (segment, post).
        history: of all users.
        firsts: first step of each refit.
        params: of the features.
    """
    before = [fixed.by_segment(by_post.before(first), first) for first in firsts]
    segments = [fixed.knowing(first).segment(profiles.codes) for first in firsts]
    samples = [sample_of(history, *of) for of in zip(segments, firsts, strict=True)]
    embeddings = embeddings_of(log.posts)
    texts, vocabulary = text_design(log.posts[TEXT], fixed.topic, params.vocabulary, embeddings)
    since = [int(TRIAL_SHARE * first) for first in firsts]
    ends = zip(firsts, since, strict=True)
    earlier = [fixed.by_segment(by_post.before(end), first) for first, end in ends]
    trials = list(zip(since, earlier, strict=True))
    design = (texts, text_components(texts, params.seed))
    of_texts = TextWords.of(texts, len(vocabulary.words), fixed.topic)
    job = partial(_fit_one, before, samples, trials, design, of_texts, params)
    fits = map_parts(job, len(firsts), "finding clusters and factors of posts")
    posts, words = map(list, zip(*fits, strict=True))
    n_first = [len(sample) for sample in samples]
    del job, samples  # before larger ones are made
    posts = fitted_again(posts, n_first, firsts, before, history, segments, design, params)
    posts[:-1] = [(replace(c, gate=NO_TEXT), replace(f, of_text=NO_TEXT)) for c, f in posts[:-1]]
    clusters = [c for c, _ in posts]
    counts = _count_refits(log, profiles, fixed, by_post, firsts, clusters)
    strengths_of = partial(_strengths_of, fixed, firsts, clusters, profiles.codes, by_post, counts)
    strengths = map_parts(strengths_of, len(firsts), "fitting prior strengths")
    of_refits = zip(firsts, posts, words, strengths, counts, strict=True)
    refits = tuple(
        Refit(f, *of, w, s, topic_ratios(c.by_context, fixed.column_offsets))
        for f, of, w, s, c in of_refits
    )
    return FittedParameters(**vars(fixed), refits=refits, vocabulary=vocabulary), tuple(
        c.by_column for c in counts
    )


def _fit_one(
    before: list[Tally],
    samples: list[InteractionSample],
    trials: list[tuple[int, Tally]],
    design: tuple[csr_matrix, np.ndarray],
    words: TextWords,
    params: FeaturesParams,
    number: int,
) -> tuple[FittedPosts, TasteWords]:
    sample, (since, earlier) = samples[number], trials[number]
    kinds, posts = fit_posts(before[number], sample, *design, params), None
    if len(kinds) > 1:
        trial = fit_posts(earlier, sample[sample.step < since], *design, params)
        posts = choose_kind(kinds, trial, earlier, since, sample)
    posts = posts or kinds[0]
    return posts, find_taste_words(words, posts, before[number], sample)


def _strengths_of(
    fixed: WarmupParameters,
    firsts: list[int],
    clusters: list[PostClusters],
    codes: np.ndarray,
    by_post: StepCounts,
    counts: list[RefitCounts],
    number: int,
) -> Strengths:
    of_refit = (firsts[number], clusters[number], codes, by_post, counts[number])
    return fit_strengths(fixed, *of_refit)


def _count_refits(
    log: Log,
    profiles: Profiles,
    fixed: WarmupParameters,
    by_post: StepCounts,
    firsts: list[int],
    clusters: list[PostClusters],
) -> list[RefitCounts]:
    first_step = by_post.first_steps().reshape(fixed.n_segments, -1).min(0)
    job = partial(_refits_of_bucket, log, profiles, fixed, firsts, clusters, first_step)
    of_users: list[list[OfUsers]] = []
    by_context = np.zeros((len(firsts), 2, n_contexts(fixed), fixed.n_topics), np.int64)

    def add(of_bucket: tuple[list[OfUsers], np.ndarray]) -> None:
        of_users.append(of_bucket[0])
        np.add(by_context, of_bucket[1], out=by_context)

    by_column = sum_parts(job, added, log.meta.n_buckets, "counting by cluster", add)
    found = []
    for counts, of_refit, context in zip(
        by_column, zip(*of_users, strict=True), by_context, strict=True
    ):
        of_cluster, of_topic = (_joined(parts) for parts in zip(*of_refit, strict=True))
        found.append(RefitCounts(counts, of_cluster, of_topic, Tally(*context)))
    return found


def _joined(parts: Sequence[Tally]) -> Tally:
    """Counts of the users of several buckets, one after another."""
    return Tally(*(np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0])))


def _refits_of_bucket(
    log: Log,
    profiles: Profiles,
    fixed: WarmupParameters,
    firsts: list[int],
    clusters: list[PostClusters],
    first_step: np.ndarray,
    bucket: int,
) -> tuple[list[StepCounts], tuple[list[OfUsers], np.ndarray]]:
    """By refit: counts by profile column; sampled users' by cluster and topic; all by context."""
    rows = log.bucket(bucket)
    first_user, end_user = log.meta.user_range(bucket)
    total, n_clusters = n_steps(log, fixed.step_seconds), clusters[0].rate.shape[1]
    users = sampled_users(log.meta.n_users, n_clusters)
    users = users[(users >= first_user) & (users < end_user)]
    steps = steps_of(rows, fixed.step_seconds).astype(np.int64)
    sampled = np.isin(rows.user, users)
    some, some_steps = rows[sampled], steps[sampled]
    steps_old = steps - first_step[rows.post]
    contexts_of = partial(count_contexts, fixed, profiles.codes[first_user:end_user], first_user)
    by_column, of_users, by_context, begin = [], [], [], 0
    for first, last, refit in zip(firsts, [*firsts[1:], total], clusters, strict=True):
        count = partial(
            _column_cells, (first_user, end_user), profiles, fixed.knowing(first), refit
        )
        # All before the refit counts in the step before it, nothing of the next refit counts.
        none, n_before = count(rows[:0]), max(first - 1, 0)
        parts = islice(by_step(rows, np.maximum(steps, first - 1), last), n_before, None)
        cells = chain(repeat(none, n_before), map(count, parts), repeat(none, total - last))
        by_column.append(StepCounts.of(cells, fixed.knowing(first).n_column_keys(n_clusters)))
        before = slice(begin, begin := int(np.searchsorted(steps, first)))
        by_context.append(contexts_of(rows[before], steps_old[before]))
        earlier = some[: int(np.searchsorted(some_steps, first))]
        by_cluster = _by_user(users, earlier, refit.cluster, n_clusters)
        by_topic = _by_user(users, earlier, fixed.topic, fixed.n_topics)
        of_users.append((by_cluster, by_topic))
    return by_column, (of_users, np.cumsum(by_context, axis=0))


def _column_cells(
    user_range: tuple[int, int],
    profiles: Profiles,
    fixed: WarmupParameters,
    clusters: PostClusters,
    rows: Impressions,
) -> Cells:
    """Counts by (profile code end to end, segment, cluster) of all profile columns.

    Rows are counted by user and cluster first, of which there are fewer cells.
    """
    (first, end), n_clusters = user_range, clusters.rate.shape[1]
    key = (rows.user - np.int64(first)) * n_clusters + clusters.cluster[rows.post]
    cell, shown, liked = cells_of(key, rows.liked, (end - first) * n_clusters)
    user, cluster = np.divmod(cell, n_clusters)
    keys = fixed.column_keys(profiles.codes[first + user], cluster, n_clusters)
    shown, liked = (np.repeat(count, keys.shape[1]) for count in (shown, liked))
    return sum_of_cells([(keys.ravel(), shown, liked)], fixed.n_column_keys(n_clusters))


def _by_user(users: np.ndarray, rows: Impressions, part: np.ndarray, n_parts: int) -> Tally:
    """Counts by user, of ascending rows of the log, and part of the posts, int32."""
    key = np.searchsorted(users, rows.user) * n_parts + part[rows.post]
    counts = tally(key, rows.liked, len(users) * n_parts).reshape(len(users), n_parts)
    return Tally(counts.shown.astype(np.int32), counts.liked.astype(np.int32))
