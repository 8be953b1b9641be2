"""The steps of the container recipe, run without a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.support.service_process import Server
from tests.support.small_artifact import CODE, MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)
RECIPE = CODE / "deploy" / "Dockerfile"


def steps():
    """Instruction and argument of each line that does something."""
    lines = RECIPE.read_text().splitlines()
    return [tuple(x.split(" ", 1)) for x in lines if x and not x.startswith("#")]


class Image:
    """A directory that stands for the root of the image."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment: dict[str, str] = {}
        self.workdir = "/"
        self.command: list[str] = []

    def build(self) -> None:
        """Do every step in turn; the stages share the one root."""
        for name, argument in steps():
            getattr(self, f"_{name.lower()}", lambda _: None)(argument)

    def inside(self, text: str) -> str:
        """The same with absolute paths of the image turned to ours."""
        return re.sub(r"(?<![\w./:])/(venv|app|build|state|exposures|models)\b", self._turned, text)

    def _turned(self, found: re.Match[str]) -> str:
        return f"{self.root}/{found[1]}"

    def run(self, command: str) -> None:
        """Run a step as a shell would, with nothing of our own environment but the path."""
        kept = {k: v for k, v in os.environ.items() if k == "PATH" or k.startswith("PIP_")}
        subprocess.run(self.inside(command), shell=True, cwd=self.root, env=kept, check=True)

    def _run(self, argument: str) -> None:
        self.run(argument.replace("python -m venv", f"{sys.executable} -m venv"))

    def _copy(self, argument: str) -> None:
        if "--from=" in argument:
            return
        *sources, target = argument.split()
        into = Path(self.inside(target))
        for source in sources:
            path = CODE / source
            if path.is_dir():
                hidden = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, into, ignore=hidden)
            else:
                into = into / path.name if target.endswith("/") else into
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, into)
                into = Path(self.inside(target))

    def _env(self, argument: str) -> None:
        name, value = argument.split("=", 1)
        self.environment[name] = self.inside(value)

    def _workdir(self, argument: str) -> None:
        self.workdir = self.inside(argument)

    def _cmd(self, argument: str) -> None:
        self.command = [self.inside(word) for word in json.loads(argument)]


def test_the_image_runs_as_nobody_and_asks_whether_it_is_ready():
    told = dict(steps())

    assert told["USER"] == "10001:10001"
    assert "/ready" in told["HEALTHCHECK"]


def test_the_image_takes_what_its_ignore_file_lets_through():
    lines = (CODE / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    kept = {path for x in lines if x[:1] == "!" for path in CODE.glob(x[1:]) if path.is_file()}
    for name, argument in steps():
        if name == "COPY" and "--from=" not in argument:
            for source in map(CODE.joinpath, argument.split()[:-1]):
                files = [source] if source.is_file() else _code(source)
                assert set(files) <= kept, source


def _code(folder):
    """Modules, and files that the service sends."""
    return [*folder.rglob("*.py"), *folder.glob("static/*")]


def test_the_images_pins_are_those_of_the_project():
    def pins(path):
        return dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE))

    image, project = pins(CODE / "deploy/requirements.txt"), pins(CODE / "requirements.txt")
    assert image.items() <= project.items()


def test_the_service_runs_on_a_read_only_file_system_without_any_right():
    service = yaml.safe_load((CODE / "deploy/compose.yaml").read_text())["services"]["service"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "../models:/models:ro" in service["volumes"]


@pytest.mark.slow
def test_the_image_answers_what_we_answer(tmp_path, artifact, artifact_path, user_id):
    image = Image(tmp_path)
    image.build()
    shutil.copytree(artifact_path, tmp_path / "models" / "artifact")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*image.command, "--port", str(port)],
        cwd=image.workdir,
        env=image.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process, port)
    try:
        server.await_listening()
        answer = httpx2.get(f"{server.address}{PATH}", params={"id": user_id, "time": MOMENT})
    finally:
        process.terminate()
        server.wait()

    expected = artifact.recommender.recommend(user_id, datetime.fromisoformat(MOMENT), 5)
    assert [post["id"] for post in answer.json()] == [post for post, _ in expected]
