"""A service's runtime around a test's own bus, without the process around it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from libs.common.bus.api import Bus
from libs.common.observability.metrics import Metrics
from libs.common.runtime.app import App, Runtime
from libs.common.runtime.clock import Clock, SystemClock
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from tests.support.bus import ENV

C = TypeVar("C")


def runtime_of(
    service: str, config: C, bus: Bus, *, instance: str = "test-1", clock: Clock | None = None
) -> Runtime[C]:
    """Return what the runner would hand to the service's wiring."""
    common: Any = getattr(config, "common", None)
    return Runtime(
        service=service,
        instance=instance,
        run="20261121-090000-test",
        env=ENV,
        config=config,
        common=common,
        config_hash="0" * 12,
        build="test",
        bus=bus,
        subjects=Subjects(ENV),
        clock=clock or SystemClock(),
        log=EventLog(),
        metrics=Metrics(),
    )


@contextlib.asynccontextmanager
async def running(app: App) -> AsyncIterator[None]:
    """Run a service beside the test; its failure fails the test."""
    task = asyncio.create_task(app.run())
    try:
        yield
        if task.done():
            await task
    finally:
        await app.stop("test over")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
