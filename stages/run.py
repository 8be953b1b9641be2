"""How every stage runs: one thread of algebra, and a message in place of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from feedrank.engines.processes import one_thread_of_algebra
from feedrank.errors import FeedrankError


def run(main: Callable[[], None]) -> None:
    """Run a stage; a `FeedrankError` becomes `error: ...` on stderr and exit code 1.

    Ctrl-C ends a stage with the exit code of a shell, 130, and no traceback either.
    """
    one_thread_of_algebra()
    try:
        main()
    except KeyboardInterrupt:
        print("error: interrupted. Run again to go on.", file=sys.stderr)
        sys.exit(130)
    except FeedrankError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
