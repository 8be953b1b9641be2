"""Connections of a real server: time-out, limit, half-closed ones, and their end."""

from __future__ import annotations

import json
import resource
import signal
import socket
import threading

import httpx2
import pytest

from feedrank.errors import ParamsError
from service.server.listener import refuse_newcomers
from service.server.processes import allow_files
from tests.support.service.load import Load
from tests.support.service_process import PATIENCE, serving
from tests.support.small_artifact import MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


def connected(server):
    """A connection to a server."""
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE)


def rest_of(connection):
    """All bytes that still come, up to the end of the connection."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_connection_without_a_whole_header_is_closed(artifact_path, tmp_path):
    with serving(artifact_path, tmp_path, FEEDRANK_HEADER_SECONDS="0.2") as server:
        silent = {}
        for sent in (b"", b"GET /he", HEALTH + b"GET /he", HEALTH + b"\r\n"):
            silent[sent] = connected(server)
            silent[sent].sendall(sent)
        for sent, connection in silent.items():  # their times run out together
            with connection:
                assert rest_of(connection).count(b"200 OK") == sent.count(HEALTH)


def post(path, body, length=None):
    """A request with a body, of which less may be sent than it says."""
    kind = b"Content-Type: application/json"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length or len(body)}\r\n"
    return head.encode() + kind + b"\r\n\r\n" + body


def test_a_body_that_does_not_go_on_closes_its_connection(artifact_path, tmp_path):
    body = b'{"events": []}'
    with serving(artifact_path, tmp_path, FEEDRANK_HEADER_SECONDS="0.2") as server:
        with connected(server) as stopped:
            stopped.sendall(post("/feed", body, 100))
            assert b"200 OK" not in rest_of(stopped)
        with connected(server) as whole:
            whole.sendall(post("/feed", body))
            assert b"200 OK" in whole.recv(65_536)
    assert not any("traceback" in line for line in server.lines)


def test_a_client_that_does_not_read_its_answer_holds_up_no_shutdown(
    artifact, artifact_path, tmp_path
):
    everybody = artifact.store.catalogue.user_ids.tolist()
    body = json.dumps({"ids": everybody, "time": MOMENT, "limit": 100}).encode()
    with (
        serving(artifact_path, tmp_path, FEEDRANK_HEADER_SECONDS="0.2") as server,
        socket.socket() as deaf,
    ):
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(post(PATH, body))
        server.await_line('"answered"')
        server.process.send_signal(signal.SIGTERM)
        server.wait()


def test_a_connection_beyond_the_limit_is_told_so_in_json(artifact_path, tmp_path):
    with (
        serving(artifact_path, tmp_path, FEEDRANK_MAX_CONNECTIONS="1") as server,
        httpx2.Client(base_url=server.address) as first,
    ):
        while first.get("/health").status_code == 503:
            pass  # the connection that the start was seen by is still there
        second = httpx2.get(f"{server.address}/health")
        assert first.get("/health").status_code == 200

    assert second.status_code == 503
    assert (second.headers["Retry-After"], second.headers["Connection"]) == ("1", "close")
    assert second.json()["detail"] == "too many open connections; retry in a second."


def test_a_client_that_closes_its_own_side_is_answered_without_a_traceback(
    artifact_path, tmp_path, user_id
):
    request = f"GET {PATH}?id={user_id}&time={MOMENT} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with serving(artifact_path, tmp_path) as server, connected(server) as client:
        client.sendall(3 * request)
        client.shutdown(socket.SHUT_WR)
        answers = rest_of(client)

    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert not any("traceback" in line for line in server.lines)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_shutdown_under_load_loses_no_request(artifact_path, tmp_path, user_id, workers):
    with serving(artifact_path, tmp_path, workers, FEEDRANK_DRAIN_SECONDS="0.1") as server:
        load = Load(server.port, [f"{PATH}?id={user_id}&time={MOMENT}"], 16, 0)
        load.await_answers(100)
        server.process.send_signal(signal.SIGTERM)
        server.wait()
        tally = load.stop()

    assert tally.lost == []
    assert tally.n_wrong() == 0


def test_a_request_on_its_way_at_the_end_is_answered(artifact_path, tmp_path):
    with serving(artifact_path, tmp_path) as server, connected(server) as late:
        server.process.send_signal(signal.SIGTERM)
        server.await_line("Shutting down")
        late.sendall(HEALTH)
        answer = rest_of(late)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer.lower()


def test_newcomers_are_refused_and_those_who_had_come_are_accepted():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        before = socket.create_connection(listener.getsockname())
        refuse_newcomers(listener)
        refused = []

        def come() -> None:
            try:
                socket.create_connection(listener_address)
            except ConnectionRefusedError as error:
                refused.append(error)

        listener_address = listener.getsockname()
        with before, listener.accept()[0] as accepted:
            before.sendall(b"sent")
            assert accepted.recv(4) == b"sent"
        newcomer = threading.Thread(target=come)
        newcomer.start()
        while newcomer.is_alive() and not any(
            state == "02" for state in tcp_states(listener_address[1])
        ):
            pass  # until its first packet was sent, and dropped
    newcomer.join()

    assert len(refused) == 1


def tcp_states(port):
    """States of connections to a port, as Linux numbers them; 02 has sent its first packet."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return [row[3] for row in rows if int(row[2].split(":")[1], 16) == port]


def test_workers_end_when_their_supervisor_is_killed(artifact_path, tmp_path):
    with serving(artifact_path, tmp_path, workers=2) as server:
        server.process.kill()
        server.wait()  # its log ends with the last process that holds it

        with pytest.raises(ConnectionRefusedError):
            connected(server)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_line_is_json(artifact_path, tmp_path, workers):
    noisy = {"PYTHONWARNINGS": "always", "PYTHONASYNCIODEBUG": "1"}
    with serving(artifact_path, tmp_path, workers, **noisy) as server, connected(server) as client:
        client.sendall(b"not HTTP\r\n\r\n")
        rest_of(client)

    events = [json.loads(line)["event"] for line in server.lines]
    assert any("Uvicorn running" in event for event in events)
    assert any("Invalid HTTP" in event for event in events)


def test_more_connections_than_the_system_allows_are_refused_at_the_start(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 512))

    with pytest.raises(ParamsError, match="set at most 312"):
        allow_files(800)
