"""Background tasks beside the requests: polling, cache warm-up, heartbeat, metrics."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TypeVar

from feedrank.io.malloc import return_freed_memory
from service.ab.exposure_log import ExposureLog
from service.monitoring import metrics
from service.serving.cache_warmup import REST_SECONDS, moments
from service.serving.inference import Inference
from service.serving.model_slot import Slot
from service.serving.supervisor import Supervisor
from service.serving.worker_registry import HEARTBEAT_SECONDS, Registration, WorkerState

T = TypeVar("T")
# Between two readings of the delta log. A reading that takes long, as where a state of hundreds of
# thousands of posts is derived, is followed by a rest: it takes a fifth of a processor at most.
FOLLOW_SECONDS, REST_SHARE = 0.5, 4.0
# Between two derivations of the states that late rows have changed. Requests beside one take three
# times as long, so that it runs beside one of 200: their p99 does not feel it.
SETTLE_SECONDS, SETTLE_REST = 15.0, 200.0
EXPOSURE_SECONDS = 0.5  # lists of so long are lost if the worker is killed
PUBLISH_SECONDS = 5.0  # a third of Prometheus' usual scrape interval, 15 s
# A thread waits this long for the interpreter's lock whenever numpy has released it and requests
# took it: with Python's default of 5 ms a swap under load took ten times as long.
SWITCH_SECONDS = 0.0005


class Background:
    """Tasks of a running service, from start to stop."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self.supervisor = Supervisor()
        self._wake = asyncio.Event()
        # One thread for all: each thread keeps memory of its own for what it once loaded.
        self._loader = ThreadPoolExecutor(1, "loader")
        self._tasks: list[asyncio.Task[None]] = []
        state = inference.settings.state
        self._registrations = [
            (slot, Registration(state, slot.path)) for slot in inference.slots.values()
        ]

    def start(self) -> None:
        """Start the tasks in the running loop."""
        sys.setswitchinterval(SWITCH_SECONDS)
        jobs = (
            self._poll(),
            self._warm_up_until_done(),
            self._follow_network(),
            self._settle_states(),
            self._every(PUBLISH_SECONDS, "publish", self._inference.publish),
            self._every(HEARTBEAT_SECONDS, "heartbeat", self._beat),
        )
        self._tasks = [asyncio.create_task(job) for job in jobs]
        if (exposures := self._inference.exposures) is not None:
            self._tasks.append(asyncio.create_task(self._write_down(exposures)))

    def poll_now(self) -> None:
        """Poll for new artifacts without waiting."""
        self._wake.set()

    async def stop(self) -> None:
        """End the tasks and leave the registry."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loader.shutdown(wait=False, cancel_futures=True)
        for _, registration in self._registrations:
            registration.remove()
        metrics.forget_worker()

    async def _poll(self) -> None:
        async def register() -> None:
            self._register()

        await self.supervisor.turn("register", register)  # not while a disk is full
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._inference.settings.poll_seconds)
            self._wake.clear()
            for arm, slot in self._inference.slots.items():
                await self.supervisor.turn(f"poll_{arm}", partial(self._follow, slot))

    async def _follow(self, slot: Slot) -> None:
        # Checks take a second or more: a thread does them while requests are answered.
        has_swapped = await self._in_thread(slot.poll)
        self._register()
        if has_swapped:
            await self._in_thread(self._inference.drop_held)
            await self._in_thread(return_freed_memory)

    async def _follow_network(self) -> None:
        time = asyncio.get_running_loop().time
        while True:
            begun = time()
            if (file := self._inference.hidden_file) is not None:
                await self.supervisor.turn("hidden_posts", partial(self._in_thread, file.poll))
            for arm, slot in self._inference.slots.items():
                await self.supervisor.turn(f"follow_{arm}", partial(self._in_thread, slot.follow))
            await asyncio.sleep(max(FOLLOW_SECONDS, REST_SHARE * (time() - begun)))

    async def _settle_states(self) -> None:
        time = asyncio.get_running_loop().time
        while True:
            begun = time()
            for arm, slot in self._inference.slots.items():
                await self.supervisor.turn(f"settle_{arm}", partial(self._in_thread, slot.settle))
            await self._in_thread(return_freed_memory)  # of stores that are no longer served
            await asyncio.sleep(max(SETTLE_SECONDS, SETTLE_REST * (time() - begun)))

    async def _warm_up_until_done(self) -> None:
        while not await self.supervisor.turn("cache_warmup", self._warm_up):
            await asyncio.sleep(PUBLISH_SECONDS)

    async def _every(self, seconds: float, task: str, job: Callable[[], None]) -> None:
        async def run() -> None:
            job()

        while True:
            await asyncio.sleep(seconds)
            await self.supervisor.turn(task, run)

    async def _write_down(self, exposures: ExposureLog) -> None:
        # In a thread of its own: no answer waits for a slow disk, nor does the end.
        writing = partial(in_daemon, exposures.write)
        while True:
            await asyncio.sleep(EXPOSURE_SECONDS)
            await self.supervisor.turn("exposures", writing)

    async def _warm_up(self) -> None:
        """Derive the last steps of the first artifacts while no request is open."""
        for slot in self._inference.slots.values():
            artifact = slot.current.artifact
            for at in moments(artifact):
                while self._inference.limiter.n_open:
                    await asyncio.sleep(REST_SECONDS)
                artifact.recommender.rank(0, at, 1)
                await asyncio.sleep(REST_SECONDS)
        await self._in_thread(return_freed_memory)

    def _register(self) -> None:
        for slot, registration in self._registrations:
            registration.update(worker_state(slot))

    def _beat(self) -> None:
        for _, registration in self._registrations:
            registration.beat()

    async def _in_thread(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._loader, job)


async def in_daemon(job: Callable[[], None]) -> None:
    """Run a job in a thread that the process does not wait for at its end."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    errors: list[Exception] = []

    def run() -> None:
        try:
            job()
        except Exception as error:  # raised again where it is awaited
            errors.append(error)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(done.set)

    Thread(target=run, daemon=True).start()
    await done.wait()
    for error in errors:
        raise error


def worker_state(slot: Slot) -> WorkerState:
    """State of this worker for the registry of one arm."""
    prepared, refused = slot.prepared, slot.refused
    return WorkerState(
        os.getpid(),
        slot.current.version,
        prepared.version if prepared else None,
        refused.version if refused else None,
        refused.reason if refused else None,
    )
