"""An announced change of fees: warned of, paused for at its moment, over when everybody says the same."""

from __future__ import annotations

import pytest

from libs.common.messages.market import FeeTermsV1, MarketState
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.effects import Effect, Log, ReadFees
from services.riskguard.core.slow.readings import FeesRead
from services.riskguard.core.slow.view import HOUR_MS, SlowView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, reading, red, running_guard, tick
from tests.support.riskguard_limits import WIDE, slow
from tests.support.slow_builders import EVENT, NEW, OLD, change, event_fees, status
from tests.support.slow_builders import at as wait_until
from tests.support.truth_builders import MS, NOW_MS, venue_order, venue_position

NAME = "fee_change"
LIMITS = slow(fee_warn_hours=48, fee_lead_ms=5_000, fee_settle_ms=600_000)
MOMENT = 72 * HOUR_MS


def at(core: RiskguardCore, ms: int) -> list[Effect]:
    """Quote until then."""
    return wait_until(core, ms, venue_order())


def announced(**changes: object) -> RiskguardCore:
    """Return a guard that quotes, and a change three days ahead."""
    core = running_guard(LIMITS)
    core.on_status(status(), 0)
    core.on_slow(FeesRead((change(NOW_MS + MOMENT, **changes),)), 0)
    return core


def is_red_at(core: RiskguardCore, ms: int) -> bool:
    effects = at(core, ms)
    assert halts(effects) == []
    return NAME in red(core)


def test_any_problem_fires_and_pauses() -> None:
    assert check(NAME, View(), WIDE) is None
    fired = check(NAME, View(slow=SlowView(fee_problems=("fees of X change",))), WIDE)
    assert fired is not None
    assert not fired.is_latching
    assert "fees of X change" in fired.text


def test_through_the_days_it_warns_pauses_asks_and_opens_when_the_new_fee_is_said() -> None:
    core = announced()
    assert not is_red_at(core, 0)
    assert core.standing.view.slow.gauges(180)["fee_change_hours_left"] == 72
    quiet = at(core, MOMENT - 48 * HOUR_MS - 1)
    assert not [e for e in quiet if isinstance(e, Log) and "fees of" in e.message]
    warned = at(core, MOMENT - 48 * HOUR_MS)
    assert [e.event_type for e in warned if isinstance(e, Log) and "fees of" in e.message] == ["RISK_WARNING"]
    assert not is_red_at(core, MOMENT - 5_001)
    assert is_red_at(core, MOMENT - 5_000)
    assert not core.permit((MOMENT - 5_000) * MS)[0]
    core.on_slow(event_fees(NOW_MS + MOMENT - 1), 0)
    core.on_status(status(fee=NEW), 0)
    assert is_red_at(core, MOMENT), "asked before the moment proves nothing"
    core.on_slow(event_fees(NOW_MS + MOMENT), 0)
    core.on_status(status(fee=OLD), 0)
    assert is_red_at(core, MOMENT + 1), "marketdata still says the old one"
    core.on_status(status(fee=NEW), 0)
    assert not is_red_at(core, MOMENT + 2)
    assert core.permit((MOMENT + 2) * MS) == (True, ())
    core.on_slow(FeesRead(()), 0)
    assert not is_red_at(core, MOMENT + 3)


def test_the_venue_is_asked_at_the_moment_and_every_two_seconds_until_it_is_over() -> None:
    core = announced()
    asked = [
        ms
        for ms in range(MOMENT - 2_000, MOMENT + 4_250, 250)
        for effect in at(core, ms)
        if effect == ReadFees((EVENT,))
    ]
    assert asked == [MOMENT, MOMENT + 2_000, MOMENT + 4_000]


def test_quotes_that_the_pause_took_away_do_not_end_it() -> None:
    core = announced()
    assert is_red_at(core, MOMENT)
    now_ns = (MOMENT + 10_000) * MS
    core.on_reading(reading(now_ns), now_ns)
    tick(core, now_ns)
    assert NAME in red(core)


def test_a_position_counts_as_an_order_does() -> None:
    core = announced()
    now_ns = MOMENT * MS
    core.on_reading(reading(now_ns, positions=(venue_position(100),)), now_ns)
    tick(core, now_ns)
    assert NAME in red(core)


@pytest.mark.parametrize(
    "elsewhere", [{"series": "KXOTHER"}, {"event": "KXTEST-26NOV22"}], ids=["series", "event"]
)
def test_a_change_where_we_are_not_is_none_of_ours(elsewhere: dict[str, object]) -> None:
    core = announced(**elsewhere)
    assert not is_red_at(core, MOMENT)
    assert core.standing.view.slow.fee_left_ms is None


def test_a_market_that_is_over_needs_no_fee() -> None:
    core = announced()
    core.on_status(status(state=MarketState.CLOSED), 0)
    assert not is_red_at(core, MOMENT)


def test_one_that_is_called_off_is_forgotten_and_one_that_came_true_is_not() -> None:
    core = announced()
    at(core, MOMENT - 6_000)
    core.on_slow(FeesRead(()), 0)
    assert not is_red_at(core, MOMENT)
    core = announced()
    at(core, MOMENT - 4_000)
    core.on_slow(FeesRead(()), 0)
    assert is_red_at(core, MOMENT)


def test_an_override_that_ends_is_believed_when_the_series_fee_is_said() -> None:
    core = announced(event=EVENT, fee_type=None, multiplier_e4=None)
    core.on_slow(event_fees(NOW_MS + MOMENT, override=("quadratic", 2_500)), 0)
    core.on_status(status(fee=FeeTermsV1(fee_type="quadratic", multiplier_e4=2_500)), 0)
    assert is_red_at(core, MOMENT), "the venue still has the override"
    core.on_slow(event_fees(NOW_MS + MOMENT), 0)
    assert is_red_at(core, MOMENT + 1), "marketdata still has it"
    core.on_status(status(fee=NEW), 0)
    assert not is_red_at(core, MOMENT + 2)


def test_an_event_with_an_override_keeps_it_when_its_series_changes() -> None:
    core = announced()
    held = FeeTermsV1(fee_type="quadratic", multiplier_e4=2_500)
    core.on_status(status(fee=held), 0)
    core.on_slow(event_fees(NOW_MS + MOMENT, override=("quadratic", 2_500)), 0)
    assert not is_red_at(core, MOMENT)


def test_a_waived_market_costs_nothing_whatever_is_announced() -> None:
    core = announced()
    core.on_status(status(fee=FeeTermsV1(fee_type="quadratic", multiplier_e4=0)), 0)
    (market,) = {status().market}
    until_ms = NOW_MS + MOMENT + 1_000
    core.on_slow(event_fees(NOW_MS + MOMENT, waived_until_ms={market: until_ms}), 0)
    assert not is_red_at(core, MOMENT)


def test_a_venue_that_does_something_else_is_believed_after_a_while() -> None:
    core = announced()
    core.on_slow(event_fees(NOW_MS + MOMENT, OLD), 0)
    assert is_red_at(core, MOMENT)
    assert is_red_at(core, MOMENT + 599_999)
    assert not is_red_at(core, MOMENT + 600_000)
