"""Extract against a bare COPY and against pandas: ratios of one run, and peak memory.

python -m benchmarks.scale.extract --rows 77000000 --directory <folder>

The table is made by plain SQL in an embedded server in the folder, and kept for the next run. With
`--url`, a table of your own is read.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd
import psutil
import psycopg2
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from feedrank.demo.server import embedded_server

ROWS_A_USER = 471  # of the reference installation, likes included
COLUMNS = "timestamp, user_id, post_id, action, target"
PANDAS_CHUNK = 100_000  # rows; any number from 10,000 on gives about the same time
FILL = """
CREATE TABLE user_data AS SELECT g + 200 AS user_id, g % 2 AS gender, 14 + g % 60 AS age,
    'city ' || g % 100 AS city FROM generate_series(0, {users} - 1) g;
CREATE TABLE post_text_df AS SELECT g AS post_id, repeat('text ' || g, 100) AS text,
    'topic ' || g % 7 AS topic FROM generate_series(1, 7023) g;
CREATE TABLE feed_data (timestamp timestamp, user_id bigint, post_id bigint, action text,
    target bigint);
INSERT INTO feed_data SELECT
    timestamp '2021-10-01' + make_interval(
        days => (g % 471 * 90 / 471)::int, secs => 25200 + g * 7919 % 50000),
    200 + g / 471, 1 + g * 7919 % 7023, CASE WHEN g % 9 = 8 THEN 'like' ELSE 'view' END,
    CASE WHEN g % 9 = 7 THEN 1 ELSE 0 END
  FROM generate_series(0::bigint, {users} * 471 - 1) g;
"""
EXTRACT = """
import sys
from pathlib import Path
from dataclasses import replace
from feedrank.extraction.extract import Extract
from feedrank.io.malloc import keep_freed_memory
from feedrank.params import load_params
from feedrank.extraction.postgres.connection import Source
url, directory, connections = sys.argv[1:]
keep_freed_memory()
params, directory = load_params(), Path(directory)
extract = replace(params.extract, connections=int(connections))
Extract(Source(url, params.source), extract, directory / "log", directory / "reports",
        directory / ".spool", "benchmark").run()
"""


class Memory:
    """Peak memory of a process, and of the server's processes while it works.

    The first comes from the system. The second is sampled four times a second, since each sample
    takes 3 ms of the processors that the extract works on.
    """

    def __init__(self) -> None:
        self.client = self.server = 0
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the process to end; ends the program if it failed."""
        _, status, usage = os.wait4(process.pid, 0)
        self._has_ended.set()
        self._thread.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        self.client = usage.ru_maxrss * 1024  # of Linux, where it is in KiB
        if process.returncode != 0:
            sys.exit("the extract failed")

    def _watch(self) -> None:
        while not self._has_ended.wait(0.25):
            self.server = max(self.server, sum(map(_own_memory, _backends())))


def main() -> None:
    arguments = _arguments()
    with _database(arguments) as url:
        n = _scalar(url, "SELECT count(*) FROM feed_data")
        print(f"{n:,} rows, {os.cpu_count()} cores")
        bare = _bare(url, n)
        log = arguments.directory / "out"
        for _ in range(arguments.repeat):
            _report("extract", _extract(url, log, arguments.connections), bare)
        if arguments.kill:
            _kill_and_resume(url, arguments)
        if arguments.pandas_rows:
            _report("pandas.read_sql, extrapolated", _pandas(url, n, arguments.pandas_rows), bare)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--url", help="of a database of your own")
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--pandas-rows", type=int, default=1_000_000, help="0: without pandas")
    parser.add_argument("--kill", action="store_true", help="kill one in the middle, and resume")
    return parser.parse_args()


@contextmanager
def _database(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.url:
        yield arguments.url
        return
    with embedded_server(arguments.directory / "pgdata") as url:
        users = max(arguments.rows // ROWS_A_USER, 1)
        if _scalar(url, "SELECT count(*) FROM pg_class WHERE relname = 'feed_data'") == 0:
            with closing(_connect(url)) as connection, connection.cursor() as cursor:
                cursor.execute(FILL.format(users=users))
                connection.commit()
                connection.autocommit = True
                cursor.execute("VACUUM (ANALYZE, FREEZE) feed_data")
        yield url


def _connect(url: str) -> psycopg2.extensions.connection:
    libpq = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg2.connect(libpq)


def _scalar(url: str, query: str) -> int:
    with closing(_connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])


def _bare(url: str, n: int) -> float:
    """Seconds of the faster bare COPY; both are printed."""

    class Nowhere:
        def write(self, data: bytes) -> None:
            pass

    def on_server() -> None:
        cursor.execute(f"COPY (SELECT {COLUMNS} FROM feed_data) TO '/dev/null'")

    def to_client() -> None:
        cursor.copy_expert(f"COPY (SELECT {COLUMNS} FROM feed_data) TO STDOUT", Nowhere())

    with closing(_connect(url)) as connection, connection.cursor() as cursor:
        seconds = {f.__name__: min(_timed(f), _timed(f)) for f in (on_server, to_client)}
    for name, value in seconds.items():
        print(f"bare COPY {name:10s} {value:8.1f} s {n / value / 1e6:6.2f} million rows/s")
    return seconds["on_server"]


def _extract(url: str, directory: Path, connections: int) -> tuple[float, Memory]:
    """Seconds and memory of an extract in a process of its own, from nothing."""
    shutil.rmtree(directory, ignore_errors=True)
    return _run(url, directory, connections)


def _run(url: str, directory: Path, connections: int) -> tuple[float, Memory]:
    since = time.monotonic()
    process = _start(url, directory, connections)
    memory = Memory()
    memory.wait(process)
    return time.monotonic() - since, memory


def _start(url: str, directory: Path, connections: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", EXTRACT, url, str(directory), str(connections)]
    return subprocess.Popen(command)


def _kill_and_resume(url: str, arguments: argparse.Namespace) -> None:
    """Kill an extract once half of its chunks are there; its log must be the whole one's."""
    whole, killed = arguments.directory / "out", arguments.directory / "killed"
    shutil.rmtree(killed, ignore_errors=True)
    half = 0.5 * _scalar(url, "SELECT count(*) FROM feed_data") / 500_000
    process = _start(url, killed, arguments.connections)
    while len(list(killed.glob(".spool/chunks/*.chunk"))) < half:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_chunks = len(list(killed.glob(".spool/chunks/*.chunk")))
    seconds, _ = _run(url, killed, arguments.connections)
    is_same = _digest(whole) == _digest(killed)
    print(f"killed after {n_chunks} chunks, resumed in {seconds:.1f} s, same bytes: {is_same}")


def _digest(directory: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted((directory / "log").iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _pandas(url: str, n: int, sample: int) -> tuple[float, None]:
    """Seconds of chunked pandas.read_sql for all rows, from those of a sample."""

    def read() -> None:
        query = f"SELECT {COLUMNS} FROM feed_data LIMIT {sample}"
        with engine.connect().execution_options(stream_results=True) as connection:
            for _ in pd.read_sql(query, connection, chunksize=PANDAS_CHUNK):
                pass

    engine = create_engine(url)
    return _timed(read) * n / min(sample, n), None


def _timed(call: Callable[[], None]) -> float:
    since = time.monotonic()
    call()
    return time.monotonic() - since


def _report(name: str, result: tuple[float, Memory | None], bare: float) -> None:
    seconds, memory = result
    line = f"{name:30s} {seconds:8.1f} s {seconds / bare:6.2f} x bare COPY on the server"
    if memory:
        line += f", peak {memory.client / 1e6:.0f} MB + server {memory.server / 1e6:.0f} MB"
    print(line, flush=True)


def _backends() -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [p for p in found if any("postgres: " in c for c in p.info["cmdline"] or [])]


def _own_memory(process: psutil.Process) -> int:
    """Bytes that are the process's own: shared buffers are not counted for every backend."""
    try:
        return int(process.memory_info().rss - process.memory_info().shared)
    except psutil.Error:
        return 0


if __name__ == "__main__":
    main()
