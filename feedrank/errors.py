"""Errors that a user of feedrank can act on, and how commands end by them."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

INTERRUPTED, CLOSED_PIPE = 130, 141  # exit codes of Ctrl-C and of `... | head`, as a shell has them
REMEDY = "Copy the whole directory again, or export again."


class FeedrankError(Exception):
    """Something the user can act on: the message says what was found and what to do."""

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    r"""The same with escapes for what no terminal or log should get: `\x1b`, `\udcff` and the like.

    Names of files may hold any byte, and messages name them.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


class ParamsError(FeedrankError):
    """`params.yaml` holds an unknown, missing or out-of-range key."""


class SourceError(FeedrankError):
    """The database cannot be reached or read."""


class SchemaError(FeedrankError):
    """A table lacks a column or holds values that the pipeline cannot use."""


class ArtifactError(FeedrankError):
    """The artifact is missing, incomplete, of another version, or answers differently."""


@contextmanager
def blaming(path: Path | str, remedy: str = REMEDY) -> Iterator[None]:
    """Turn any error within into an `ArtifactError` that names a file and the remedy.

    Content that somebody else wrote can fail in every way that Python knows; the error itself stays
    as the cause.
    """
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise ArtifactError(f"'{path}' cannot be read ({kind}: {error}). {remedy}") from error


def _is_unread() -> bool:
    """Whether nobody reads stdout on, as in `... | head`; then what is left to print is dropped."""
    out, state = sys.stdout.fileno(), select.poll()
    state.register(out, 0)
    if not any(event & select.POLLERR for _, event in state.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), out)
    return True


def command(
    failed: int = 1, codes: dict[type[FeedrankError], int] | None = None, found: str = "error"
) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Decorate a command's `main`: it gives an exit code, also for errors, Ctrl-C, a closed pipe.

    Args:
        failed: code of a `FeedrankError`, which is written to stderr.
        codes: of kinds that have another one.
        found: what the line begins with; that of Ctrl-C, which may have changed things, does not.
    """

    def decorated(main: Callable[..., int | None]) -> Callable[..., int]:
        @wraps(main)
        def run(*arguments: Any, **options: Any) -> int:
            try:
                code = main(*arguments, **options) or 0
                sys.stdout.flush()
                return code
            except KeyboardInterrupt:
                print("error: interrupted. Run again to go on.", file=sys.stderr)
                return INTERRUPTED
            except BrokenPipeError:
                if not _is_unread():
                    raise
                return CLOSED_PIPE
            except FeedrankError as error:
                print(f"{found}: {error}", file=sys.stderr)
                known = (code for kind, code in (codes or {}).items() if isinstance(error, kind))
                return next(known, failed)

        return run

    return decorated
