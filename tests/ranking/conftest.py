from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.simulated_logs import Learned, divided, simulated, tasteful


@pytest.fixture(params=[simulated, tasteful, divided], ids=["profiles", "tastes", "sides"])
def learned(request: pytest.FixtureRequest) -> Learned:
    """What was learned of a log that profiles tell, of tastes, and of sides that age splits."""
    make: Callable[[], Learned] = request.param
    return make()
