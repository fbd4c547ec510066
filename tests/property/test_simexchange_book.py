"""The book against a list that just remembers every order, and against itself."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.common.domain.side import Side
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.orders import Order, SelfTradePrevention, TimeInForce

PRICES = st.integers(1, 9).map(lambda step: step * 1000)
SIDES = st.sampled_from(Side)
ACCOUNTS = st.sampled_from("ab")


@dataclass
class Remembered:
    """One order of the model: a line in a list, in order of arrival."""

    order: Order
    left_e2: int


class BookAgainstList(RuleBasedStateMachine):
    """The book always agrees with a flat list searched from scratch each time."""

    def __init__(self) -> None:
        super().__init__()
        self.book = FifoBook()
        self.lines: list[Remembered] = []
        self.count = 0

    @rule(
        account=ACCOUNTS,
        side=SIDES,
        price_e4=PRICES,
        qty_e2=st.integers(1, 500),
        stp=st.sampled_from(SelfTradePrevention),
    )
    def enter(self, account: str, side: Side, price_e4: int, qty_e2: int, stp: SelfTradePrevention) -> None:
        order = self.new(account, side, price_e4, qty_e2, stp)
        expected, gone, is_stopped = self.expect(order)
        could_fill_e2 = self.book.fillable_e2(order)
        crossed = self.book.would_cross(order)

        matched = self.book.match(order, 0)

        assert [(match.maker, match.price_e4, match.qty_e2) for match in matched.matches] == expected
        assert list(matched.self_cancelled) == gone
        assert matched.is_stopped == is_stopped
        filled_e2 = sum(match.qty_e2 for match in matched.matches)
        assert filled_e2 <= could_fill_e2 <= qty_e2
        assert crossed or not expected
        order.remaining_e2 -= filled_e2
        if order.remaining_e2 and not is_stopped:
            self.book.rest(order)
            self.lines.append(Remembered(order, order.remaining_e2))

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if not self.lines:
            return
        line = data.draw(st.sampled_from(self.lines))
        assert self.book.remove(line.order) == line.left_e2
        assert self.book.remove(line.order) == 0
        self.lines.remove(line)

    @rule(data=st.data())
    def reduce(self, data: st.DataObject) -> None:
        lines = [line for line in self.lines if line.left_e2 > 1]
        if not lines:
            return
        line = data.draw(st.sampled_from(lines))
        by_e2 = data.draw(st.integers(1, line.left_e2 - 1))
        self.book.reduce(line.order, by_e2)
        line.left_e2 -= by_e2

    @invariant()
    def displays_what_the_list_adds_up_to(self) -> None:
        for side in Side:
            totals: dict[int, int] = {}
            for line in self.lines:
                if line.order.side is side:
                    totals[line.order.price_e4] = totals.get(line.order.price_e4, 0) + line.left_e2
            expected = sorted(totals.items(), reverse=side is Side.BID)
            assert list(self.book.displayed(side)) == expected
            assert self.book.best(side) == (expected[0] if expected else None)

    @invariant()
    def knows_everyones_place(self) -> None:
        for index, line in enumerate(self.lines):
            ahead = [
                other.left_e2
                for other in self.lines[:index]
                if (other.order.side, other.order.price_e4) == (line.order.side, line.order.price_e4)
            ]
            assert self.book.ahead_of(line.order) == sum(ahead)

    @invariant()
    def is_never_crossed_by_strangers(self) -> None:
        bid, ask = self.book.best(Side.BID), self.book.best(Side.ASK)
        assert bid is None or ask is None or bid[0] < ask[0]

    def expect(self, order: Order) -> tuple[list[tuple[Order, int, int]], list[Order], bool]:
        """Return what the list says must trade, be taken out, and whether it stops."""
        found: list[tuple[Order, int, int]] = []
        gone: list[Order] = []
        wanted_e2 = order.remaining_e2
        while wanted_e2:
            rivals = [
                line
                for line in self.lines
                if line.order.side is not order.side and order.crosses(line.order.price_e4)
            ]
            if not rivals:
                break
            line = min(
                rivals, key=lambda line: line.order.price_e4 * order.side.sign
            )  # the first among equals
            if line.order.account == order.account:
                if order.stp is SelfTradePrevention.TAKER_AT_CROSS:
                    return found, gone, True
                self.lines.remove(line)
                gone.append(line.order)
                continue
            qty_e2 = min(wanted_e2, line.left_e2)
            wanted_e2 -= qty_e2
            line.left_e2 -= qty_e2
            found.append((line.order, line.order.price_e4, qty_e2))
            if not line.left_e2:
                self.lines.remove(line)
        return found, gone, False

    def new(self, account: str, side: Side, price_e4: int, qty_e2: int, stp: SelfTradePrevention) -> Order:
        self.count += 1
        return Order(
            order_id=str(self.count),
            account=account,
            client_order_id="",
            market="M",
            event="E",
            shard=0,
            side=side,
            price_e4=price_e4,
            initial_e2=qty_e2,
            remaining_e2=qty_e2,
            tif=TimeInForce.GOOD_TILL_CANCELED,
            stp=stp,
            created_ns=0,
            updated_ns=0,
        )


BookAgainstList.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBookAgainstList = BookAgainstList.TestCase
