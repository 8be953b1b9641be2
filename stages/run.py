"""How every stage ends: an error that the user can act on is a message, not a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from feedrank.errors import FeedrankError


def run(main: Callable[[], None]) -> None:
    """Run a stage; a `FeedrankError` becomes `error: ...` on stderr and exit code 1.

    Ctrl-C ends a stage with the exit code of a shell, 130, and no traceback either.
    """
    try:
        main()
    except KeyboardInterrupt:
        print("error: interrupted. Run again to go on.", file=sys.stderr)
        sys.exit(130)
    except FeedrankError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
