"""Whether the exchange trades where we are in it."""

from __future__ import annotations

import pytest

from libs.common.kalshi.model import ExchangeStatus, OwnFill, OwnOrder, VenueOrderStatus
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.health.view import HealthView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, guard, halts, reading, red, running_guard, tick
from tests.support.riskguard_limits import WIDE, health
from tests.support.truth_builders import MS, S, venue_fill, venue_order, venue_position

NAME = "exchange_pause"
ON, NO_TRADING, OFF = (True, True), (True, False), (False, False)


def status(*shards: tuple[bool, bool]) -> ExchangeStatus:
    """Return what the exchange says: the top-level flags are those of shard 0."""
    return ExchangeStatus(*shards[0], dict(enumerate(shards)))


def told(core: RiskguardCore, *shards: tuple[bool, bool]) -> set[str]:
    core.on_exchange(status(*shards), S)
    assert halts(tick(core, S)) == []
    return red(core) & {NAME}


def test_any_problem_fires_and_pauses() -> None:
    assert check(NAME, View(), WIDE) is None
    fired = check(NAME, View(health=HealthView(exchange_problems=("trading is paused on shard 2",))), WIDE)
    assert fired is not None
    assert not fired.is_latching
    assert "trading is paused on shard 2" in fired.text


@pytest.mark.parametrize("paused", [NO_TRADING, OFF, (False, True)])
def test_the_whole_exchange_counts_wherever_we_are_and_clears_by_itself(paused: tuple[bool, bool]) -> None:
    core = running_guard()
    assert told(core, ON, ON) == set()
    assert told(core, paused, paused) == {NAME}
    assert not core.permit(S)[0]
    assert told(core, ON, ON) == set()


@pytest.mark.parametrize("paused", [NO_TRADING, OFF])
def test_a_shard_counts_where_an_order_rests_or_a_position_lies(paused: tuple[bool, bool]) -> None:
    for parts in (
        {"orders": (venue_order(shard=1),)},
        {"positions": (venue_position(100),)},  # on shard 0
    ):
        core = running_guard()
        core.on_reading(reading(**parts), 0)
        ours = 1 if "orders" in parts else 0
        shards = [ON, ON, ON]
        shards[ours] = paused
        assert told(core, *shards) == {NAME}
        shards = [ON, ON, paused]
        assert told(core, *shards) == set()


def test_a_flat_position_is_no_reason() -> None:
    core = running_guard()
    core.on_reading(reading(positions=(venue_position(0),)), 0)
    assert told(core, NO_TRADING, ON) == set()


def test_what_the_feed_told_counts_until_a_listing_must_show_it() -> None:
    for event in (OwnOrder(venue_order(shard=1)), OwnFill(venue_fill(shard=1))):
        core = running_guard()
        core.on_feed(event, S)
        assert told(core, ON, NO_TRADING) == {NAME}
        tick(core, 6 * S + MS)
        assert NAME not in red(core)


def test_an_order_that_ended_is_no_reason() -> None:
    core = running_guard()
    core.on_feed(OwnOrder(venue_order(shard=1, status=VenueOrderStatus.CANCELED)), S)
    assert told(core, ON, NO_TRADING) == set()


def test_an_exchange_that_does_not_tell_is_not_believed_to_trade() -> None:
    core = guard(limits=health(exchange_silence_ms=5_000))
    tick(core, 10 * S)
    tick(core, 15 * S)
    assert NAME not in red(core)
    tick(core, 15 * S + MS)
    assert NAME in red(core)
    core.on_exchange(status(ON), 16 * S)
    tick(core, 21 * S)
    assert NAME not in red(core)
    tick(core, 21 * S + MS)
    assert NAME in red(core)
