"""Read what the feed may have kept from us: unknown orders, fills, settlements, the venue's own sums."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from libs.common.kalshi.model import VenueOrder
from libs.common.kalshi.rest import VenueReader
from libs.common.runtime.errors import VenueError, VenueRefused
from services.executor.core.account import Now
from services.executor.core.effects import Effect, Log
from services.executor.core.engine import Engine
from services.executor.core.orders import OwnOrder

T = TypeVar("T")

_FILL_OVERLAP_MS = 5_000
_DEAF_S = 1.0
"""How often everything is compared while the private feed is not whole."""


class Polls:
    """Targeted reads when something is open, a comparison of everything every few seconds."""

    def __init__(
        self,
        *,
        engine: Engine,
        reader: VenueReader,
        now: Callable[[], Now],
        perform: Callable[[list[Effect]], None],
        look_s: float,
        compare_s: float,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._now = now
        self._perform = perform
        self._look_s = look_s
        self._compare_s = compare_s
        self._wants_fills = False
        self._wants_settlements = False
        self._asked_for_e6 = 0
        """The difference in cash for which settlements were read again."""
        self._compared_ns = 0
        self._looked_ns: dict[str, int] = {}
        self.failures = 0

    def want_fills(self) -> None:
        """Read the fills with the next look."""
        self._wants_fills = True

    def want_settlements(self) -> None:
        """Read the settlements with the next look."""
        self._wants_settlements = True

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(self._look_s)
            if self._engine.account.gate.is_recovered:
                await self.look()

    async def look(self) -> None:
        """Do what is open now."""
        now = self._now()
        is_whole = self._engine.account.gate.hearing.is_whole(now.ns)
        every_s = self._compare_s if is_whole else min(self._compare_s, _DEAF_S)
        if self._engine.reread or now.ns - self._compared_ns >= every_s * 1e9:
            self._compared_ns = now.ns
            await self._try(self.compare)
        if self._wants_fills:
            await self._try(self.fills)
        if self._wants_settlements:
            await self._try(self.settlements)
        await self._try(self._unresolved)

    async def compare(self) -> None:
        """Compare orders, fills, positions and cash with the venue's."""
        began = self._now()
        resting = await self._ask(self._reader.orders(status="resting"))
        self._engine.reread = False
        self._perform(self._engine.intake.on_listing(resting, began.ns, self._now()))
        await self.fills()
        self._engine.account.gate.hearing.compared(began.ns)
        positions = await self._ask(self._reader.positions())
        asked = self._now()
        balance = await self._ask(self._reader.balance())
        self._engine.on_balance(balance, asked.ns)
        self._engine.on_positions_read(positions, balance.total_e6, began.ns, self._now())
        if self._engine.cash_residual_e6 not in (0, self._asked_for_e6):
            # What a market paid may have been corrected long after it was settled: nothing tells of that.
            self._asked_for_e6 = self._engine.cash_residual_e6
            self._wants_settlements = True

    async def fills(self) -> None:
        """Count every fill that the feed did not tell."""
        self._wants_fills = False
        positions = self._engine.account.positions
        # Since what was last read, not heard: the feed may have kept one fill from us and told the next.
        since_ms = positions.listed_ms - _FILL_OVERLAP_MS
        fills = await self._ask(self._reader.fills(min_ts=max(0, since_ms // 1_000)))
        effects: list[Effect] = []
        for fill in reversed(fills):
            effects += self._engine.intake.on_fill(fill, self._now())
        positions.listed(fills)
        self._perform(effects)
        for fill in self._engine.account.positions.parked():
            began = self._now()
            told = await self._ask(self._reader.order(fill.order_id))
            if told is not None:
                self._perform(self._engine.intake.on_read_order(told, began.ns, self._now()))
        if self._engine.account.positions.parked():
            self._wants_fills = True

    async def settlements(self) -> None:
        """Count every settlement; those whose fills are missing are read again."""
        self._wants_settlements = False
        effects: list[Effect] = []
        # Oldest first: of two records of one market the newer one counts.
        for settlement in reversed(await self._ask(self._reader.settlements())):
            effects += self._engine.intake.on_settlement(settlement, self._now())
        self._perform(effects)

    async def _unresolved(self) -> None:
        now = self._now()
        gap_ns = int(self._look_s * 1e9)
        nameless: set[str] = set()
        for order in self._engine.account.orders.unresolved():
            if now.ns - self._looked_ns.get(order.client_order_id, 0) < gap_ns:
                continue
            self._looked_ns[order.client_order_id] = now.ns
            if order.order_id:
                await self._look_up(order)
            else:
                nameless.add(order.market)
        if nameless:
            await self._search(nameless)
        if len(self._looked_ns) > 10_000:
            self._looked_ns.clear()

    async def _look_up(self, order: OwnOrder) -> None:
        began = self._now()
        told = await self._ask(self._reader.order(order.order_id))
        if told is None:
            return  # reads lag; what the venue named once it will name again
        self._perform(self._engine.intake.on_read_order(told, began.ns, self._now()))

    async def _search(self, markets: set[str]) -> None:
        intake = self._engine.intake
        for market in sorted(markets):
            began = self._now()
            told: list[VenueOrder] = await self._ask(self._reader.orders(market=market))
            effects: list[Effect] = []
            shown = {one.client_order_id for one in told}
            for one in told:
                effects += intake.on_read_order(one, began.ns, self._now())
            for order in self._engine.account.orders.of_market(market):
                if order.is_unknown and order.client_order_id not in shown:
                    effects += intake.on_absent(order, began.ns, self._now())
            self._perform(effects)

    async def _ask(self, answer: Awaitable[T]) -> T:
        """Return the answer to one read, and count it for whoever watches how the venue answers."""
        counters = self._engine.account.counters
        counters["api_requests"] += 1
        try:
            return await answer
        except VenueRefused:
            raise  # by its rules, and no failure
        except VenueError as e:
            counters["reads_rate_limited" if "too_many_requests" in str(e) else "api_errors"] += 1
            raise

    async def _try(self, read: Callable[[], Awaitable[None]]) -> None:
        try:
            await read()
        except VenueError as e:
            self.failures += 1
            if self.failures % 20 == 1:
                self._perform([Log("VENUE_ERROR", f"read failed: {e}", level="WARNING")])
