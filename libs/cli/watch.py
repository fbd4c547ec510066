"""What a person sees of a running Dora: the newest top, position and status of everything.

Filled from the bus by `Watcher` and read by `display.py`. Only subjects that an
operator may hear are used; nothing here can influence trading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from libs.cli.summary import HaltLine, Tally
from libs.common.bus.api import Bus, BusUnavailable, Message, OutcomeUnknown
from libs.common.domain.side import Side
from libs.common.messages.base import MalformedMessage, WireDecoder
from libs.common.messages.control import parse_halt
from libs.common.messages.execution import FillV1, PositionV1
from libs.common.messages.health import StatusV1
from libs.common.messages.market import MarketV1, TopV1
from libs.common.subjects import Subjects

POLL_S: Final = 1.0
_STATUS: Final = WireDecoder(StatusV1)
_TOP: Final = WireDecoder(TopV1)
_MARKET: Final = WireDecoder(MarketV1)
_POSITION: Final = WireDecoder(PositionV1)
_FILL: Final = WireDecoder(FillV1)


@dataclass(slots=True)
class View:
    """The newest of everything."""

    tops: dict[str, TopV1] = field(default_factory=dict)
    markets: dict[str, MarketV1] = field(default_factory=dict)
    positions: dict[str, PositionV1] = field(default_factory=dict)
    fills: dict[str, int] = field(default_factory=dict)
    traded_e2: dict[str, int] = field(default_factory=dict)
    halts: dict[int, HaltLine] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    _seen_fills: set[tuple[str, str]] = field(default_factory=set)

    def on_fill(self, fill: FillV1) -> None:
        """Count a fill once."""
        key = (fill.trade_id, fill.order_id)
        if key in self._seen_fills:
            return
        self._seen_fills.add(key)
        self.fills[fill.market] = self.fills.get(fill.market, 0) + 1
        self.traded_e2[fill.market] = self.traded_e2.get(fill.market, 0) + fill.qty_e2

    def own_quotes(self, market: str) -> tuple[int | None, int | None]:
        """Return our best resting bid and ask."""
        position = self.positions.get(market)
        if position is None:
            return None, None
        bids = [r.price_e4 for r in position.resting if r.side is Side.BID]
        asks = [r.price_e4 for r in position.resting if r.side is not Side.BID]
        return max(bids, default=None), min(asks, default=None)

    @property
    def all_markets(self) -> list[str]:
        """Return every market heard of."""
        return sorted({*self.tops, *self.markets, *self.positions})


class Watcher:
    """Fills a view from the bus."""

    def __init__(self, bus: Bus, subjects: Subjects, services: Sequence[str]) -> None:
        self.view = View()
        self._bus = bus
        self._subjects = subjects
        self._services = tuple(services)

    async def start(self) -> None:
        """Subscribe to what is shown."""
        await self._bus.latest(self._subjects.all_of("md.top"), self._on_top)
        await self._bus.latest(self._subjects.all_of("md.status"), self._on_market)
        await self._bus.latest(self._subjects.all_of("position"), self._on_position)
        await self._bus.each(self._subjects.all_of("fill"), self._on_fill)

    async def poll(self) -> None:
        """Ask every service for its status once; a silent one keeps its last answer."""
        await asyncio.gather(*(self._ask(service) for service in self._services))

    async def read_halts(self, first_sequence: int = 0) -> None:
        """Read the halts that CONTROL holds after a sequence."""
        try:
            async for message in self._bus.read(self._subjects.all_of("ctl.halt")):
                source = self._subjects.keys_of("ctl.halt", message.subject)[0]
                if message.sequence > first_sequence and source != "init":
                    self.view.halts[message.sequence] = HaltLine(
                        sequence=message.sequence, source=source, reason=parse_halt(message.data).reason
                    )
        except (BusUnavailable, OutcomeUnknown):
            return

    async def _ask(self, service: str) -> None:
        subject = self._subjects.of("svc", service, "status")
        try:
            answer = await self._bus.request(subject, b"", timeout_s=POLL_S)
            self.view.tally.hear(_STATUS.decode(answer.data))
        except (BusUnavailable, OutcomeUnknown, MalformedMessage):
            return

    async def _on_top(self, message: Message) -> None:
        try:
            top = _TOP.decode(message.data)
        except MalformedMessage:
            return
        self.view.tops[top.market] = top

    async def _on_market(self, message: Message) -> None:
        try:
            market = _MARKET.decode(message.data)
        except MalformedMessage:
            return
        self.view.markets[market.market] = market

    async def _on_position(self, message: Message) -> None:
        try:
            position = _POSITION.decode(message.data)
        except MalformedMessage:
            return
        self.view.positions[position.market] = position

    async def _on_fill(self, message: Message) -> None:
        try:
            fill = _FILL.decode(message.data)
        except MalformedMessage:
            return
        self.view.on_fill(fill)
