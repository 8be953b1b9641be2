from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.simulated_logs import Learned, simulated, tasteful


@pytest.fixture(params=[simulated, tasteful], ids=["profiles", "tastes"])
def learned(request: pytest.FixtureRequest) -> Learned:
    """What was learned from a log that profiles tell, and from one that tastes tell."""
    make: Callable[[], Learned] = request.param
    return make()
