"""Random orders of two members in a random recording, against a client that only hears the events."""

from __future__ import annotations

import random
from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from services.simexchange.core.events import LevelChanged, Traded
from services.simexchange.core.markets import EventSpec, MarketSpec, SeriesSpec
from services.simexchange.core.orders import SelfTradePrevention, TimeInForce
from services.simexchange.core.queue_model import QueueModel
from services.simexchange.core.requests import CreateRequest, OrderRef, Placed
from services.simexchange.core.tape_book import TapeBook
from services.simexchange.core.venue import Venue

START_NS = 1_700_000_000 * 1_000_000_000
M = "M-1-A"
PRICES = st.integers(45, 55).map(lambda cents: cents * 100)
QTYS = st.integers(1, 900)
SIDES = st.sampled_from(list(Side))
HOW = st.tuples(st.sampled_from(list(TimeInForce)), st.sampled_from(list(SelfTradePrevention)), st.booleans())
MEMBERS = st.sampled_from(["main", "other"])


class TapeVenueAgainstListener(RuleBasedStateMachine):
    """The displayed book is always what the told changes add up to, and money is never made."""

    def __init__(self) -> None:
        super().__init__()
        self.venue = Venue(chance=random.Random(1))
        for name in ("main", "other"):
            self.venue.add_account(name, cash_by_shard={0: 10**12}, now_ns=START_NS)
        self.venue.add_series(SeriesSpec("M", "M"))
        self.venue.add_event(EventSpec("M-1", "M", "M"), START_NS)
        self.book = TapeBook(QueueModel.PROPORTIONAL)
        grid = grid_of_steps((0, 10_000, 100))
        self.venue.add_market(MarketSpec(M, "M-1", "M?", grid, START_NS, START_NS * 2), self.book, START_NS)
        self.now_ns = START_NS
        self.heard: dict[Side, dict[int, int]] = {side: defaultdict(int) for side in Side}
        self.open: list[tuple[str, str]] = []
        self.recorded: dict[Side, dict[int, int]] = {side: defaultdict(int) for side in Side}
        self.printed_e2 = 0
        self.recorded_trades_e2 = 0

    # The recording: levels that never cross each other, trades at the best price --------------------

    def _best(self, side: Side) -> int | None:
        levels = [p for p, q in self.recorded[side].items() if q]
        return (max(levels) if side is Side.BID else min(levels)) if levels else None

    @rule(side=SIDES, price_e4=PRICES, qty_e2=QTYS)
    def arrive(self, side: Side, price_e4: int, qty_e2: int) -> None:
        other = self._best(side.opposite)
        if other is not None and (other - price_e4) * side.sign <= 0:
            return
        self.recorded[side][price_e4] += qty_e2
        self.venue.apply_levels(M, [(side, price_e4, qty_e2)], self.now_ns)

    @rule(side=SIDES, price_e4=PRICES, qty_e2=QTYS)
    def leave(self, side: Side, price_e4: int, qty_e2: int) -> None:
        qty_e2 = min(qty_e2, self.recorded[side][price_e4])
        if qty_e2:
            self.recorded[side][price_e4] -= qty_e2
            self.venue.apply_levels(M, [(side, price_e4, -qty_e2)], self.now_ns)

    @rule(taker=SIDES, qty_e2=QTYS)
    def trade(self, taker: Side, qty_e2: int) -> None:
        price_e4 = self._best(taker.opposite)
        if price_e4 is None:
            return
        qty_e2 = min(qty_e2, self.recorded[taker.opposite][price_e4])
        self.recorded[taker.opposite][price_e4] -= qty_e2
        self.recorded_trades_e2 += qty_e2
        self.venue.apply_trade(M, taker, price_e4, qty_e2, self.now_ns)
        self.venue.apply_levels(M, [(taker.opposite, price_e4, -qty_e2)], self.now_ns)

    # Members ---------------------------------------------------------------------------------------

    @rule(member=MEMBERS, side=SIDES, price_e4=PRICES, qty_e2=QTYS, how=HOW)
    def place(
        self,
        member: str,
        side: Side,
        price_e4: int,
        qty_e2: int,
        how: tuple[TimeInForce, SelfTradePrevention, bool],
    ) -> None:
        tif, stp, post_only = how
        post_only = post_only and tif is TimeInForce.GOOD_TILL_CANCELED
        request = CreateRequest(M, side, price_e4, qty_e2, tif, stp, post_only=post_only)
        placed = self.venue.create(member, request, self.now_ns)
        if isinstance(placed, Placed):
            assert placed.filled_e2 + placed.remaining_e2 <= qty_e2
            assert not (post_only and placed.filled_e2)
            if placed.remaining_e2:
                self.open.append((member, placed.order_id))

    @precondition(lambda self: bool(self.open))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        member, order_id = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.venue.cancel(member, OrderRef(order_id, M), self.now_ns)

    # What must always hold -------------------------------------------------------------------------

    @invariant()
    def listener_and_book_agree(self) -> None:
        for event in self.venue.drain():
            if isinstance(event, LevelChanged):
                half = self.heard[event.side]
                half[event.price_e4] += event.change_e2
                assert half[event.price_e4] >= 0, event
                bids = [p for p, q in self.heard[Side.BID].items() if q]
                asks = [p for p, q in self.heard[Side.ASK].items() if q]
                assert not bids or not asks or max(bids) < min(asks), event
            elif isinstance(event, Traded):
                self.printed_e2 += event.qty_e2
        for side in Side:
            told = {p: q for p, q in self.heard[side].items() if q}
            assert dict(self.book.displayed(side)) == told
            best = self.book.best(side)
            assert best == next(iter(self.book.displayed(side)), None)
        assert self.venue.residual_e6() == 0
        assert self.printed_e2 >= self.recorded_trades_e2

    @invariant()
    def recording_stays_as_it_was(self) -> None:
        for side in Side:
            assert self.book.recorded(side) == {p: q for p, q in self.recorded[side].items() if q}

    @invariant()
    def orders_and_book_agree(self) -> None:
        resting = {o.order_id: o for o in self.book.resting()}
        for member in ("main", "other"):
            for order in self.venue.accounts[member].orders.values():
                assert order.is_resting == (order.order_id in resting)
        for order in resting.values():
            assert order.remaining_e2 > 0
            assert self.book.ahead_of(order) >= 0


TestTapeVenueAgainstListener = TapeVenueAgainstListener.TestCase
TestTapeVenueAgainstListener.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
