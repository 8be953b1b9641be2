"""Errors that a user of feedrank can act on, and how commands end by them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

INTERRUPTED = 130  # exit code of Ctrl-C, as a shell has it
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


def command(
    failed: int = 1, codes: dict[type[FeedrankError], int] | None = None, found: str = "error"
) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Decorate a command's `main`, so that it gives an exit code, whatever ends it.

    Args:
        failed: code of a `FeedrankError`, which is written to stderr.
        codes: of kinds that have another one.
        found: what the line begins with; that of Ctrl-C, which may have changed things, does not.
    """

    def decorated(main: Callable[..., int | None]) -> Callable[..., int]:
        @wraps(main)
        def run(*arguments: Any, **options: Any) -> int:
            try:
                return main(*arguments, **options) or 0
            except KeyboardInterrupt:
                print("error: interrupted. Run again to go on.", file=sys.stderr)
                return INTERRUPTED
            except FeedrankError as error:
                print(f"{found}: {error}", file=sys.stderr)
                return (codes or {}).get(type(error), failed)

        return run

    return decorated
