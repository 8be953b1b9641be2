"""MovieLens, of 100,000 ratings to 32 million: a rating of four stars or more is a like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.real_logs.tables import Tables, files
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID

LIKED_STARS = 4.0  # of five, as is usual for lists
RATING = [USER_ID, POST_ID, "rating", "at"]
PROFILE_1M = [USER_ID, "gender", "age", "occupation", "zip"]
PROFILE_100K = [USER_ID, "age", "gender", "occupation", "zip"]
OLD: dict[str, Any] = {"header": None, "encoding": "latin-1", "engine": "python"}
GENRES_100K = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|"
    "Horror|Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western"
)


def movielens(folder: Path, liked_stars: float = LIKED_STARS) -> Tables:
    """Ratings as impressions, liked from so many stars on; the format is told by the file's name.

    `ratings.csv` and `movies.csv` (20 million and more, and the small latest one), `ratings.dat`,
    `movies.dat` and `users.dat` (1 million; 10 million without users), or `u.data`, `u.item` and
    `u.user` (100,000). Only films that were rated are known to have been seen, so the log flatters
    whatever is rated often and low.
    """
    path = files(folder, "ratings.csv", "ratings.dat", "u.data")[0]
    read = {".csv": _of_csv, ".dat": _of_dat, ".data": _of_100k}[path.suffix]
    ratings, posts, users = read(path)
    ratings["timestamp"] = pd.to_datetime(ratings.pop("at"), unit="s")
    ratings["target"] = (ratings.pop("rating") >= liked_stars).astype(int)
    posts[TOPIC] = posts["genres"].str.split("|").str[0]
    posts[TEXT] = posts["title"] + " " + posts["genres"].str.replace("|", " ")
    if users is None:
        users = ratings[[USER_ID]].drop_duplicates()
    # A zip code is nearly unique, so that it would tell one user from another.
    return Tables(
        users.drop(columns="zip", errors="ignore"), posts[[POST_ID, TEXT, TOPIC]], ratings
    )


Parts = tuple[pd.DataFrame, pd.DataFrame, "pd.DataFrame | None"]


def _of_csv(path: Path) -> Parts:
    ratings = pd.read_csv(path, names=RATING, header=0)
    names = [POST_ID, "title", "genres"]
    return ratings, pd.read_csv(path.with_name("movies.csv"), names=names, header=0), None


def _of_dat(path: Path) -> Parts:
    ratings = pd.read_csv(path, sep="::", names=RATING, **OLD)
    names = [POST_ID, "title", "genres"]
    movies = pd.read_csv(path.with_name("movies.dat"), sep="::", names=names, **OLD)
    people = path.with_name("users.dat")
    users = pd.read_csv(people, sep="::", names=PROFILE_1M, **OLD) if people.exists() else None
    if users is not None:
        users["occupation"] = "work " + users["occupation"].astype(str)  # a code, not a number
    return ratings, movies, users


def _of_100k(path: Path) -> Parts:
    ratings = pd.read_csv(path, sep="\t", names=RATING, **OLD)
    genres = GENRES_100K.split("|")
    names = [POST_ID, "title", "released", "video", "url", *genres]
    movies = pd.read_csv(path.with_name("u.item"), sep="|", names=names, **OLD)
    movies["genres"] = [
        "|".join(g for g, holds in zip(genres, row, strict=True) if holds) or genres[0]
        for row in movies[genres].to_numpy()
    ]
    users = pd.read_csv(path.with_name("u.user"), sep="|", names=PROFILE_100K, **OLD)
    return ratings, movies, users
