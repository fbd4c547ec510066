"""The market's move after fills of makers, at the edge and from real tops and fills (D-065)."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.money.view import MoneyView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard
from tests.support.riskguard_limits import money
from tests.support.truth_builders import MS, NOW_MS, top, venue_fill

NAME = "adverse_markout"
AFTER_MS = 5_000
LIMITS = money(
    markout_e4=100,
    markout_after_ms=AFTER_MS,
    markout_fills=3,
    markout_fills_min=2,
    markout_within_ms=60_000,
)


def test_it_fires_at_its_edge_and_not_before() -> None:
    assert check(NAME, View(money=MoneyView(markout_e4=None)), LIMITS) is None
    assert check(NAME, View(money=MoneyView(markout_e4=100)), LIMITS) is None
    fired = check(NAME, View(money=MoneyView(markout_e4=101)), LIMITS)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (100, 101, True)


def say(core: RiskguardCore, mid_e4: int, at_ms: int) -> None:
    """Say a book of this middle that changed then and is known current."""
    told = top(bid_e4=mid_e4 - 100, ask_e4=mid_e4 + 100, venue_ms=NOW_MS + at_ms, as_of_ms=NOW_MS + at_ms)
    core.on_top(told, 0)


def make(core: RiskguardCore, number: int, at_ms: int, *, side: Side = Side.BID, qty_e2: int = 100) -> None:
    fill = venue_fill(f"t{number}", side=side, price_e4=4_000, qty_e2=qty_e2, venue_ms=NOW_MS + at_ms)
    core.on_feed(OwnFill(fill), 1)


def test_the_middle_a_while_after_each_fill_halts_where_it_moved_against_us() -> None:
    core = running_guard(LIMITS)
    say(core, 4_100, -1)
    make(core, 1, 0)
    say(core, 4_000, 10)
    make(core, 2, 20, qty_e2=300)
    say(core, 3_900, 4_999)
    say(core, 3_899, 5_020)
    effects = core.on_tick(MS, NOW_MS + 5_020)
    # The first moved 200 until its time, the second 101 until its own: 125.75 by quantity.
    assert core.standing.view.money.markout_e4 == 126
    assert red(core) == {NAME}
    assert [halt.halt.trigger for halt in halts(effects)] == [NAME]


def test_before_its_time_a_fill_has_no_markout() -> None:
    core = running_guard(LIMITS)
    say(core, 4_100, -1)
    make(core, 1, 0)
    make(core, 2, 1)
    say(core, 1_000, 5_000)
    core.on_tick(MS, NOW_MS + 5_000)
    assert core.standing.view.money.markout_e4 is None
    say(core, 1_000, 5_001)
    core.on_tick(2 * MS, NOW_MS + 5_001)
    assert core.standing.view.money.markout_e4 == 3_100


def test_what_moves_with_us_counts_against_what_moves_against_us() -> None:
    core = running_guard(LIMITS)
    say(core, 4_100, -1)
    make(core, 1, 0, side=Side.ASK)
    make(core, 2, 0, side=Side.BID)
    say(core, 3_000, 10_000)
    core.on_tick(MS, NOW_MS + 10_000)
    assert core.standing.view.money.markout_e4 == 0


def test_a_market_that_falls_silent_has_no_middle_then() -> None:
    core = running_guard(LIMITS)
    say(core, 4_100, -1)
    make(core, 1, 0)
    make(core, 2, 0)
    core.on_tick(MS, NOW_MS + AFTER_MS + 10_001)
    say(core, 1_000, AFTER_MS + 10_002)
    core.on_tick(2 * MS, NOW_MS + AFTER_MS + 10_002)
    assert core.standing.view.money.markout_e4 is None


def test_a_side_that_went_away_leaves_the_middle_before_it() -> None:
    core = running_guard(LIMITS)
    say(core, 4_100, -1)
    make(core, 1, 0)
    make(core, 2, 0)
    gone = top(bid_e4=None, ask_e4=2_000, venue_ms=NOW_MS + 1, as_of_ms=NOW_MS + AFTER_MS)
    core.on_top(gone, 0)
    core.on_tick(MS, NOW_MS + AFTER_MS)
    assert core.standing.view.money.markout_e4 == 0


def test_takers_have_slippage_and_no_markout() -> None:
    core = running_guard(LIMITS)
    say(core, 4_100, -1)
    for number in (1, 2):
        core.on_feed(OwnFill(venue_fill(f"t{number}", is_taker=True, venue_ms=NOW_MS)), 1)
    say(core, 1_000, 10_000)
    core.on_tick(MS, NOW_MS + 10_000)
    assert core.standing.view.money.markout_e4 is None
