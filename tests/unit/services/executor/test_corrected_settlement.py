"""The newest record of a settled market counts in the executor's books, to the millionth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from libs.common.domain.side import Side
from libs.common.kalshi.model import FeedSubscribed, VenueBalance, VenueSettlement
from libs.common.kalshi.rest import VenueReader
from services.executor.core.effects import Effect, Log, ReadFills
from services.executor.shell.polls import Polls
from tests.support.executor_builders import CASH_E6, MARKET, START_MS, Desk, a_desk
from tests.support.truth_builders import settlement, venue_fill

FIRST = settlement(MARKET, no_e2=101, result="no", revenue_e6=1_010_000, settled_ms=START_MS)
# 0.6667 dollars for each of 1.01 contracts: 67 cents are paid, the rest of a cent is kept.
SECOND = replace(FIRST, result="scalar", revenue_e6=670_000, fee_e6=3_367, settled_ms=START_MS + 60_000)


def held() -> Desk:
    """Return a desk that holds 1.01 NO at 0.70, bought for 0.7070 and a fee."""
    desk = a_desk()
    fill = venue_fill(
        market=MARKET, side=Side.ASK, price_e4=3_000, qty_e2=101, fee_e6=100, client_order_id="somebody"
    )
    desk.engine.intake.on_fill(fill, desk.now)
    assert desk.engine.account.positions.qty_e2(MARKET) == -101
    return desk


def settle(desk: Desk, *told: VenueSettlement) -> list[Effect]:
    return [effect for one in told for effect in desk.engine.intake.on_settlement(one, desk.now)]


def cash_e6(desk: Desk) -> int:
    return desk.engine.account.positions.cash_e6(MARKET)


def test_a_correction_replaces_what_was_paid_and_the_position_stays_closed() -> None:
    desk = held()
    settle(desk, FIRST)
    assert cash_e6(desk) == -707_000 - 100 + 1_010_000

    told = settle(desk, SECOND)

    positions = desk.engine.account.positions
    assert cash_e6(desk) == -707_000 - 100 + 670_000
    assert (positions.qty_e2(MARKET), positions.is_settled(MARKET)) == (0, True)
    assert positions.fees_e6 == 100 + 3_367
    assert positions.realised_e6 == 673_367 - 707_000
    assert [effect.event_type for effect in told if isinstance(effect, Log)] == ["MARKET_SETTLED"]


def test_an_older_record_and_the_same_once_more_change_nothing() -> None:
    desk = held()
    settle(desk, SECOND)
    before = cash_e6(desk)

    assert settle(desk, FIRST, SECOND) == []

    assert cash_e6(desk) == before == -707_000 - 100 + 670_000


def test_a_correction_for_another_quantity_waits_for_the_fill_that_is_missing() -> None:
    desk = held()
    settle(desk, FIRST)
    more = replace(SECOND, no_e2=201)

    assert settle(desk, more) == [ReadFills()]

    late = venue_fill(
        "t2", market=MARKET, side=Side.ASK, price_e4=2_000, qty_e2=100, client_order_id="somebody"
    )
    desk.engine.intake.on_fill(late, desk.now)
    settle(desk, more)
    assert cash_e6(desk) == -707_000 - 100 - 800_000 + 670_000
    assert desk.engine.account.positions.qty_e2(MARKET) == 0


async def test_money_that_the_books_do_not_explain_makes_the_executor_read_the_settlements_again() -> None:
    desk, reads = held(), list[str]()
    settle(desk, FIRST)
    desk.engine.on_feed([FeedSubscribed()], desk.now)

    class Reader:
        async def orders(self, **_: Any) -> list[Any]:
            return []

        positions = fills = orders

        async def balance(self) -> VenueBalance:
            cash = -707_000 - 100 + 670_000
            return VenueBalance(cash, {0: CASH_E6}, START_MS)

        async def settlements(self) -> list[VenueSettlement]:
            reads.append("settlements")
            return [SECOND, FIRST]

    def perform(effects: list[Effect]) -> None:
        del effects

    polls = Polls(
        engine=desk.engine,
        reader=cast("VenueReader", Reader()),
        now=lambda: desk.now,
        perform=perform,
        look_s=1.0,
        compare_s=5.0,
    )
    for _ in range(40):
        desk.later(1.0)
        desk.engine.on_feed([], desk.now)
        await polls.look()

    assert cash_e6(desk) == -707_000 - 100 + 670_000
    assert desk.engine.cash_residual_e6 == 0
    assert len(reads) == 1, "asked once for one difference"
