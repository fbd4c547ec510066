"""What an operator may ask about orders that no evidence settled: which they are, and what they were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from libs.common.bus.api import Bus, Handler, Message
from services.executor.core.effects import Effect, Log
from services.executor.core.engine import Engine

_PROOF_S = 10.0
_LOOK_S = 0.1


class SettleAsk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``settle``: who orders the proof, and why. It is for every conflict: all quotes go."""

    by: str
    reason: str


class Settling:
    """Answers ``conflicts`` and ``settle``; neither can create an order, and neither decides an outcome."""

    def __init__(self, *, engine: Engine, bus: Bus, perform: Callable[[list[Effect]], None]) -> None:
        self._engine = engine
        self._bus = bus
        self._perform = perform

    @property
    def endpoints(self) -> Mapping[str, Handler]:
        """Return the handlers by endpoint."""
        return {"conflicts": self._conflicts, "settle": self._settle}

    async def _conflicts(self, message: Message) -> None:
        await self._say(message)

    async def _settle(self, message: Message) -> None:
        try:
            ask = msgspec.json.decode(message.data, type=SettleAsk)
        except msgspec.DecodeError as e:
            await self._say(message, error=f"expected by and reason: {e}")
            return
        engine = self._engine
        before = {row.client_order_id for row in engine.conflicts.rows()}
        if not before:
            await self._say(message, error="no conflict is open")
            return
        if not engine.epoch.is_leading or not engine.account.gate.is_recovered:
            await self._say(message, error="this process does not lead, or takes over already")
            return
        fields = {"by": ask.by, "reason": ask.reason, "conflicts": len(before)}
        self._perform(
            [
                Log("OPERATOR_SETTLES", level="WARNING", fields=fields),
                engine.account.take_over(f"{ask.by} settles {len(before)} conflicts: {ask.reason}"),
            ]
        )
        for _ in range(int(_PROOF_S / _LOOK_S)):
            if not engine.conflicts.count:
                break
            await asyncio.sleep(_LOOK_S)
        left = {row.client_order_id for row in engine.conflicts.rows()}
        await self._say(message, settled=sorted(before - left))

    async def _say(self, message: Message, **more: object) -> None:
        rows = self._engine.conflicts.rows()
        await self._bus.respond(message, msgspec.json.encode({"conflicts": rows, **more}))
