"""The smallest service, a process for tests of the runner: it counts what it hears and fails when told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from libs.common.bus.api import Handler, Message
from libs.common.runtime.app import AppStatus, Runtime
from libs.common.runtime.config import Common, Venue
from libs.common.runtime.errors import FenceLost
from libs.common.runtime.runner import run_service


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits have no default."""

    exposure_e6_max: int


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Configuration of the tiny service."""

    common: Common = Common()
    venue: Venue = Venue()
    limits: Limits


class Tiny:
    """Hears ``md.trade``; the payload says what to do."""

    def __init__(self, runtime: Runtime[Config]) -> None:
        self._runtime = runtime
        self._heard = 0
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def endpoints(self) -> Mapping[str, Handler]:
        """Return one endpoint of its own."""
        return {"boom": self._boom}

    async def _boom(self, message: Message) -> None:
        raise RuntimeError("/secret/place " + message.data.decode())

    async def run(self) -> None:
        """Work."""
        await self._runtime.bus.each(self._runtime.subjects.all_of("md.trade"), self._hear)
        await self._end

    async def _hear(self, message: Message) -> None:
        self._heard += 1
        if message.data == b"handler fails":
            raise ValueError("a handler's own mistake")
        if message.data == b"fence":
            self._end.set_exception(FenceLost("another leader at 9, mine was 7"))
        if message.data == b"return":
            self._end.set_result(None)

    async def stop(self, reason: str) -> None:
        """Say so on the bus, which still carries."""
        await self._runtime.bus.publish(self._runtime.subjects.of("md.whale", "stopped"), reason.encode())

    def status(self) -> AppStatus:
        """Tell the count."""
        return AppStatus(
            is_ready=True, state="running", counters={"heard": self._heard}, gauges={"half": 0.5}
        )


if __name__ == "__main__":
    run_service("tiny", Config, Tiny)
