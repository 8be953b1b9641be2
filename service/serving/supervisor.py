"""Supervisor: turns of background work, of which a failed one never ends the next."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from service.monitoring import metrics

logger = logging.getLogger("feedrank.service")


class Supervisor:
    """Runs turns of named tasks, and keeps why the last turn of each failed."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    @property
    def failing(self) -> list[str]:
        """Names of the tasks whose last turn failed, sorted."""
        return sorted(self._reasons)

    async def turn(self, task: str, job: Callable[[], Awaitable[None]]) -> bool:
        """Run one turn; whether it succeeded. An error is counted, and logged once a reason."""
        try:
            await job()
        except Exception as error:  # logged with its reason; the next turn must come
            self._failed(task, error)
            return False
        metrics.TASK_FAILING.labels(task).set(0)
        if self._reasons.pop(task, None) is not None:
            logger.info("background task recovered", extra={"task": task})
        return True

    def _failed(self, task: str, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        metrics.TASK_ERRORS.labels(task).inc()
        metrics.TASK_FAILING.labels(task).set(1)
        if self._reasons.get(task) != reason:
            extra = {"task": task, "reason": reason}
            logger.error("background task failed", extra=extra, exc_info=error)
        self._reasons[task] = reason
