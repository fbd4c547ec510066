"""`self_trade`: both sides of a trade are ours."""

from __future__ import annotations

from libs.common.domain.side import Side
from services.riskguard.core.conduct.view import ConductView
from tests.support.conduct_builders import Seen, fired
from tests.support.truth_builders import NOW_MS


def test_it_fires_above_its_limit_and_latches() -> None:
    assert fired("self_trade", ConductView(), self_trades=0) is None
    told = fired("self_trade", ConductView(self_trades=1), self_trades=0)
    assert told is not None
    assert (told.limit, told.was, told.is_latching) == (0, 1, True)


def test_one_trade_with_two_orders_of_ours_is_one() -> None:
    seen = Seen()
    seen.fill(trade="t", order_id="maker", side=Side.BID)
    assert seen.view().self_trades == 0
    seen.fill(trade="t", order_id="taker", side=Side.ASK)
    assert seen.view().self_trades == 1
    assert fired("self_trade", seen.view(), self_trades=0) is not None


def test_a_trade_that_fills_one_order_of_ours_is_none() -> None:
    seen = Seen()
    seen.fill(trade="a", order_id="maker", side=Side.BID)
    seen.fill(trade="b", order_id="maker", side=Side.BID)
    seen.fill(trade="c", order_id="taker", side=Side.ASK)
    assert seen.view().self_trades == 0


def test_those_of_today_count_also_from_before_we_looked_and_end_with_the_day() -> None:
    seen = Seen(is_read=False)
    seen.area.begin_day(NOW_MS - 3_600_000)
    for age_s, trade in ((3_601, "yesterday"), (3_600, "today")):
        seen.fill(trade=trade, order_id="maker", age_s=age_s)
        seen.fill(trade=trade, order_id="taker", age_s=age_s)
    seen.reading()
    assert seen.view().self_trades == 1
    seen.area.begin_day(NOW_MS)
    assert seen.view().self_trades == 0
