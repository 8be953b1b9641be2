"""Lists of many users: ranked part by part in processes, kept on disk, and joined at the end."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.manifest import version_of
from feedrank.engines.engine import map_parts
from feedrank.io.files import write_whole
from feedrank.live.delta_log import DeltaLog
from feedrank.live.live_store import LiveStore
from feedrank.log.metadata import LogMeta
from feedrank.ranking.recommender import Recommender
from feedrank.state.catalogue import are_text, plain_ids

PART_USERS = 4_096  # some 3 s of one processor: what a killed run does again
ABOUT = "about.json"


@dataclass(frozen=True)
class Job:
    """Lists to make.

    Attributes:
        artifact: its directory, not a link, which may be moved while the job runs.
        delta: path of the delta log that it is brought forward by.
        place: number of the last row of each of its tables that counts.
        version: of the artifact.
        users: SHA-256 of the rows of the users.
        at: seconds since the log's origin.
        k: length of each list.
    """

    artifact: str
    delta: str
    place: dict[str, int]
    version: str
    users: str
    at: int
    k: int

    @classmethod
    def of(
        cls, artifact: Path, delta: Path, place: dict[str, int], users: np.ndarray, at: int, k: int
    ) -> Job:
        """The job of an artifact's directory."""
        digest = hashlib.sha256(users.tobytes()).hexdigest()
        return cls(str(artifact), str(delta), place, version_of(artifact), digest, at, k)


def interrupted(parts: Path) -> Job | None:
    """The job whose parts a directory holds."""
    try:
        return Job(**json.loads((parts / ABOUT).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def make_lists(job: Job, users: np.ndarray, parts: Path) -> Iterator[Path]:
    """Files of the parts' lists, in order; those of an interrupted job are kept.

    Args:
        job: that is done.
        users: rows of the catalogue, in the order of the lists.
        parts: directory of the files, made if it is missing, emptied if it is another job's.
    """
    about = json.dumps(asdict(job)).encode()
    if not (parts / ABOUT).exists() or (parts / ABOUT).read_bytes() != about:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        write_whole(parts / ABOUT, about)
    n_parts = -(-len(users) // PART_USERS)
    return map_parts(partial(_part, job, users, parts, PART_USERS), n_parts, "lists")


def _part(job: Job, users: np.ndarray, parts: Path, size: int, number: int) -> Path:
    path = parts / f"{number:06}.parquet"
    if not path.exists():
        own = users[number * size : (number + 1) * size]
        sink = pa.BufferOutputStream()
        pq.write_table(lists_of(_artifact(json.dumps(asdict(job))), own, job.at, job.k), sink)
        write_whole(path, sink.getvalue())
    return path


@cache
def _artifact(job: str) -> Artifact:
    found = Job(**json.loads(job))
    return followed_artifact(Path(found.artifact), Path(found.delta), found.place)


def place_of(delta: Path) -> dict[str, int]:
    """Number of the last row of each table of a delta log; empty where there is none."""
    if not delta.exists():
        return {}
    with closing(DeltaLog(delta)) as log:
        return log.place()


def followed_artifact(directory: Path, delta: Path, place: dict[str, int]) -> Artifact:
    """An artifact with what the delta log held at a place, as a service had it then.

    Rows up to the place stay as they are, but for hidden posts, which a row tells as of now.
    """
    artifact = Artifact.load(directory)
    if not place:
        return artifact
    with closing(DeltaLog(delta)) as log:
        live = LiveStore(artifact.store, artifact.like_window)
        posts = [post for post in log.posts_after(0) if post.seq <= place["posts"]]
        users = [user for user in log.users_after(0) if user.seq <= place["users"]]
        live.apply(None, posts, users, log.hidden_after(0))
        last = 0
        while last < place["events"] and len(events := log.events_after(last)):
            live.apply(events[events.seq <= place["events"]])
            last = int(events.seq[-1])
    return artifact.with_store(live.store())


def lists_of(artifact: Artifact, users: np.ndarray, at: int, k: int) -> pa.Table:
    """Lists as a table, one row a post: user, place from 1, post, and probability of a like."""
    catalogue = artifact.recommender.catalogue
    lists = artifact.explorer.rank_many(users, at, k)
    sizes = [len(ranked.post) for ranked in lists]
    post = np.concatenate([np.zeros(0, np.int64), *(ranked.post for ranked in lists)])
    place = np.concatenate([np.zeros(0, np.int64), *(np.arange(n) + 1 for n in sizes)])
    probability = [np.zeros(0, np.float32), *(ranked.probability for ranked in lists)]
    return pa.table(
        [
            plain_ids(catalogue.user_ids[np.repeat(users, sizes)]),
            place,
            plain_ids(catalogue.post_ids[post]),
            np.concatenate(probability),
        ],
        schema_of(artifact.recommender),
    )


def schema_of(recommender: Recommender) -> pa.Schema:
    """Columns of the lists; ids are of the database's kind."""
    kinds = [
        pa.string() if are_text(ids) else pa.int64()
        for ids in (recommender.catalogue.user_ids, recommender.catalogue.post_ids)
    ]
    return pa.schema(
        [
            ("user_id", kinds[0]),
            ("place", pa.int16()),
            ("post_id", kinds[1]),
            ("probability", pa.float32()),
        ]
    )


def about_of(job: Job, meta: LogMeta) -> dict[str, str]:
    """What made the lists: version of the artifact, and the moment on the log's clock."""
    return {"artifact": job.version, "at": meta.moment(job.at).isoformat()}
