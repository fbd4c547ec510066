"""Losing round trips among the newest ones, at the edge and from real fills (D-061)."""

from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.money.view import MoneyView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, reading, red, running_guard, tick
from tests.support.riskguard_limits import money
from tests.support.truth_builders import MS, NOW_MS, settlement, venue_fill

NAME = "consecutive_losses"
FOUR_OF_FIVE = money(losses_max=4, losses_window=5, losses_min_e6=0)


def view(*trips: int) -> View:
    return View(money=MoneyView(trips=trips))


@pytest.mark.parametrize("trips", [(), (-1, -1, -1, 1, 1), (-1, -1, -1, 0, 0), (-1, -1, -1)])
def test_three_of_five_are_not_enough_and_nothing_won_is_not_lost(trips: tuple[int, ...]) -> None:
    assert check(NAME, view(*trips), FOUR_OF_FIVE) is None


@pytest.mark.parametrize("trips", [(-1, -1, -1, 1, -1), (-1, -1, -1, -1), (-1,) * 5])
def test_four_of_five_are(trips: tuple[int, ...]) -> None:
    fired = check(NAME, view(*trips), FOUR_OF_FIVE)
    assert fired is not None
    assert (fired.limit, fired.was, fired.is_latching) == (4, -sum(min(t, 0) for t in trips), True)


def test_what_is_no_more_than_noise_did_not_lose() -> None:
    noise = money(losses_max=1, losses_min_e6=100)
    assert check(NAME, view(-100), noise) is None
    assert check(NAME, view(-101), noise) is not None


def trip(core: RiskguardCore, number: int, *, wins: bool = False, market: str = "M") -> None:
    """Buy at 40 cents and sell at 50 or 30."""
    at_ms = NOW_MS + 10 * number
    bought = venue_fill(f"b{number}", market=market, price_e4=4_000, venue_ms=at_ms)
    sold = venue_fill(
        f"s{number}",
        market=market,
        side=Side.ASK,
        price_e4=5_000 if wins else 3_000,
        venue_ms=at_ms + 1,
    )
    core.on_feed(OwnFill(bought), 1)
    core.on_feed(OwnFill(sold), 1)


def test_the_fourth_lost_trip_of_the_last_five_halts() -> None:
    core = running_guard(FOUR_OF_FIVE)
    for number in range(3):
        trip(core, number, market=f"M{number}")
    trip(core, 3, wins=True)
    tick(core, MS)
    assert red(core) == set()
    trip(core, 4)
    effects = tick(core, 2 * MS)
    assert red(core) == {NAME}
    assert [halt.halt.trigger for halt in halts(effects)] == [NAME]


def test_the_last_trips_are_the_last_by_the_venues_time_whatever_came_first() -> None:
    """Four losses are told after two wins that came later."""
    core = running_guard(FOUR_OF_FIVE)
    for number, wins in ((8, True), (9, True), (1, False), (2, False), (3, False), (4, False)):
        trip(core, number, wins=wins, market=f"M{number}")
    tick(core, MS)
    assert red(core) == set()


def test_a_settlement_closes_a_trip_and_an_amended_one_changes_it() -> None:
    core = running_guard(money(losses_max=1, losses_window=1, losses_min_e6=0))
    core.on_feed(OwnFill(venue_fill("b", market="M", price_e4=4_000, venue_ms=NOW_MS)), 1)
    tick(core, MS)
    assert red(core) == set()
    won = settlement("M", revenue_e6=1_000_000, settled_ms=NOW_MS + 1)
    core.on_reading(reading(2, settlements=(won,)), 2 * MS)
    tick(core, 3 * MS)
    assert red(core) == set()
    lost = settlement("M", revenue_e6=0, settled_ms=NOW_MS + 2)
    core.on_reading(reading(4, settlements=(lost,)), 4 * MS)
    tick(core, 5 * MS)
    assert red(core) == {NAME}


def test_trips_of_long_ago_are_history() -> None:
    core = running_guard(money(losses_max=1, losses_window=5, losses_min_e6=0, losses_within_ms=60_000))
    trip(core, -60_000 // 10 - 1)
    tick(core, MS)
    assert red(core) == set()
    trip(core, -60_000 // 10 + 1)
    tick(core, 2 * MS)
    assert red(core) == {NAME}
