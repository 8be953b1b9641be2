from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from feedrank.errors import SourceError
from feedrank.extraction.audit.day_counts import Disproved
from feedrank.extraction.postgres.connection import Transaction
from feedrank.extraction.postgres.copy_reader import Collected
from feedrank.extraction.postgres.driver_errors import ConnectionLost
from feedrank.extraction.postgres.feed_query import FeedSql
from feedrank.extraction.spool.chunks import Spool
from tests.conftest import ROOT, TestDatabase
from tests.support.postgres_tables import AS_VIEW, before, counting, extraction, files, large, once

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import importlib
module = importlib.import_module({module!r})
from tests.support.postgres_tables import extraction
owner = {owner}
whole, calls = owner.{name}, 0
def dying(*args, **kwargs):
    global calls
    calls += 1
    if calls > {after}:
        {half}
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*args, **kwargs)
owner.{name} = dying
extraction({url!r}, Path({directory!r}), chunk_rows=1500).run()
"""


def _kill(database: TestDatabase, directory: Path, point: str, after: int, half: str = "") -> str:
    """Extract in a process of its own that is killed at the n-th call of a function."""
    module, owner, name = point.split(":")
    script = KILLED.format(
        root=str(ROOT), module=module, owner=owner or "module", name=name,
        after=after, half=half or "pass", url=database.url, directory=str(directory),
    )  # fmt: skip
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    return ended.stderr


ANY_CHUNK = int(np.random.default_rng(7).integers(5, 13))
HALF_A_FILE = "args[0].with_name('.' + args[0].name + '.new').write_bytes(args[1][:100])"


@pytest.mark.parametrize(
    ("point", "after", "half"),
    [
        ("feedrank.extraction.spool.chunks::write_whole", 3, HALF_A_FILE),
        ("feedrank.extraction.spool.chunks::write_whole", ANY_CHUNK, HALF_A_FILE),
        ("feedrank.extraction.spool.log_writer::write_groups", 1, ""),
        ("feedrank.io.outputs::replace_directory", 0, ""),
        ("feedrank.io.files:module.Path:rename", 0, ""),
        ("feedrank.io.files:module.Path:rename", 1, ""),
    ],
)
def test_a_killed_run_goes_on_to_the_same_bytes(
    database: TestDatabase, tmp_path: Path, point: str, after: int, half: str
) -> None:
    large(database)
    extraction(database.url, tmp_path / "whole").run()
    killed = tmp_path / "killed"
    if "rename" in point:  # a previous log, of something else, is being replaced
        extraction(database.url, killed, user_share=0.5).run()
    _kill(database, killed, point, after, half)
    n_before = len(Spool(killed / ".spool" / "chunks").names())
    read = counting(extraction(database.url, killed, chunk_rows=1500).run)
    assert files(killed) == files(tmp_path / "whole")
    assert n_before > 0
    assert read < 17_777 if "write_whole" in point else read == 0


def test_a_previous_log_comes_back_from_a_run_that_was_killed_while_replacing_it(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    extraction(database.url, tmp_path, user_share=0.5).run()
    previous = files(tmp_path)
    _kill(database, tmp_path, "feedrank.io.files:module.Path:rename", 1)
    assert not (tmp_path / "log").exists()
    with pytest.raises(SourceError, match="cannot connect"):
        extraction("postgresql://nobody@127.0.0.1:1/nowhere", tmp_path).run()
    assert files(tmp_path)["log/meta.json"] == previous["log/meta.json"]


def _stop(run: Callable[[], object], after: int) -> None:
    """Let a run fail for good after some chunks."""
    whole, n = Spool.add, 0

    def failing(self: Spool, *args: object) -> None:
        nonlocal n
        n += 1
        if n > after:
            raise KeyboardInterrupt
        whole(self, *args)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Spool, "add", failing)
        with pytest.raises(KeyboardInterrupt):
            run()


def test_a_swapped_id_is_found_when_earlier_work_is_used(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    whole = FeedSql.chunk
    _stop(extraction(database.url, tmp_path).run, 2)
    monkeypatch.setattr(FeedSql, "chunk", lambda *args: whole(*args).replace("<< 1)", "<< 1) + 2"))
    with pytest.raises(Disproved, match="222 liked, checksums"):
        extraction(database.url, tmp_path).run()


def test_a_stopped_run_starts_over_when_the_source_changed(
    database: TestDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logged: pytest.LogCaptureFixture,
) -> None:
    large(database)
    _stop(extraction(database.url, tmp_path / "stopped").run, 4)
    database.execute("UPDATE feed_data SET post_id = 1 WHERE user_id = 30")
    extraction(database.url, tmp_path / "stopped").run()
    assert "source or parameters changed since the run that was stopped" in logged.text
    extraction(database.url, tmp_path / "whole").run()
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_rows_that_moved_to_other_blocks_are_not_read_twice(
    database: TestDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logged: pytest.LogCaptureFixture,
) -> None:
    large(database)
    # Room in the last blocks, for rows of the first: the table keeps its size.
    database.execute("INSERT INTO feed_data SELECT * FROM feed_data WHERE user_id = 2")
    database.execute("DELETE FROM feed_data WHERE ctid >= '(120,0)'::tid")
    database.execute("INSERT INTO feed_data SELECT * FROM feed_data WHERE user_id IN (2, 4, 6)")
    database.execute("DELETE FROM feed_data WHERE ctid >= '(110,0)' AND ctid < '(120,0)'")
    database.alone("VACUUM (TRUNCATE false) feed_data")
    extraction(database.url, tmp_path / "whole", chunk_rows=1500).run()
    blocks = database.execute("SELECT pg_relation_size('feed_data')")
    _stop(extraction(database.url, tmp_path / "stopped", chunk_rows=1500, connections=1).run, 4)
    database.execute("UPDATE feed_data SET target = target WHERE user_id = 2")
    assert database.execute("SELECT pg_relation_size('feed_data')") == blocks
    extraction(database.url, tmp_path / "stopped", chunk_rows=1500).run()
    assert "Reading everything again" in logged.text
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_a_chunk_whose_bytes_were_lost_is_read_again(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    extraction(database.url, tmp_path / "whole").run()
    _stop(extraction(database.url, tmp_path / "stopped", connections=1).run, 3)
    lost, emptied, _ = sorted((tmp_path / "stopped" / ".spool" / "chunks").glob("*.chunk"))
    lost.write_bytes(lost.read_bytes()[:-8] + bytes(8))
    emptied.write_bytes(bytes(emptied.stat().st_size))
    extraction(database.url, tmp_path / "stopped").run()
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


END_ALL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'feedrank'"""


@pytest.mark.parametrize(
    "which", ["query LIKE 'COPY%string_agg%'", "query NOT LIKE 'COPY%string_agg%'", "true"]
)
def test_connections_that_the_server_ends_are_opened_again(
    database: TestDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logged: pytest.LogCaptureFixture,
    which: str,
) -> None:
    large(database)
    extraction(database.url, tmp_path / "whole").run()
    logged.clear()
    end = once(lambda: database.execute(f"{END_ALL} AND {which}"))
    with monkeypatch.context() as patch:
        before(patch, Collected, "write", end)
        extraction(database.url, tmp_path / "ended", chunk_rows=1000).run()
    assert end.done  # type: ignore[attr-defined]
    assert "Trying again" in logged.text or which.startswith("query NOT")
    assert files(tmp_path / "ended") == files(tmp_path / "whole")


def test_a_stream_that_the_server_ends_starts_again(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    database.execute(AS_VIEW)
    extraction(database.url, tmp_path / "whole").run()
    end = once(lambda: database.execute(END_ALL))

    def end_after_two(spool: Spool, *_: object) -> None:
        if len(spool.names()) == 2:
            end()

    before(monkeypatch, Spool, "add", end_after_two)
    extraction(database.url, tmp_path / "ended", chunk_rows=1000).run()
    assert end.done  # type: ignore[attr-defined]
    assert files(tmp_path / "ended") == files(tmp_path / "whole")


def test_a_connection_that_breaks_every_time_ends_the_run(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    before(monkeypatch, Transaction, "copy", lambda *_: database.execute(END_ALL))
    with pytest.raises(ConnectionLost, match=r"connection to .* was lost: .*Run again"):
        extraction(database.url, tmp_path, connections=1).run()


FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from stages.run import run
from tests.support.postgres_tables import extraction
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
run(extraction({url!r}, Path({directory!r}), chunk_rows={chunk_rows}).run)
"""


@pytest.mark.parametrize("full_at", ["chunk", "bucket"])
def test_a_full_disk_leaves_the_previous_output_as_it_was(
    database: TestDatabase, tmp_path: Path, full_at: str
) -> None:
    large(database)
    extraction(database.url, tmp_path / "whole").run()
    extraction(database.url, tmp_path, user_share=0.3).run()
    before = files(tmp_path)
    sizes = {name: len(content) for name, content in files(tmp_path / "whole").items()}
    limit = {"chunk": 1_000, "bucket": sizes["log/bucket-0002.parquet"] - 1}[full_at]
    script = FULL_DISK.format(
        root=str(ROOT), limit=limit, url=database.url,
        directory=str(tmp_path), chunk_rows=1000,
    )  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("error: outputs cannot be written: ")
    assert "All outputs are as they were." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert files(tmp_path) == before
    extraction(database.url, tmp_path).run()
    assert files(tmp_path)["log/meta.json"] == files(tmp_path / "whole")["log/meta.json"]
