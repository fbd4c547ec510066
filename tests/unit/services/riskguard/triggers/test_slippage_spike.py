"""What takers pay beyond the middle, at the edge and from real tops and fills (D-065)."""

from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.money.view import MoneyView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import money
from tests.support.truth_builders import MS, NOW_MS, top, venue_fill

NAME = "slippage_spike"
LIMITS = money(slippage_e4=100, slippage_fills=3, slippage_fills_min=2, slippage_within_ms=60_000)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(money=MoneyView(slippage_e4=None)), LIMITS) is None
    assert check(NAME, View(money=MoneyView(slippage_e4=100)), LIMITS) is None
    fired = check(NAME, View(money=MoneyView(slippage_e4=101)), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (100, 101, True)


def take(
    core: RiskguardCore, number: int, price_e4: int, *, qty_e2: int = 100, side: Side = Side.BID
) -> None:
    fill = venue_fill(
        f"t{number}", side=side, price_e4=price_e4, qty_e2=qty_e2, is_taker=True, venue_ms=NOW_MS + number
    )
    core.on_feed(OwnFill(fill), 1)


def guarded() -> RiskguardCore:
    """Return a guard that saw a book whose middle is 41 cents."""
    core = running_guard(LIMITS)
    core.on_top(top(bid_e4=4_000, ask_e4=4_200, venue_ms=NOW_MS - 1), 0)
    return core


def test_the_mean_of_the_last_fills_against_the_middle_before_each_halts() -> None:
    core = guarded()
    take(core, 1, 4_200)
    take(core, 2, 4_000, side=Side.ASK)
    tick(core, MS)
    assert red(core) == set(), "one cent on average is the limit"
    take(core, 3, 4_203)
    effects = tick(core, 2 * MS)
    assert red(core) == {NAME}
    assert [halt.halt.trigger for halt in halts(effects)] == [NAME]


def test_quantities_weigh() -> None:
    core = guarded()
    take(core, 1, 4_300, qty_e2=100)
    take(core, 2, 4_150, qty_e2=300)
    tick(core, MS)
    assert core.standing.view.money.slippage_e4 == 88


def test_the_middle_is_that_before_the_fill_and_not_what_the_fill_made_of_the_book() -> None:
    core = guarded()
    core.on_top(top(bid_e4=4_200, ask_e4=4_800, venue_ms=NOW_MS + 1), 1)
    take(core, 1, 4_200)
    take(core, 1_000, 4_500)
    tick(core, MS)
    assert core.standing.view.money.slippage_e4 == 50


def test_older_fills_leave_by_number_and_by_time() -> None:
    core = guarded()
    for number, price in ((1, 9_000), (2, 4_100), (3, 4_100), (4, 4_100)):
        take(core, number, price)
    tick(core, MS)
    assert core.standing.view.money.slippage_e4 == 0
    core.on_tick(2 * MS, NOW_MS + 60_003)
    assert core.standing.view.money.slippage_e4 == 0
    core.on_tick(3 * MS, NOW_MS + 60_004)
    assert core.standing.view.money.slippage_e4 is None, "one fill is too few"


@pytest.mark.parametrize("market", ["NEVER-SEEN", "LATER-SEEN"])
def test_a_fill_without_a_middle_before_it_is_not_counted(market: str) -> None:
    core = running_guard(money(slippage_e4=0, slippage_fills_min=1))
    core.on_top(top("LATER-SEEN", bid_e4=1_000, ask_e4=1_200, venue_ms=NOW_MS + 2), 0)
    fill = venue_fill("t1", market=market, price_e4=9_000, is_taker=True, venue_ms=NOW_MS + 1)
    core.on_feed(OwnFill(fill), 1)
    tick(core, MS)
    assert red(core) == set()


def test_fills_of_makers_have_no_slippage() -> None:
    core = guarded()
    for number in (1, 2):
        core.on_feed(OwnFill(venue_fill(f"t{number}", price_e4=9_000, venue_ms=NOW_MS + number)), 1)
    tick(core, MS)
    assert core.standing.view.money.slippage_e4 is None
