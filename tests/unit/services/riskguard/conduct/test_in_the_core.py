"""What the riskguard's core does with what this area sees."""

from __future__ import annotations

from libs.common.kalshi.model import OwnFill
from libs.common.messages.control import GateState
from services.riskguard.core.effects import Log
from services.riskguard.core.reading import Reading
from tests.support.conduct_builders import conduct_limits
from tests.support.guards import halts, running_guard
from tests.support.truth_builders import NOW_MS, S, venue_fill, venue_order


def test_a_halt_of_surveillance_lets_exits_pass() -> None:
    core = running_guard(conduct_limits(orders_per_trade=0, orders_per_trade_min=1))
    core.areas.conduct.on_own_order(venue_order(1), S)
    (halt,) = halts(core.on_tick(S, NOW_MS + 1_000))
    assert (halt.halt.trigger, halt.halt.level) == ("order_to_trade", GateState.REDUCE_ONLY)
    assert not core.permit(S)[0]
    assert core.exits_open(S)


def test_a_self_trade_halts_altogether() -> None:
    core = running_guard(conduct_limits(self_trades=0))
    for order in ("maker", "taker"):
        core.on_feed(OwnFill(venue_fill("t", order_id=order, venue_ms=NOW_MS)), S)
    (halt,) = halts(core.on_tick(S, NOW_MS + 1_000))
    assert (halt.halt.trigger, halt.halt.level) == ("self_trade", GateState.HALTED)


def test_a_day_begins_with_the_process_for_this_area_too() -> None:
    """A self-trade of yesterday, read at the start, is not one of today."""
    core = running_guard(conduct_limits(self_trades=0))
    core.account.day_ms = NOW_MS
    core.areas.conduct.begin_day(NOW_MS)
    fills = tuple(venue_fill("t", order_id=order, venue_ms=NOW_MS - 1) for order in ("maker", "taker"))
    core.on_reading(Reading(S, (), fills, (), ()), S)
    assert core.areas.conduct.view(S, NOW_MS).self_trades == 0


def test_a_foreign_order_is_told_once_and_halts_nothing() -> None:
    core = running_guard(conduct_limits(orphan_age_ms=0))
    foreign = venue_order(7, client_order_id="by-hand")
    told = [core.on_reading(Reading(at, (foreign,), (), (), ()), at) for at in (S, 3 * S, 5 * S)]
    assert [[e.event_type for e in effects if isinstance(e, Log)] for effects in told] == [
        ["ORDER_FOREIGN"],
        [],
        [],
    ]
    assert halts(core.on_tick(5 * S, NOW_MS + 5_000)) == []
