"""Where limits are shown and changed: `svc.riskguard.limits` and `svc.riskguard.limit`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from libs.common.bus.api import (
    AppendRefused,
    Bus,
    BusError,
    BusUnavailable,
    Fence,
    Message,
    OutcomeUnknown,
)
from libs.common.messages.base import encode
from libs.common.runtime.clock import Clock
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.effects import Effect
from services.riskguard.core.limit_desk import LimitAnswer, SetLimit

_ASK_S: Final = 1.0
_MS = 1_000_000


class _Limit(msgspec.Struct, frozen=True):
    name: str
    cap: int


class _Said(msgspec.Struct, frozen=True):
    """What the executor answers of its limits, as far as it is needed."""

    limits: tuple[_Limit, ...]
    limits_hash: str = ""


class LimitCounter:
    """The endpoints."""

    def __init__(  # noqa: PLR0917 - wired in one place
        self,
        core: RiskguardCore,
        bus: Bus,
        subjects: Subjects,
        clock: Clock,
        log: EventLog,
        perform: Callable[[list[Effect]], None],
    ) -> None:
        self._core = core
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._log = log
        self._perform = perform
        self._executor_hash = ""

    async def change(self, message: Message) -> None:
        """Take either step of a change and answer."""
        await self.ask_executor()
        mono_ns, now_ms, nonce = self._clock.mono_ns(), self._clock.now_ns() // _MS, secrets.token_hex(16)
        answer = self._core.changes.on_request(message.data, mono_ns, now_ms, nonce)
        if isinstance(answer, SetLimit):
            answer = await self._store(answer, now_ms)
        if answer.refusals:
            self._log.event("LIMIT_REFUSED", "; ".join(answer.refusals), level="WARNING")
        await self._bus.respond(message, msgspec.json.encode(answer))

    async def show(self, message: Message) -> None:
        """Answer every limit: what it is, its configured value, who changed it, why, until when."""
        await self.ask_executor()
        core, view = self._core, self._core.standing.view
        now_ms = self._clock.now_ns() // _MS
        answer = {
            "account": core.account_id,
            "limits": msgspec.to_builtins(core.limits),
            "all": core.changes.all_now(now_ms),
            "limits_hash": core.changes.fold.hash(),
            "executor_limits_hash": self._executor_hash,
            "scale_e4": core.scale_e4(now_ms),
            "now": {
                "day_e6": view.day_e6,
                "high_water_e6": view.high_water_e6,
                "positions": dict(view.positions),
                "market_exposure_e6": dict(view.market_exposure_e6),
                "event_exposure_e6": dict(view.event_exposure_e6),
                "account_exposure_e6": view.account_exposure_e6,
                "orders_last_minute": view.orders_last_minute,
            },
            "red": [fired.text for fired in core.standing.fired],
        }
        await self._bus.respond(message, msgspec.json.encode(answer))

    async def _store(self, change: SetLimit, now_ms: int) -> LimitAnswer:
        subject = self._subjects.of("ctl.limit", self._core.account_id)
        fence = None if change.after is None else Fence(subject, change.after)
        step, limit = 1 if fence is None else 2, change.limit
        msg_id = f"limit/{limit.nonce or secrets.token_hex(16)}"
        try:
            ack = await self._bus.append(subject, encode(limit), msg_id=msg_id, fence=fence)
        except AppendRefused as e:
            refusal = "another change came" if e.is_fence else f"the stream refused: {e}"
        except (BusUnavailable, OutcomeUnknown) as e:
            # It may have been stored; a repeated change that tightens is safe, and so is a new first step.
            refusal = f"outcome unknown: {e}"
        else:
            self._perform(self._core.on_limit(ack.sequence, limit, now_ms, now_ms))
            told = f"{limit.name} {'raised' if limit.nonce else 'lowered'} to {limit.value} by {limit.by}"
            self._log.event("LIMIT_CHANGED", told, level="WARNING", sequence=ack.sequence)
            return LimitAnswer(
                is_accepted=True,
                step=step,
                name=limit.name,
                value=limit.value,
                change=limit,
                limit_sequence=ack.sequence,
            )
        return LimitAnswer(is_accepted=False, step=step, refusals=(refusal,), name=limit.name)

    async def ask_executor(self) -> None:
        """Ask the executor what its limits are configured as."""
        # Silent: what it said last holds, and if it never spoke its limits can only be tightened.
        try:
            answer = await self._bus.request(
                self._subjects.of("svc", "executor", "limits"), b"", timeout_s=_ASK_S
            )
            said = msgspec.json.decode(answer.data, type=_Said)
        except (BusError, msgspec.DecodeError) as e:
            self._executor_hash = ""
            self._log.once("executor_limits", "BUS_ERROR", f"the executor does not say its limits: {e}")
            return
        self._core.changes.executors = {limit.name: limit.cap for limit in said.limits}
        self._executor_hash = said.limits_hash
