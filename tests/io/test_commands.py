"""Commands: what ends one becomes a line on stderr and an exit code."""

from __future__ import annotations

import subprocess
import sys

import pytest

from feedrank.errors import (
    CLOSED_PIPE,
    INTERRUPTED,
    FeedrankError,
    ParamsError,
    SourceError,
    command,
)
from feedrank.extraction.environment import DSN, own_dsn


def ended_by(error: BaseException, **rules: object) -> int:
    @command(**rules)  # type: ignore[arg-type]
    def main() -> None:
        raise error

    return main()


def test_what_main_gives_is_the_code_and_nothing_is_0() -> None:
    assert command()(lambda: 4)() == 4
    assert command()(lambda: None)() == 0


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ParamsError("'k' is 0"), 3, "refused: 'k' is 0\n"),
        (SourceError("no host"), 2, "refused: no host\n"),
        (KeyboardInterrupt(), INTERRUPTED, "error: interrupted. Run again to go on.\n"),
    ],
)
def test_each_end_has_its_line_and_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended_by(error, failed=2, codes={ParamsError: 3}, found="refused") == code
    assert capsys.readouterr().err == line


def test_whoever_stops_reading_gets_no_traceback() -> None:
    program = (
        "import sys; from feedrank.errors import command\n"
        "@command()\ndef main():\n    for _ in range(100_000): print('a line')\n"
        "sys.exit(main())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == CLOSED_PIPE


def test_another_pipe_that_breaks_is_a_fault() -> None:
    with pytest.raises(BrokenPipeError):
        ended_by(BrokenPipeError())


def test_a_kind_of_error_has_the_code_of_what_it_is_a_kind_of() -> None:
    class Worse(SourceError):
        """A kind of it."""

    assert ended_by(Worse("x"), codes={SourceError: 3}) == 3


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        ended_by(ZeroDivisionError())
    assert ended_by(FeedrankError("known")) == 1


@pytest.mark.parametrize("value", [None, "", "demo", " demo "])
def test_a_command_that_needs_a_database_says_what_to_set(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DSN, raising=False)
    if value is not None:
        monkeypatch.setenv(DSN, value)
    with pytest.raises(SourceError, match=r"so no likes are read\. Set FEED_DSN, or name a file\."):
        own_dsn("no likes are read", "or name a file")
