"""The own echo: a process that does not hear itself does not trust its bus.

One check covers a frozen broker, a dead read loop, a black hole and a client
that says "connected" through all of them. Age counts from when a beat was
*sent*: a broker that thaws delivers beats of before the freeze as if fresh.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from libs.common.bus.api import BusUnavailable

NEVER_HEARD_NS: Final = 1 << 62
_HEADER: Final = "Dora-Echo"
_PERIOD_S: Final = 0.5

Publish = Callable[[str, bytes, Mapping[str, str]], Awaitable[None]]


class Echo:
    """Sends beats and measures how old the newest is that came back."""

    def __init__(self) -> None:
        self._boot = uuid.uuid4().hex[:12]
        self._sent_ns = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def age_ns(self) -> int:
        """Return how long ago the newest beat that came back was sent; huge if none came back yet."""
        return time.monotonic_ns() - self._sent_ns if self._sent_ns else NEVER_HEARD_NS

    def take(self, headers: Mapping[str, str]) -> None:
        """Take in a beat that was heard; another process of the same name does not count."""
        boot, _, sent = headers.get(_HEADER, "").partition("-")
        if boot == self._boot and sent.isdigit():
            self._sent_ns = max(self._sent_ns, int(sent))

    def start(
        self,
        subject: str,
        make_beat: Callable[[int], bytes],
        publish: Publish,
        on_failed: Callable[[BaseException], None],
    ) -> None:
        """Send a beat twice a second."""
        self._task = asyncio.get_running_loop().create_task(self._run(subject, make_beat, publish, on_failed))

    async def stop(self) -> None:
        """Send no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(
        self,
        subject: str,
        make_beat: Callable[[int], bytes],
        publish: Publish,
        on_failed: Callable[[BaseException], None],
    ) -> None:
        try:
            for counter in itertools.count(1):
                stamp = f"{self._boot}-{time.monotonic_ns()}"
                with contextlib.suppress(BusUnavailable):  # the age tells
                    await publish(subject, make_beat(counter), {_HEADER: stamp})
                await asyncio.sleep(_PERIOD_S)
        except Exception as e:  # noqa: BLE001 - a task's outermost frame: ends the service
            on_failed(e)
