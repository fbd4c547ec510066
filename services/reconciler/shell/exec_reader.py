"""Bring the executor's events to the core: all that is stored first, then what comes.

The register of orphans, which this service wrote itself, is read before them.

Until the stored part has been read whole, the executor's word is half a word, so
`replay` ends before the first comparison begins. A malformed message is counted
and changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from libs.common.bus.api import Bus, Message
from libs.common.messages.base import MalformedMessage, Wire, WireDecoder
from libs.common.messages.execution import EpochV1, FillV1, IntentV1, OrderV1, PositionV1, RenewV1
from libs.common.messages.risk import OrphanedOrderV1
from libs.common.observability.metrics import Metrics
from libs.common.runtime.clock import Clock
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.reconciler.core.core import ReconcilerCore
from services.reconciler.core.effects import Effect

M = TypeVar("M", bound=Wire)
Take = Callable[[Message], list[Effect]]
Perform = Callable[[list[Effect]], None]

_STORED: Final = ("exec.epoch", "exec.renew", "exec.intent", "order", "fill")
_REGISTER: Final = "audit.recon"
"""Written by this service alone, so it is read once and not followed."""


class ExecReader:
    """Reads EXEC and the executor's positions into the core."""

    def __init__(  # noqa: PLR0917 - wired in one place
        self,
        core: ReconcilerCore,
        bus: Bus,
        subjects: Subjects,
        clock: Clock,
        log: EventLog,
        metrics: Metrics,
    ) -> None:
        self._core = core
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self.malformed = 0
        self._take: dict[str, Take] = {
            "exec.epoch": self._decoded(EpochV1, lambda m, e: core.on_epoch(e, m.sequence, self._now())),
            "exec.renew": self._decoded(RenewV1, lambda _, r: core.on_renew(r, self._now())),
            "exec.intent": self._decoded(IntentV1, lambda m, i: core.on_intent(i, m.sequence, self._now())),
            "order": self._decoded(OrderV1, lambda m, o: core.on_order(o, m.sequence, self._now())),
            "fill": self._decoded(FillV1, lambda _, f: core.on_fill(f)),
            _REGISTER: self._decoded(OrphanedOrderV1, lambda _, row: core.on_orphan_stored(row)),
            "position": self._decoded(PositionV1, lambda _, p: core.on_position(p, self._now())),
        }

    async def replay(self, perform: Perform) -> None:
        """Read everything stored, then go on with what comes.

        Raises:
            BusUnavailable: The stream did not answer.
        """
        async for message in self._bus.read(self._subjects.all_of(_REGISTER)):
            perform(self._take[_REGISTER](message))
        for family in _STORED:
            pattern, take = self._subjects.all_of(family), self._take[family]
            newest = 0
            async for message in self._bus.read(pattern):
                perform(take(message))
                newest = message.sequence
            await self._bus.follow(pattern, _handler(take, perform), from_sequence=newest + 1)
        await self._bus.latest(self._subjects.all_of("position"), _handler(self._take["position"], perform))

    def _now(self) -> int:
        return self._clock.mono_ns()

    def _decoded(self, kind: type[M], take: Callable[[Message, M], list[Effect]]) -> Take:
        decoder = WireDecoder(kind)

        def handle(message: Message) -> list[Effect]:
            try:
                decoded = decoder.decode(message.data)
            except MalformedMessage as e:
                self.malformed += 1
                self._metrics.count("malformed_total", source="bus", kind=kind.__name__)
                self._log.once(kind.__name__, "MALFORMED", str(e), subject=message.subject)
                return []
            account = getattr(decoded, "account", self._core.account)
            return take(message, decoded) if account == self._core.account else []

        return handle


def _handler(take: Take, perform: Perform) -> Callable[[Message], Awaitable[None]]:
    async def handle(message: Message) -> None:
        perform(take(message))

    return handle
