from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

STAGE = """
import logging
from stages.run import run

def main():
    logging.getLogger("feedrank.engines").info("counting: 3 parts")
    logging.getLogger("somebody.else").info("noise")

run(main)
"""


def test_a_stage_shows_lines_of_the_library_bare_and_on_stderr(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STAGE]
    ran = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (ran.stdout, ran.stderr) == ("", "counting: 3 parts\n")
