"""Server processes: start, shutdown, hot swap under load, several workers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx2
import pytest

from feedrank.artifact.manifest import version_of
from service.deployment.switch import point
from tests.support.service_process import PATIENCE, serving, start
from tests.support.small_artifact import (
    CODE,
    MOMENT,
    PATH,
    export_again,
    kill_its_reader,
    small_params,
)

pytest_plugins = ("tests.support.service_fixtures",)


@pytest.fixture(scope="session")
def newer_path(small_artifact_files):
    """An artifact that answers otherwise."""
    _, scratch = small_artifact_files
    export_again(scratch / "later", scratch, replace(small_params().export, exclude="seen"))
    return scratch / "later"


@pytest.fixture
def link(tmp_path, artifact_path):
    """The path that a service serves: a link."""
    point(tmp_path / "live", artifact_path)
    return tmp_path / "live"


def command(link, state, *arguments):
    """Run `service.deploy`."""
    environment = {"FEEDRANK_ARTIFACT": str(link), "FEEDRANK_STATE": str(state)}
    return subprocess.run(
        [sys.executable, "-m", "service.deploy", *map(str, arguments)],
        cwd=CODE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


REST_SECONDS = 0.01  # between requests; without it, callers take the processor from the service


class Load:
    """Callers who go on asking, each on a connection of its own."""

    def __init__(self, address: str, user_id: int, callers: int = 4) -> None:
        self.answers: list[tuple[int, str, str]] = []
        self._asked = (f"{address}{PATH}", {"id": user_id, "time": MOMENT})
        self._callers = callers
        self._over = threading.Event()

    def _ask(self) -> None:
        url, query = self._asked
        with httpx2.Client() as client:
            while not self._over.wait(REST_SECONDS):
                got = client.get(url, params=query)
                self.answers.append((got.status_code, got.headers.get("X-Artifact", ""), got.text))

    def __enter__(self) -> Load:
        self._pool = ThreadPoolExecutor(self._callers)
        self._jobs = [self._pool.submit(self._ask) for _ in range(self._callers)]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for job in self._jobs:
            job.result()  # an error on a connection is raised here
        self._pool.shutdown()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_missing_artifact_ends_the_process_with_a_message_and_no_traceback(tmp_path, workers):
    nothing = {"FEEDRANK_ARTIFACT": str(tmp_path / "none"), "FEEDRANK_STATE": str(tmp_path)}
    server = start(nothing, workers)

    code = server.wait()
    server.await_line("holds no artifact")

    assert code != 0
    assert not any("Traceback" in line for line in server.lines)


def test_a_first_artifact_that_kills_the_process_leaves_words(artifact_path, tmp_path):
    bad = shutil.copytree(artifact_path, tmp_path / "bad")
    kill_its_reader(bad)

    server = start({"FEEDRANK_ARTIFACT": str(bad), "FEEDRANK_STATE": str(tmp_path / "state")})

    assert server.wait() < 0
    assert any("Fatal Python error" in line for line in server.lines)
    assert any("rankers/xgboost_ranker.py" in line for line in server.lines), "".join(server.lines)


def test_a_wrong_variable_ends_the_process_with_its_name(tmp_path):
    server = start({"FEEDRANK_TEST_SHARE": "2", "FEEDRANK_STATE": str(tmp_path)})

    assert server.wait() != 0
    server.await_line("FEEDRANK_TEST_SHARE is '2'")
    assert not any("Traceback" in line for line in server.lines)


def test_requests_before_the_end_are_answered(artifact_path, tmp_path, user_id):
    request = f"GET {PATH}?id={user_id}&time={MOMENT}&limit=50 HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(artifact_path, tmp_path, FEEDRANK_DRAIN_SECONDS="1") as server:
        callers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        for caller in callers:
            caller.sendall(request.encode())
        server.process.send_signal(signal.SIGTERM)
        answers = []
        for caller in callers:
            caller.settimeout(PATIENCE)
            parts = b"".join(iter(lambda c=caller: c.recv(65536), b""))
            answers.append(parts.split(b"\r\n")[0])
            caller.close()
        code = server.wait()

    assert answers == [b"HTTP/1.1 200 OK"] * 30
    assert code in (0, -signal.SIGTERM)


def test_a_swap_under_load_drops_no_request_and_all_workers_agree(
    link, artifact_path, newer_path, tmp_path, user_id
):
    state, first, newer = tmp_path / "state", version_of(artifact_path), version_of(newer_path)
    with serving(link, state, workers=2) as server, Load(server.address, user_id) as load:
        went = command(link, state, newer_path)
        n_before = len(load.answers)
        back = command(link, state, "--rollback")
        n_back = len(load.answers)

    assert (went.returncode, back.returncode) == (0, 0), went.stderr + back.stderr
    assert f"{newer} is served by 2 workers" in went.stdout
    assert {status for status, _, _ in load.answers} == {200}
    assert {version for _, version, _ in load.answers} == {first, newer}
    # Four were under way when the command returned; whatever was asked later is of one version.
    assert {version for _, version, _ in load.answers[n_back + 4 :]} <= {first}
    assert n_before < n_back
    bodies = {(version, text) for _, version, text in load.answers}
    assert len(bodies) == 2  # a version has one answer: no request saw half of each


def test_a_bad_artifact_under_load_is_refused_and_nobody_notices(
    link, artifact_path, newer_path, tmp_path, user_id
):
    bad = shutil.copytree(newer_path, tmp_path / "bad")
    kill_its_reader(bad)
    with serving(link, tmp_path / "state") as server, Load(server.address, user_id) as load:
        refused = command(link, tmp_path / "state", bad)
        point(link, bad)  # somebody moves the link by hand
        server.await_line('"event": "refused"')
        metrics = httpx2.get(f"{server.address}/metrics").text
        told = httpx2.get(f"{server.address}/version").json()["artifacts"][0]["refused"]

    assert refused.returncode == 1
    assert "nothing changed: " in refused.stderr
    assert "ended the process that loaded it" in told
    assert {(status, v) for status, v, _ in load.answers} == {(200, version_of(artifact_path))}
    assert 'feedrank_refusals_total{arm="control"} 1.0' in metrics


def test_a_hangup_makes_the_service_poll_and_does_not_end_it(
    link, newer_path, tmp_path, artifact_path
):
    calm = {"FEEDRANK_POLL_SECONDS": "3600"}
    with (
        serving(link, tmp_path / "state", **calm) as server,
        httpx2.Client(base_url=server.address) as client,
    ):
        point(link, newer_path)
        server.process.send_signal(signal.SIGHUP)  # sees other files
        while client.get("/ready").json()["artifact"] != version_of(newer_path):
            server.process.send_signal(signal.SIGHUP)  # they lie still: takes them up
            time.sleep(REST_SECONDS)
        assert server.process.poll() is None


def test_any_worker_tells_the_metrics_of_all(artifact_path, tmp_path, user_id):
    context = ssl.create_default_context()  # making one takes far longer than a request
    with serving(artifact_path, tmp_path, workers=2) as server:
        for _ in range(40):  # each on a new connection, so that both workers get some
            httpx2.get(
                f"{server.address}{PATH}", params={"id": user_id, "time": MOMENT}, verify=context
            )
        counted = {
            line
            for _ in range(6)
            for line in httpx2.get(f"{server.address}/metrics").text.splitlines()
            if line.startswith(("feedrank_answers_total", "feedrank_artifact_workers"))
            and "/metrics" not in line
        }

    version = version_of(artifact_path)
    assert counted == {
        f'feedrank_answers_total{{outcome="ok",route="{PATH}"}} 40.0',
        f'feedrank_artifact_workers{{arm="control",version="{version}"}} 2.0',
    }


def test_a_draining_service_is_not_ready_and_closes_its_connections(
    artifact_path, tmp_path, user_id
):
    query = {"id": user_id, "time": MOMENT}
    with (
        serving(artifact_path, tmp_path, FEEDRANK_DRAIN_SECONDS="5") as server,
        httpx2.Client(base_url=server.address) as client,
    ):
        assert client.get("/ready").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        while (ready := client.get("/ready")).status_code == 200:
            pass
        answer = client.get(PATH, params=query)

    assert ready.json()["status"] == "draining"
    assert (answer.status_code, answer.headers["Connection"]) == (200, "close")


def test_a_start_that_fails_in_an_unforeseen_way_ends_the_process(artifact_path, tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "site").mkdir()
    (state / "site" / "sitecustomize.py").write_text(
        "import service.serving.background as b\n"
        "def broken(self): raise RuntimeError('of a start')\n"
        "b.Background.start = broken\n"
    )
    server = start(
        {
            "FEEDRANK_ARTIFACT": str(artifact_path),
            "FEEDRANK_STATE": str(state),
            "PYTHONPATH": f"{state / 'site'}:{CODE}",
        }
    )
    assert server.wait() != 0
