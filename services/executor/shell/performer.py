"""Perform effects: requests start at once, everything else follows while they are under way.

A log line costs more than a whole planning pass, and a position wakes other services on
the same cores, so nothing that only tells may run before something that acts, nor while
an order is between its plan and the wire.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from libs.common.messages.execution import OrderV1, PositionV1
from libs.common.runtime.log import EventLog
from services.executor.core.effects import (
    Confirmed,
    Effect,
    Log,
    MakeGroup,
    PublishPosition,
    ReadFills,
    ReadOrder,
    ReadSettlements,
    RecordAudit,
    RecordFill,
    RecordOrder,
    SendBatch,
    SendCancels,
    StartKill,
    TakeOver,
    WriteLatch,
)
from services.executor.core.engine import Engine
from services.executor.shell.latch_writer import LatchWriter
from services.executor.shell.publisher import Publisher

_PASS_S_MAX = 0.02
"""Longest wait for orders on their way: a journal that is slow must not hold up what is told of it."""
_LATE_S = 0.25
_LATE_TURN_S = 0.002
"""What waited so long is told with the next in a row for so long: a turn of the loop is a millisecond on
a quiet machine and a tenth of a second on a loaded one, and one thing told a turn would be seconds late."""
Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Performer:
    """Sorts effects into those that act now and those that tell.

    The attributes named ``on_*`` are filled by the wiring; each takes one effect.
    """

    def __init__(self, *, engine: Engine, publisher: Publisher, latch: LatchWriter, log: EventLog) -> None:
        self._engine = engine
        self._publisher = publisher
        self._latch = latch
        self._log = log
        self._telling: deque[tuple[float, Effect]] = deque()  # with the loop's time when it was queued
        self._positions: dict[str, PositionV1] = {}
        self._position_s = 0.0
        self._wake = asyncio.Event()
        self._passed = asyncio.Event()
        self.on_batch: Callable[[SendBatch], None]
        self.on_cancels: Callable[[SendCancels], None]
        self.on_group: Callable[[MakeGroup], None]
        self.on_kill: Callable[[StartKill], None]
        self.on_take_over: Callable[[TakeOver], None]
        self.on_read_fills: Callable[[ReadFills], None]
        self.on_read_settlements: Callable[[ReadSettlements], None]
        self.on_read_order: Callable[[ReadOrder], None]
        self.on_confirmed: Callable[[Confirmed], None]
        self.on_order: Callable[[OrderV1], None]
        self.on_changed: Callable[[], None]
        self.is_order_leaving: Callable[[], bool] = lambda: False

    def perform(self, effects: list[Effect]) -> None:
        """Perform effects; the ones that act are started before this returns."""
        now_s = asyncio.get_running_loop().time() if effects else 0.0
        for effect in effects:
            if isinstance(effect, SendBatch):
                self.on_batch(effect)
            elif isinstance(effect, SendCancels):
                self.on_cancels(effect)
            elif isinstance(effect, StartKill):
                self.on_kill(effect)
            elif isinstance(effect, TakeOver):
                self.on_take_over(effect)
            elif isinstance(effect, MakeGroup | ReadOrder | Confirmed):
                self._act(effect)
            elif isinstance(effect, WriteLatch):
                self._latch.write(effect)
            else:
                self._keep(effect, now_s)
        if effects:
            self._wake.set()
            self.on_changed()

    def _keep(self, effect: Effect, now_s: float) -> None:
        if isinstance(effect, PublishPosition):
            self._position_s = self._position_s if self._positions else now_s
            self._positions[effect.position.market] = effect.position
            return
        if isinstance(effect, RecordOrder):
            self.on_order(effect.order)  # now: its next change may be asked for before it is told
        self._telling.append((now_s, effect))

    def _act(self, effect: MakeGroup | ReadOrder | Confirmed) -> None:
        if isinstance(effect, MakeGroup):
            self.on_group(effect)
        elif isinstance(effect, ReadOrder):
            self.on_read_order(effect)
        else:
            self.on_confirmed(effect)

    async def run(self) -> None:
        """Tell what waits, for ever."""
        while True:
            while self._telling or self._positions:
                await self._let_orders_pass(self._telling[0][0] if self._telling else self._position_s)
                while self._positions:
                    market = next(iter(self._positions))
                    await self._publisher.position(self._positions.pop(market))
                self._tell_some()
                # Whatever acts comes between: a dozen lines in a row would hold up an acknowledgement.
                await asyncio.sleep(0)
            self._wake.clear()
            await self._wake.wait()

    def orders_passed(self) -> None:
        """Go on telling: no order is between its plan and the wire any more."""
        self._passed.set()

    # From its plan to the wire an order waits for the disk, for other processes on the same cores and for a
    # few turns of this loop; a line told or a position published meanwhile would make it wait for that too.
    # Bounded by the age of what is told: where orders leave without pause, fills must not pile up.
    async def _let_orders_pass(self, queued_s: float) -> None:
        loop = asyncio.get_running_loop()
        until_s = queued_s + _PASS_S_MAX
        if not self.is_order_leaving() or loop.time() >= until_s:
            return
        self._passed.clear()
        timer = loop.call_at(until_s, self._passed.set)
        try:
            await self._passed.wait()
        finally:
            timer.cancel()

    def _tell_some(self) -> None:
        """Tell one thing; after one that is late the next as well, while the turn is short."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while self._telling:
            queued_s, effect = self._telling.popleft()
            self._tell(effect)
            if began_s - queued_s <= _LATE_S or loop.time() - began_s >= _LATE_TURN_S:
                break

    def _tell(self, effect: Effect) -> None:
        if isinstance(effect, Log):
            self._log.event(effect.event_type, effect.message, level=effect.level, **effect.fields)
        elif isinstance(effect, RecordOrder):
            self._publisher.order(effect.order, self._engine.epoch.number)
        elif isinstance(effect, RecordFill):
            self._publisher.fill(effect.fill)
        elif isinstance(effect, RecordAudit):
            self._publisher.audit(effect.audit)
        elif isinstance(effect, ReadFills):
            self.on_read_fills(effect)
        elif isinstance(effect, ReadSettlements):
            self.on_read_settlements(effect)
