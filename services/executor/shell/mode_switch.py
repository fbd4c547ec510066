"""Switch between batches and single orders while the executor runs (B-059, B-065).

``svc.executor.execution_mode``: an empty body asks, ``{"mode": "single", "by": "name"}``
switches. The next planning pass follows it; what is under way ends as it began. A
restart goes back to the configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from libs.common.bus.api import Bus, Message
from services.executor.core.account import Now
from services.executor.core.effects import Effect, Log
from services.executor.core.engine import Engine
from services.executor.core.quoting import ExecutionMode

ENDPOINT: Final = "execution_mode"


class _Ask(msgspec.Struct, frozen=True, kw_only=True):
    mode: ExecutionMode | None = None
    by: str = ""


class ModeSwitch:
    """The endpoint."""

    def __init__(
        self,
        *,
        engine: Engine,
        bus: Bus,
        perform: Callable[[list[Effect]], None],
        now: Callable[[], Now],
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._perform = perform
        self._now = now

    async def answer(self, message: Message) -> None:
        """Answer with the mode, after the switch if one was asked for."""
        quoter, error = self._engine.quoter, ""
        try:
            ask = msgspec.json.decode(message.data or b"{}", type=_Ask)
        except msgspec.DecodeError:
            ask, error = _Ask(), 'expected {"mode": "batch"} or {"mode": "single"}; nothing changed'
        if ask.mode is not None and ask.mode is not quoter.mode:
            was, quoter.mode = quoter.mode, ask.mode
            reason = f"{was} to {ask.mode} by {ask.by or 'unnamed'}"
            self._perform(
                [
                    self._engine.account.audit("EXECUTION_MODE", self._now(), market="", reason=reason),
                    Log("EXECUTION_MODE", reason, "WARNING"),
                ]
            )
        body = {"execution_mode": quoter.mode.value, "batch_items": quoter.batch_items, "error": error}
        await self._bus.respond(message, msgspec.json.encode(body))
