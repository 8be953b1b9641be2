"""Habits: networks of tastes by hour, weekday, author, word, profile, age, what was just shown.

    python -m benchmarks.quality.habits                        # fourteen networks, two seeds each
    python -m benchmarks.quality.habits --without topics repeats     # without some features

No kind of the demo has them. Each list is the best five of the posts that a request showed;
its true hit rate is one less the product of 1 - p over it, by the simulation's own p.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from feedrank.engines.processes import one_thread_of_algebra
from feedrank.features import spec
from feedrank.features.row_pass import training_rows
from feedrank.learning import refits
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.params import load_params
from feedrank.state.posts.taste_words import TasteWords
from feedrank.validation.fold import FoldResult, run_fold
from tests.support.simulated_logs import write_log

K, USERS, DAYS, TEST_DAYS = 5, 2000, 28, 4
VISITS = (8, 13, 17, 21)  # hours


@dataclass(frozen=True)
class Habit:
    """A network, by the effects on the log-odds of a like.

    Attributes:
        base: log-odds of an average post.
        topics: number of topics.
        length: posts of a visit.
        taste: spread of a user's taste in a topic.
        hours: spread of a topic's appeal by visit of the day.
        mood: effect of the one topic that a user wants today.
        fatigue: effect of log(1 + impressions of the topic, which halve in 12 hours).
        drift: days after which a taste is another.
        crossed: spread of a post's appeal to young women and older men, that to the others turned
            round; that to women has half of it.
        profiles: spread of a topic's appeal by gender, by one of six interests and by one of 40
            cities; three more columns say nothing.
        weekend: spread of a topic's appeal by weekend or not.
        aging: spread of a topic's effect of log(1 + hours) of a post's age.
        bored: effect of impressions of this very post, which halve in 24 hours.
        waves: spread of a topic's appeal that is another after four days.
        member: effect of the four topics, about, that a user is a member of. The feed knows them,
            and shows their posts ten times as often.
        words: spread of a user's taste in a word that says something.
        vocabulary: number of these words.
        in_text: of a text, at most; ten others are of 3,000 that say nothing.
        posts: of the catalogue.
        life: hours that a post is shown for.
    """

    base: float = -2.6
    topics: int = 8
    length: int = 12
    taste: float = 0.5
    hours: float = 0.0
    mood: float = 0.0
    fatigue: float = 0.0
    drift: float = np.inf
    crossed: float = 0.0
    profiles: float = 0.0
    weekend: float = 0.0
    aging: float = 0.0
    bored: float = 0.0
    waves: float = 0.0
    member: float = 0.0
    words: float = 0.0
    vocabulary: int = 1
    in_text: int = 1
    posts: int = 900
    life: float = np.inf


HABITS = {
    "hours": Habit(taste=0.3, hours=0.8),
    "mood": Habit(base=-3.0, length=24, mood=2.4),
    "fatigue": Habit(base=-1.7, topics=12, fatigue=-1.0),
    "drift": Habit(taste=1.0, drift=6.0),
    "authors": Habit(topics=200, taste=1.2),
    "crossed": Habit(taste=0.3, crossed=0.5),
    "profiles": Habit(topics=60, taste=0.2, profiles=0.5),
    "weekend": Habit(topics=12, taste=0.4, weekend=0.5),
    "aging": Habit(topics=12, taste=0.3, aging=0.5, posts=1500, life=96),
    "bored": Habit(base=-2.2, taste=0.4, bored=-2.0, posts=150),
    "waves": Habit(topics=30, taste=0.4, waves=0.8, posts=1400, life=48),
    "members": Habit(base=-3.2, topics=150, taste=0.2, member=1.6, posts=3500, life=30),
    "names": Habit(taste=0.3, words=1.2, vocabulary=200),
    "genres": Habit(taste=0.3, words=0.5, vocabulary=18, in_text=3),
}


def simulated(habit: Habit, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Impressions with their probabilities of a like `p`, the posts and the users."""
    rng = np.random.default_rng(seed)
    n = habit.posts
    topic, quality = rng.integers(0, habit.topics, n), rng.normal(0, 0.35, n)
    taste = rng.normal(0, habit.taste, (USERS, habit.topics))
    hours = rng.normal(0, habit.hours, (len(VISITS), habit.topics))
    activity, parts = rng.gamma(2, 0.5, USERS), []
    seen, seen_at = np.zeros((USERS, habit.topics)), np.zeros(USERS)
    users = pd.DataFrame({"user_id": np.arange(USERS), "age": rng.integers(16, 66, USERS)})
    appeal, side = np.zeros((2, n)), np.zeros((2, USERS))
    if habit.crossed:
        users["gender"] = rng.choice(["f", "m"], USERS)
        side[0] = np.where(users.gender == "f", 1, -1)
        side[1] = side[0] * np.where(users.age < 41, 1, -1)
        appeal = rng.normal(0, habit.crossed, (2, n)) * [[0.5], [1]]
    later = np.random.default_rng((seed, 1))  # so that other networks stay as they are
    of_columns = (("gender", 2), ("interest", 6), ("city", 40), ("a", 3), ("b", 5), ("c", 8))
    for name, n_codes in of_columns if habit.profiles else ():
        code = later.integers(0, n_codes, USERS)
        users[name] = [f"{name} {c}" for c in code]
        if len(name) > 1:
            taste = taste + later.normal(0, habit.profiles, (n_codes, habit.topics))[code]
    of_day = later.normal(0, habit.weekend, (2, habit.topics))
    slope = later.normal(0, habit.aging, habit.topics)
    wave = later.normal(0, habit.waves, habit.topics)
    born = later.uniform(-habit.life, DAYS * 24, n) if np.isfinite(habit.life) else np.zeros(n)
    is_member = later.random((USERS, habit.topics if habit.member else 1)) * habit.topics < 4
    says = np.random.default_rng((seed, 2))
    word = says.integers(0, habit.vocabulary, (n, habit.in_text))
    word[says.random(word.shape) < np.arange(habit.in_text) / habit.in_text] = habit.vocabulary
    liking = says.normal(0, habit.words, (USERS, habit.vocabulary + 1))
    liking[:, -1] = 0  # of a text of fewer words
    met, met_at = np.zeros((USERS, n if habit.bored else 1)), np.zeros(USERS)
    for day in range(DAYS):
        wave = np.exp(-0.25) * wave + np.sqrt(1 - np.exp(-0.5)) * later.normal(
            0, habit.waves, len(wave)
        )
        kept = np.exp(-1 / habit.drift)
        taste = kept * taste + np.sqrt(1 - kept**2) * rng.normal(0, habit.taste, taste.shape)
        wanted = (taste + rng.gumbel(size=taste.shape)).argmax(1)
        is_active = rng.random(USERS) < 0.2 * activity
        for visit, hour in enumerate(VISITS):
            user = np.flatnonzero(is_active & (rng.random(USERS) < 0.7))
            now = day * 24 + hour
            alive = np.flatnonzero((born <= now) & (born > now - habit.life))
            post = np.stack([rng.choice(alive, habit.length, replace=False) for _ in user])
            if habit.member:
                often = 1 + 9 * is_member[user[:, None], topic[alive]]
                chances = often / often.sum(1, keepdims=True)
                post = np.stack(
                    [later.choice(alive, habit.length, replace=False, p=p) for p in chances]
                )
            own, of = user[:, None], topic[post]
            seen[user] *= 0.5 ** ((now - seen_at[user]) / 12)[:, None]
            seen_at[user] = now
            odds = habit.base + taste[own, of] + quality[post] + hours[visit][of]
            odds += habit.mood * (of == wanted[own]) + habit.fatigue * np.log1p(seen[own, of])
            odds += (side[:, own] * appeal[:, post]).sum(0)
            odds += of_day[int(day % 7 >= 5), of] + wave[of]
            if habit.words:
                odds += liking[own[..., None], word[post]].sum(-1)
            odds += slope[of] * (np.log1p(now - born[post]) - 3)
            if habit.member:
                odds += habit.member * is_member[own, of]
            if habit.bored:
                met[user] *= 0.5 ** ((now - met_at[user]) / 24)[:, None]
                met_at[user] = now
                odds += habit.bored * np.minimum(met[own, post], 1.5)
                met[own, post] += 1
            np.add.at(seen, (np.broadcast_to(own, of.shape), of), 1)
            p = 1 / (1 + np.exp(-odds))
            at = (
                now * 3600
                + rng.integers(0, 3000, len(user))[:, None]
                + 20 * np.arange(habit.length)
            )
            columns = {"user": own + 0 * post, "post": post, "at": at, "p": p}
            parts.append(pd.DataFrame({name: values.ravel() for name, values in columns.items()}))
    rows = pd.concat(parts, ignore_index=True)
    posts = pd.DataFrame({"post_id": np.arange(n), "topic": [f"t{t}" for t in topic], "text": ""})
    if habit.words:
        others = (says.pareto(0.5, (n, 10)) % 3000).astype(int)
        posts["text"] = [
            " ".join([*(f"other{o}" for o in some), *(f"word{w}" for w in {*own})])
            for some, own in zip(others.tolist(), word.tolist(), strict=True)
        ]
    return rows.assign(liked=rng.random(len(rows)) < rows.p), posts, users


def replayed(
    rows: pd.DataFrame, posts: pd.DataFrame, users: pd.DataFrame, scratch: Path
) -> FoldResult:
    """The last days, by the pipeline's own code and parameters with steps of an hour."""
    params = load_params()
    params = replace(
        params,
        features=replace(params.features, step="1h", max_rows=250_000),
        validate=replace(params.validate, test_days=TEST_DAYS, folds=1, requests=1500),
    )
    columns = {"user": np.uint32, "post": np.uint32, "at": np.uint32, "liked": np.uint8}
    impressions = Impressions(*(rows[name].to_numpy(kind) for name, kind in columns.items()))
    log = write_log(scratch / "log", users, posts, impressions)
    store, features = fit_store(log, params), scratch / "features"
    features.mkdir()
    store.save(features)
    calendar = Calendar.of(log.meta, params.features.warmup_days, TEST_DAYS)
    made = training_rows(log, store, params)
    return run_fold(log, features, made, calendar.folds(1)[-1], params)


def true_rates(result: FoldResult, rows: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """By method, the mean true hit rate of the best shown posts, and its standard error."""
    found, hour = result.replayed, SECONDS_A_DAY // 24
    p = rows.assign(step=rows["at"] // hour).groupby(["user", "step", "post"]).p.first()
    judged = ~np.isnan(found.hit_shown[0, :, K - 1])
    user, step = (np.repeat(column[judged], K) for column in (found.user, found.at // hour))
    rates = {}
    for method, lists in zip(result.names, found.of_shown[:, judged, :K], strict=True):
        key = pd.MultiIndex.from_arrays([user, step, lists.ravel()])
        hit = 1 - (1 - p.loc[key].to_numpy().reshape(-1, K)).prod(1)
        rates[method] = (float(hit.mean()), float(hit.std() / np.sqrt(len(hit))))
    return rates


def main() -> None:
    """Print a line a network and seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--habits", nargs="+", default=list(HABITS), choices=HABITS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--without", nargs="+", default=[], choices=["topics", "repeats", "words"])
    given = parser.parse_args()
    os.environ["FEEDRANK_WORKERS"] = "1"  # other processes would not know of the next line
    if "topics" in given.without:
        vars(spec)["features_of_topics"] = lambda _: ()
    if "repeats" in given.without:
        vars(spec)["REPEATED"] = ()
    if "words" in given.without:
        vars(refits)["find_taste_words"] = lambda words, *_: TasteWords.none(len(words.topic))
    one_thread_of_algebra()
    for name in given.habits:
        for seed in given.seeds:
            rows, posts, users = simulated(HABITS[name], seed)
            with tempfile.TemporaryDirectory(prefix="feedrank-habits-") as scratch:
                found = true_rates(replayed(rows, posts, users, Path(scratch)), rows)
            words = ", ".join(f"{m} {rate:.3f} ({error:.3f})" for m, (rate, error) in found.items())
            print(f"{name}, {seed}: {len(rows):,} impressions: {words}", flush=True)


if __name__ == "__main__":
    main()
