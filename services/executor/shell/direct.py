"""The counter for people's orders: place one, confirm several, flatten all.

A wait of a minute must not hold up the endpoint, so each request is answered by a task
of its own. Every answer is a whole one: what is refused is a confirmation or a report too.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import msgspec

from libs.common.bus.api import Bus, BusError, Handler, Message
from libs.common.kalshi.rest import VenueReader
from libs.common.messages.base import MalformedMessage, Wire, WireDecoder, encode
from libs.common.messages.execution import Purpose
from libs.common.messages.orders import (
    ConfirmAskV1,
    ConfirmationV1,
    FlattenAskV1,
    FlattenReportV1,
    PlaceAskV1,
)
from libs.common.runtime.errors import VenueError
from libs.common.runtime.log import EventLog
from services.executor.core.account import Now
from services.executor.core.confirmation import Decided, never_placed
from services.executor.core.effects import Confirmed, Effect, Log, ReadOrder
from services.executor.core.engine import Engine
from services.executor.core.exits import WAIT_S_MAX
from services.executor.core.flatten import FlattenRules
from services.executor.shell.flattening import Flattening

_PLACE = WireDecoder(PlaceAskV1)
_CONFIRM = WireDecoder(ConfirmAskV1)
_FLATTEN = WireDecoder(FlattenAskV1)
STANDBY = "standby: this process does not lead; nothing was done"
STARTING = "standby: this process leads and reads its journal first; nothing was done"
Spawn = Callable[[Coroutine[Any, Any, None]], None]


class DirectDesk:
    """Endpoints ``place``, ``confirm`` and ``flatten``; the shell of `core/exits.py`."""

    def __init__(
        self,
        *,
        engine: Engine,
        bus: Bus,
        reader: VenueReader,
        rules: FlattenRules,
        env: str,
        log: EventLog,
        now: Callable[[], Now],
        perform: Callable[[list[Effect]], None],
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._reader = reader
        self._log = log
        self._now = now
        self._perform = perform
        self._waiting: dict[str, list[asyncio.Future[ConfirmationV1]]] = {}
        self._flattenings: dict[str, asyncio.Future[FlattenReportV1]] = {}
        self._flattening = Flattening(
            engine=engine,
            reader=reader,
            rules=rules,
            env=env,
            now=now,
            perform=perform,
            place=self.place,
        )
        self.spawn: Spawn
        """Runs an answer beside everything else; filled by the service."""

    @property
    def endpoints(self) -> Mapping[str, Handler]:
        """Return the handlers by endpoint."""
        return {"place": self._on_place, "confirm": self._on_confirm, "flatten": self._on_flatten}

    async def place(self, ask: PlaceAskV1) -> ConfirmationV1:
        """Place an order and return what became of it; asked again, return the same."""
        direct = self._engine.direct
        if absence := self._absence():
            return _refused(ask, absence)
        if complaint := direct.complaint(ask):
            return _refused(ask, complaint)
        future: asyncio.Future[ConfirmationV1] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(ask.request_id, []).append(future)
        self._perform(direct.place(ask, self._now()))
        if not direct.is_open(ask.request_id):
            self._resolve(ask.request_id)
        return await future

    def on_confirmed(self, effect: Confirmed) -> None:
        """Tell everyone who waits for this order."""
        self._resolve(effect.confirmation.request_id)

    def on_read_order(self, effect: ReadOrder) -> None:
        """Read one order; what comes back is evidence like any other."""
        self.spawn(self._read(effect.order_id))

    async def _read(self, order_id: str) -> None:
        began = self._now()
        try:
            told = await self._reader.order(order_id)
        except VenueError as e:
            self._perform([Log("VENUE_ERROR", f"order not read: {e}", level="WARNING")])
            return
        if told is not None:
            self._perform(self._engine.intake.on_read_order(told, began.ns, self._now()))

    async def _on_place(self, message: Message) -> None:
        try:
            ask = _PLACE.decode(message.data)
        except MalformedMessage as e:
            await self._bus.respond(message, encode(_malformed(str(e))))
            return
        self.spawn(self._later("place", message, self.place(ask)))

    async def _on_confirm(self, message: Message) -> None:
        try:
            ask = _CONFIRM.decode(message.data)
        except MalformedMessage as e:
            await self._bus.respond(message, msgspec.json.encode({"error": str(e)}))
            return
        if absence := self._absence():
            await self._bus.respond(message, msgspec.json.encode({"error": absence}))
            return
        self.spawn(self._later("confirm", message, self._confirm(ask)))

    async def _on_flatten(self, message: Message) -> None:
        try:
            ask = _FLATTEN.decode(message.data)
        except MalformedMessage as e:
            await self._bus.respond(message, msgspec.json.encode({"error": str(e)}))
            return
        self.spawn(self._later("flatten", message, self._flatten(ask)))

    async def _confirm(self, ask: ConfirmAskV1) -> Wire:
        direct = self._engine.direct
        futures: list[asyncio.Future[ConfirmationV1]] = []
        for request_id in ask.request_ids:
            if direct.is_open(request_id):
                future: asyncio.Future[ConfirmationV1] = asyncio.get_running_loop().create_future()
                self._waiting.setdefault(request_id, []).append(future)
                futures.append(future)
        if futures:
            await asyncio.wait(futures, timeout=min(max(0.0, ask.max_wait_s), WAIT_S_MAX))
        return direct.confirm(ask.request_ids)

    async def _flatten(self, ask: FlattenAskV1) -> Wire:
        if ask.is_dry_run:
            return await self._flatten_once(ask)
        running = self._flattenings.get(ask.request_id)
        if running is not None:
            # The same request again waits for the same run and reads the same report.
            return await asyncio.shield(running)
        running = self._flattenings[ask.request_id] = asyncio.get_running_loop().create_future()
        report: FlattenReportV1 | None = None
        try:
            report = await self._flatten_once(ask)
            running.set_result(report)
        finally:
            running.cancel()  # without a report; with one it is over, and this does nothing
            if report is None or report.refused:
                del self._flattenings[ask.request_id]  # nothing was done, so it may be asked for again
        return report

    def _absence(self) -> str:
        """Return why this process can not know what was asked for before, empty if it does."""
        if not self._engine.epoch.is_leading:
            return STANDBY
        # An order of an earlier process may be behind the request: "never placed" would be a guess.
        return "" if self._engine.account.gate.is_rebuilt else STARTING

    async def _flatten_once(self, ask: FlattenAskV1) -> FlattenReportV1:
        if absence := self._absence():
            return FlattenReportV1(
                request_id=ask.request_id,
                account=self._engine.account.name,
                is_dry_run=ask.is_dry_run,
                is_flat=False,
                refused=(absence,),
                stopped="",
                cancelled=0,
                is_verified=False,
                slices=(),
                left=(),
                cost_e6=0,
                cost_e6_max=0,
                collar_e4=0,
                took_ms=0,
            )
        return await self._flattening.flatten(ask)

    def _resolve(self, request_id: str) -> None:
        told = self._engine.direct.answer(request_id)
        if told is None:
            return
        for future in self._waiting.pop(request_id, []):
            if not future.done():
                future.set_result(told)

    async def _later(self, endpoint: str, message: Message, work: Awaitable[Wire]) -> None:
        try:
            data = encode(await work)
        except Exception as e:  # noqa: BLE001 - an endpoint's edge: the caller gets the reference, the log the rest
            ref = uuid.uuid4().hex[:8]
            self._log.event("ENDPOINT_FAILED", level="ERROR", error=e, endpoint=endpoint, ref=ref)
            data = msgspec.json.encode({"error": f"internal error, ref {ref}"})
        try:
            await self._bus.respond(message, data)
        except BusError as e:
            # The answer is lost, not the order: asking again with the same request id brings it.
            self._log.event("BUS_ERROR", f"answer not sent: {e}", level="WARNING", endpoint=endpoint)


def _refused(ask: PlaceAskV1, message: str) -> ConfirmationV1:
    return never_placed(Decided(ask.request_id), ask.mode, "", message, asked_e2=ask.qty_e2)


def _malformed(message: str) -> ConfirmationV1:
    return never_placed(Decided(""), Purpose.MANUAL, "", message, asked_e2=0)
