"""What goes on beside the requests: looking for new artifacts, warming up, publishing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from service.monitoring import metrics
from service.serving.cache_warmup import REST_SECONDS, give_back, moments
from service.serving.inference import Desk
from service.serving.model_slot import Slot
from service.serving.worker_registry import Report, Roster

PUBLISH_SECONDS = 5.0
HEARTBEAT_SECONDS = 1.0
# Each time numpy gives up the interpreter's lock, a thread that loads waits so long to have it
# back from busy requests: with Python's usual 5 ms a swap under load took ten times as long.
SWITCH_SECONDS = 0.0005


class Watch:
    """Tasks beside the requests, from start to stop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._now = asyncio.Event()
        # One thread for all: each thread keeps memory of its own for what it once loaded.
        self._loader = ThreadPoolExecutor(1, "loader")
        self._tasks: list[asyncio.Task[None]] = []
        self._rosters = {
            group: Roster(desk.settings.state, slot.path) for group, slot in desk.slots.items()
        }

    def start(self) -> None:
        """Begin; the tasks live in the running loop."""
        sys.setswitchinterval(SWITCH_SECONDS)
        for slot in self._desk.slots.values():
            self._report(slot, None)
        jobs = [self._look(), self._publish(), self._beat(), self._warm()]
        self._tasks = [asyncio.create_task(job) for job in jobs]

    def look_now(self) -> None:
        """Look for new artifacts without waiting."""
        self._now.set()

    async def stop(self) -> None:
        """End the tasks, and sign off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loader.shutdown(wait=False, cancel_futures=True)
        for roster in self._rosters.values():
            roster.sign_off()
        metrics.forget_worker()

    async def _look(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._now.wait(), self._desk.settings.check_seconds)
            self._now.clear()
            for slot in self._desk.slots.values():
                before = slot.current.version
                # Checks take a second or more: a thread does them while requests are answered.
                await self._aside(slot.look)
                self._report(slot, before)
                if slot.current.version != before:
                    await self._aside(give_back)

    def _report(self, slot: Slot, before: str | None) -> None:
        version = slot.current.version
        self._rosters[slot.group].report(report_of(slot))
        metrics.SWAPS.labels(slot.group).inc(0)  # so that it is there before the first swap
        if before != version:
            if before is not None:
                metrics.WORKERS.labels(slot.group, before).set(0)
                metrics.SWAPS.labels(slot.group).inc()
            metrics.WORKERS.labels(slot.group, version).set(1)
            meta = slot.current.artifact.recommender.meta
            as_of = meta.moment(meta.last_at)
            metrics.AS_OF.labels(slot.group).set(metrics.unix_seconds(as_of))
        metrics.count_refusals(slot.group, slot.n_refusals)

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(PUBLISH_SECONDS)
            self._desk.publish()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            for roster in self._rosters.values():
                roster.beat()

    async def _warm(self) -> None:
        """Derive the tables of what is served from the start, while nobody asks."""
        for slot in self._desk.slots.values():
            artifact = slot.current.artifact
            for at in moments(artifact):
                while self._desk.gate.n_inside:
                    await asyncio.sleep(REST_SECONDS)
                artifact.recommender.rank(0, at, 1)
                await asyncio.sleep(REST_SECONDS)
        await self._aside(give_back)

    async def _aside(self, job: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._loader, job)


def report_of(slot: Slot) -> Report:
    """What this worker serves of one group."""
    prepared, refused = slot.prepared, slot.refused
    return Report(
        os.getpid(),
        slot.current.version,
        prepared.version if prepared else None,
        refused.version if refused else None,
        refused.reason if refused else None,
    )
