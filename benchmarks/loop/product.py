"""Product in the loop: its database, its stages and its service, as an operator would run them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psycopg2
import yaml
from sqlalchemy import make_url

from benchmarks.loop.world import Session, World, feed_rows
from feedrank.demo.fill import TABLES, encode_feed
from feedrank.demo.server import embedded_server
from feedrank.log.impressions import Impressions
from feedrank.schema import POST_ID, USER_ID
from tests.support.checkout import copy_tracked
from tests.support.service_process import serving

STAGES = ("features", "validate", "train", "export")
LIST = "/post/recommendations/"
PATIENCE = 60.0  # seconds for an answer: far more than one takes


@dataclass(frozen=True)
class Product:
    """A checkout in a scratch folder, with a database of its own.

    Attributes:
        folder: of the checkout.
        dsn: of the database.
        world: whose users come.
    """

    folder: Path
    dsn: str
    world: World

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, world: World, params: dict[str, dict]) -> Iterator[Product]:
        """The checkout with these parameters changed, and a filled database that runs."""
        copy_tracked(Path.cwd(), folder)
        found = yaml.safe_load((folder / "params.yaml").read_text())
        for group, values in params.items():
            found[group] |= values
        (folder / "params.yaml").write_text(yaml.safe_dump(found))
        (folder / "exposures").mkdir()
        (folder / "state").mkdir(mode=0o700)
        with embedded_server(folder / "pgdata") as dsn:
            product = cls(folder, dsn, world)
            product._create()
            yield product

    def _create(self) -> None:
        network, warm = self.world.network, self.world.random.before(self.world.warm)
        with self._cursor() as cursor:
            for table, columns in TABLES.items():
                cursor.execute(f"CREATE TABLE {table} ({columns})")
            _copy_csv(cursor, "user_data", network.users)
            _copy_csv(cursor, "post_text_df", network.posts.iloc[self.world.posts(0)])
        self.append(warm)

    def publish(self) -> None:
        """The withheld posts come."""
        with self._cursor() as cursor:
            posts = self.world.network.posts.iloc[self.world.withheld]
            _copy_csv(cursor, "post_text_df", posts)

    def append(self, views: Impressions) -> None:
        """Rows of the feed that the network writes."""
        rows = io.BytesIO(encode_feed(feed_rows(views), self.world.network))
        with self._cursor() as cursor:
            cursor.copy_expert("COPY feed_data FROM STDIN (FORMAT binary)", rows)

    def build(self, at: int) -> dict[str, Any]:
        """Extract and all that follows; the metrics of the new artifact.

        The truth of the test week is laid beside the log, as the demo's extract does.
        """
        self._run("stages.extract")
        self.world.truth_before(at).save(self.folder / "data/truth")
        for stage in STAGES:
            self._run(f"stages.{stage}")
        return dict(json.loads((self.folder / "reports/metrics.json").read_text()))

    def deploy(self, forced: bool = False) -> str:
        """The gate's sentence, or '' where the new artifact is served."""
        words = ("--force", "the first one") if forced else ()
        done = self._call("service.deploy", "models/artifact", *words)
        return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]

    @contextmanager
    def served(self) -> Iterator[httpx2.Client]:
        """A client of a real service of what is deployed."""
        link, state = self.folder / "models/live", self.folder / "state"
        environment = {"FEEDRANK_EXPOSURES": str(self.folder / "exposures")}
        with (
            serving(link, state, **environment) as server,
            httpx2.Client(base_url=server.address, timeout=PATIENCE) as client,
        ):
            yield client

    def lists(self, client: httpx2.Client, sessions: list[Session]) -> list[np.ndarray]:
        """What the service answers to each session: rows of posts, one for each view."""
        users, ids = (
            frame[name].to_numpy()
            for frame, name in (
                (self.world.network.users, USER_ID),
                (self.world.network.posts, POST_ID),
            )
        )
        origin = datetime.fromisoformat(self.world.network.truth.origin)
        found = []
        for session in sessions:
            at = (origin + timedelta(seconds=int(session.at[0]))).isoformat()
            query = {"id": int(users[session.user]), "time": at, "limit": len(session.at)}
            answer = client.get(LIST, params=query).raise_for_status().json()
            found.append(np.searchsorted(ids, [post["id"] for post in answer]))
        return found

    @property
    def artifact(self) -> Path:
        """Of what is served."""
        return (self.folder / "models/live").resolve()

    def _run(self, module: str) -> None:
        done = self._call(module)
        if done.returncode:
            raise SystemExit(f"{module} ended with {done.returncode}:\n{done.stderr[-3000:]}")

    def _call(self, module: str, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FEED_DSN": self.dsn, "PYTHONPATH": str(self.folder)}
        environment["FEEDRANK_STATE"] = str(self.folder / "state")
        command = [sys.executable, "-m", module, *words]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        url = make_url(self.dsn)
        connection = psycopg2.connect(
            user=url.username, dbname=url.database, host=url.query["host"], port=url.query["port"]
        )
        with connection, connection.cursor() as cursor:
            yield cursor
        connection.close()


def _copy_csv(cursor: Any, table: str, frame: Any) -> None:
    rows = io.BytesIO(frame.to_csv(index=False, header=False).encode())
    cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT csv)", rows)
