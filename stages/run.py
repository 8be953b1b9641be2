"""How every stage ends: an error that the user can act on is a message, not a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from feedrank.errors import FeedrankError


def run(main: Callable[[], None]) -> None:
    """Run a stage; a `FeedrankError` becomes `error: ...` on stderr and exit code 1."""
    try:
        main()
    except FeedrankError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
