"""Users and posts of the simulated network: the two small tables, without anything latent."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID

# All numbers are those of the reference installation or near them (public notebooks of the course).
# Posts of each topic, and the width of its contiguous range of ids.
TOPICS = ("business", "entertainment", "politics", "sport", "tech", "covid", "movie")
TOPIC_POSTS = np.array([510, 386, 417, 510, 401, 1_799, 3_000])
TOPIC_IDS = np.array([540, 398, 442, 537, 415, 1_871, 3_116])
YOUNGEST, OLDEST = 14, 95
YOUNG_UNTIL, OLD_FROM = 23, 32  # the three age classes: up to 22, 23 to 31, over 31
N_AGE_CLASSES = 3
FIRST_USER_ID = 200

COUNTRIES = {
    "Russia": 0.876, "Ukraine": 0.052, "Belarus": 0.020, "Kazakhstan": 0.019, "Turkey": 0.010,
    "Finland": 0.009, "Azerbaijan": 0.008, "Estonia": 0.002, "Latvia": 0.002, "Cyprus": 0.001,
    "Switzerland": 0.001,
}  # fmt: skip
BIG_CITIES = {
    "Russia": ("Moscow", "Saint Petersburg", "Yekaterinburg", "Novosibirsk", "Kazan", "Samara",
               "Nizhny Novgorod", "Rostov", "Krasnodar", "Perm", "Ufa", "Omsk", "Voronezh"),
    "Ukraine": ("Kyiv", "Kharkiv", "Odesa", "Dnipro", "Lviv"),
    "Belarus": ("Minsk", "Gomel", "Brest", "Grodno"),
    "Kazakhstan": ("Almaty", "Astana", "Shymkent", "Karaganda"),
    "Turkey": ("Istanbul", "Ankara", "Izmir", "Antalya"),
    "Finland": ("Helsinki", "Tampere", "Turku"),
    "Azerbaijan": ("Baku", "Ganja"),
    "Estonia": ("Tallinn", "Tartu"),
    "Latvia": ("Riga", "Daugavpils"),
    "Cyprus": ("Nicosia", "Limassol"),
    "Switzerland": ("Zurich", "Geneva", "Bern"),
}  # fmt: skip
# Small towns, built from a stem and an ending: a column of high cardinality, as in a real network.
TOWN_STEMS = (
    "Belo", "Verkhne", "Nizhne", "Staro", "Novo", "Krasno", "Zeleno", "Svetlo", "Lesno",
    "Kamensko", "Ozero", "Bystro", "Sosno", "Beryozo", "Dubo", "Solno", "Tikho",
)  # fmt: skip
TOWN_ENDINGS = (
    "gorsk", "rechensk", "polye", "gorod", "dolsk", "sk", "var", "borsk", "ozyorsk", "kamsk",
    "lugovsk", "mysk",
)  # fmt: skip
METROPOLES = ("Moscow", "Saint Petersburg")
METROPOLIS_SHARES = (0.134, 0.07)  # of all users


def make_users(n_users: int, rng: np.random.Generator) -> pd.DataFrame:
    """`user_data`: one row a user, sorted by `user_id`; ids have gaps."""
    country = rng.choice(list(COUNTRIES), n_users, p=_normed(list(COUNTRIES.values())))
    return pd.DataFrame(
        {
            USER_ID: FIRST_USER_ID + _sparse(n_users, round(n_users * 1.032), rng),
            "gender": (rng.random(n_users) < 0.55).astype(np.int64),
            "age": _ages(n_users, rng),
            "country": country,
            "city": _cities(country, rng),
            "exp_group": rng.integers(0, 5, n_users),
            "os": np.where(rng.random(n_users) < 0.65, "Android", "iOS"),
            "source": np.where(rng.random(n_users) < 0.62, "ads", "organic"),
        }
    )


def make_posts(n_posts: int, rng: np.random.Generator) -> pd.DataFrame:
    """`post_text_df` without its texts: sorted by `post_id`, each topic a contiguous id range."""
    sizes = _shares(n_posts, TOPIC_POSTS)
    widths = np.maximum(sizes, np.round(sizes * TOPIC_IDS / TOPIC_POSTS)).astype(np.int64)
    firsts = 1 + np.cumsum(widths) - widths
    ids = [f + _sparse(n, w, rng) for f, n, w in zip(firsts, sizes, widths, strict=True)]
    return pd.DataFrame({POST_ID: np.concatenate(ids), TEXT: "", TOPIC: np.repeat(TOPICS, sizes)})


def age_class(age: np.ndarray) -> np.ndarray:
    """0 up to 22 years, 1 from 23 to 31, 2 over 31."""
    return np.asarray(np.searchsorted([YOUNG_UNTIL, OLD_FROM], age, side="right"))


def _ages(n_users: int, rng: np.random.Generator) -> np.ndarray:
    """Shifted log-normal ages, cut at both ends: median 24, mean 27."""
    shift, middle, spread = 12.0, 12.2, 0.7
    low, high = ndtr(np.log((np.array([YOUNGEST, OLDEST + 1]) - shift) / middle) / spread)
    normal = ndtri(low + (high - low) * rng.random(n_users))
    ages = np.floor(shift + middle * np.exp(spread * normal))
    return np.asarray(np.clip(ages, YOUNGEST, OLDEST), dtype=np.int64)


def _cities(country: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A city of each user's country: few large ones, many small towns."""
    city = np.empty(len(country), dtype=object)
    for name, big in BIG_CITIES.items():
        here = np.flatnonzero(country == name)
        towns = np.array([stem + end for stem in TOWN_STEMS for end in TOWN_ENDINGS], dtype=object)
        places = np.concatenate([np.array(big, dtype=object), rng.permutation(towns)])
        city[here] = rng.choice(places, len(here), p=_city_shares(name, len(big), len(towns)))
    return city


def _city_shares(country: str, n_big: int, n_towns: int) -> np.ndarray:
    """Half live in the big cities and half in the towns, both by rank; metropoles have shares."""
    big = 0.5 * _normed(1 / np.arange(1.0, n_big + 1))
    towns = 0.5 * _normed(1 / np.arange(1.0, n_towns + 1) ** 0.7)
    if country != "Russia":
        return np.concatenate([big, towns])
    metropoles = np.array(METROPOLIS_SHARES) / COUNTRIES["Russia"]
    rest = np.concatenate([big[len(metropoles) :], towns])
    return np.concatenate([metropoles, (1 - metropoles.sum()) * rest / rest.sum()])


def _sparse(n: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """`n` different whole numbers of [0, width), ascending."""
    return np.asarray(np.sort(rng.choice(width, n, replace=False)))


def _shares(total: int, weights: np.ndarray) -> np.ndarray:
    """Whole numbers in proportion to the weights, at least 1 each, that add up to `total`."""
    exact = total * weights / weights.sum()
    sizes: np.ndarray = np.maximum(np.floor(exact).astype(np.int64), 1)
    for place in np.argsort(sizes - exact, kind="stable")[: total - sizes.sum()]:
        sizes[place] += 1
    return sizes


def _normed(weights: list[float] | np.ndarray) -> np.ndarray:
    return np.asarray(np.asarray(weights) / np.sum(weights))
