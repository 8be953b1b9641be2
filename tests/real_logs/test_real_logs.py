"""Public logs' formats, on tiny files of the published columns, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
Written = Callable[[Path], None]


def _ebnerd(folder: Path) -> None:
    (folder / "train").mkdir()
    columns = {
        "impression_id": [1, 2],
        "article_id": [None, 12.0],
        "impression_time": pd.to_datetime(["2023-05-21 21:06:50", "2023-05-24 07:31:26"]),
        "article_ids_inview": [[11, 12], [12, 13]],
        "article_ids_clicked": [[12], [13]],
        "user_id": [7, 8],
        "is_sso_user": [False, True],
        "gender": [None, 1.0],
        "postcode": [None, 2.0],
        "age": [None, 50.0],
        "is_subscriber": [False, True],
    }
    pd.DataFrame(columns).to_parquet(folder / "train" / "behaviors.parquet")
    articles = {"article_id": [11, 12, 13], "title": ["a", "b", "c"], "subtitle": ["x", None, "z"],
                "category_str": ["sport", "nyheder", "sport"],
                "topics": [["Cup", "Final"], None, ["Cup"]]}  # fmt: skip
    pd.DataFrame(articles).to_parquet(folder / "articles.parquet")


def _mind(folder: Path) -> None:
    lists = (
        "1\t7\t11/13/2019 8:36:57 AM\tN1 N2\t11-0 12-1\n2\t8\t11/13/2019 11:00:00 PM\t\t12-0 13-1\n"
    )
    (folder / "behaviors.tsv").write_text(lists)
    news = "".join(
        f'{post}\t{topic}\tsub\t{title}\t{abstract}\turl\t[]\t[]\n'
        for post, topic, title, abstract in (
            (11, "sport", 'a "b', "x"), (12, "news", "b", ""), (13, "sport", "c", "z"))
    )  # fmt: skip
    (folder / "news.tsv").write_text(news)


RATINGS = (
    (7, 11, 3, 978300760),
    (7, 12, 4, 978302109),
    (8, 12, 1, 978301968),
    (8, 13, 5, 97830000),
)
FILMS = ((11, "Toy (1995)", "Animation|Comedy"), (12, "Heat", "Crime"), (13, "Jaws", "Horror"))


def _movielens_csv(folder: Path) -> None:
    rows = "".join(f"{u},{i},{r}.0,{t}\n" for u, i, r, t in RATINGS)
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + rows)
    films = "".join(f'{i},"{title}",{genres}\n' for i, title, genres in FILMS)
    (folder / "movies.csv").write_text("movieId,title,genres\n" + films)


def _movielens_dat(folder: Path) -> None:
    (folder / "ratings.dat").write_text("".join(f"{u}::{i}::{r}::{t}\n" for u, i, r, t in RATINGS))
    films = "".join("::".join(map(str, film)) + "\n" for film in FILMS)
    (folder / "movies.dat").write_text(films)
    (folder / "users.dat").write_text("7::F::1::10::48067\n8::M::56::16::70072\n")


def _movielens_100k(folder: Path) -> None:
    (folder / "u.data").write_text("".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in RATINGS))
    flags = {11: (3, 5), 12: (6,), 13: (11,)}  # places of the genres above among the nineteen
    films = "".join(
        f"{i}|{title}|01-Jan-1995||http|"
        + "|".join(str(int(g in flags[i])) for g in range(19))
        + "\n"
        for i, title, _ in FILMS
    )
    (folder / "u.item").write_text(films, encoding="latin-1")
    (folder / "u.user").write_text("7|24|M|technician|85711\n8|53|F|other|94043\n")


def _kuairand(folder: Path) -> None:
    head = "user_id,video_id,date,hourmin,time_ms,is_click,is_like\n"
    for part, rows in (
        ("4_08_to_4_21", ((7, 11, 0), (7, 12, 1))),
        ("4_22", ((8, 12, 0), (8, 13, 1))),
    ):
        text = "".join(f"{u},{i},20220421,400,1650485801301,1,{y}\n" for u, i, y in rows)
        (folder / f"log_standard_{part}_pure.csv").write_text(head + text)
    (folder / "log_random_4_22_pure.csv").write_text(head + "7,14,20220421,400,1650485801301,1,1\n")
    profile = (
        "user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num_range,"
        "fans_user_num_range,friend_user_num_range,register_days_range"
    )
    users = "".join(f'{u},full_active,0,0,1,"(0,10]","[1,10)",0,730+\n' for u in (7, 8, 9))
    (folder / "user_features_pure.csv").write_text(f"user_id,{profile}\n{users}")
    videos = "".join(f'{i},1,"{i},30"\n' for i in (11, 12, 13, 14))
    (folder / "video_features_basic_pure.csv").write_text("video_id,author_id,tag\n" + videos)


def _run(*arguments: object) -> str:
    command = [sys.executable, "-m", "benchmarks.real_logs", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("log", "write", "topic", "word", "profile"),
    [
        ("ebnerd", _ebnerd, "sport", "Final", 5),
        ("mind", _mind, "sport", "sub", 0),
        ("movielens", _movielens_csv, "Animation", "Animation", 0),
        ("movielens", _movielens_dat, "Animation", "Animation", 3),
        ("movielens", _movielens_100k, "Animation", "Animation", 3),
        ("kuairand", _kuairand, "tag 11", "author1", 7),
    ],
)
def test_each_published_format_becomes_the_same_three_tables(
    tmp_path: Path, log: str, write: Written, topic: str, word: str, profile: int
) -> None:
    folder, out = tmp_path / "log", tmp_path / "out"
    folder.mkdir()
    write(folder)
    _run(log, folder, "--write", out)
    users, posts, feed = (
        pd.read_parquet(out / f"{n}.parquet") for n in ("user_data", "post_text_df", "feed_data")
    )
    rows = feed[["user_id", "post_id", "target"]].astype(int).sort_values(["user_id", "post_id"])
    assert rows.to_numpy().tolist() == [[7, 11, 0], [7, 12, 1], [8, 12, 0], [8, 13, 1]]
    assert feed["timestamp"].dtype.kind == "M"
    assert set(feed["action"]) == {"view"}
    assert sorted(users["user_id"].astype(int)) == [7, 8]
    assert users.shape[1] == 1 + profile
    posts = posts.set_index(posts["post_id"].astype(int))
    assert sorted(posts.index) == [11, 12, 13]
    assert posts.loc[11, "topic"] == topic
    assert posts["text"].notna().all()
    assert word in posts.loc[11, "text"].split()


@pytest.mark.parametrize(("stars", "liked"), [(4, 2), (5, 1)])
def test_stars_that_are_a_like_can_be_named(tmp_path: Path, stars: int, liked: int) -> None:
    folder, out = tmp_path / "log", tmp_path / "out"
    folder.mkdir()
    _movielens_csv(folder)
    _run("movielens", folder, "--stars", stars, "--write", out)
    assert pd.read_parquet(out / "feed_data.parquet")["target"].astype(int).sum() == liked


def test_a_whole_log_becomes_a_table_of_methods(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(1), []
    for number in range(400):
        day, hour, user = number // 40, number % 12, number % 45
        shown = rng.choice(40, 9, replace=False)
        liked = rng.random(9) < np.where(shown % 4 == user % 4, 0.5, 0.1)
        pairs = " ".join(f"N{i}-{int(y)}" for i, y in zip(shown, liked, strict=True))
        rows.append(f"{number}\tU{user}\t11/{day + 1:02d}/2019 {hour or 12}:00:00 PM\t\t{pairs}\n")
    (tmp_path / "behaviors.tsv").write_text("".join(rows))
    news = (f"N{i}\ttopic {i % 4}\ts\tnews number {i}\tabout {i % 4}\t\t\t\n" for i in range(40))
    (tmp_path / "news.tsv").write_text("".join(news))
    lines = _run("mind", tmp_path, "--step", "1d").splitlines()
    assert lines[0] == "45 users, 40 posts, 3,600 rows"
    names = {line.split("|")[1].strip() for line in lines if line.startswith("| ")}
    assert {"feedrank", "most_liked", "decayed_likes", "ease", "logistic", "random"} <= names


def test_a_folder_without_the_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"holds none of behaviors\.tsv"):
        _run("mind", tmp_path)
