"""What a restart must not forget: stored when it changes, at most once a second, read before the permit."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from libs.common.domain.side import Side
from libs.common.kalshi.model import FeedHeard, OwnFill, VenueFill
from libs.common.messages.risk import RiskStateV1
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.effects import Effect, Remember
from services.riskguard.core.money.balance import BalanceReading
from services.riskguard.core.money.moves import Move
from tests.support.guards import guard, reading, red, running_guard
from tests.support.riskguard_limits import limits, money
from tests.support.truth_builders import NOW_MS, S, top, venue_fill

DAY_MS = 86_400_000
TODAY_MS = NOW_MS // DAY_MS * DAY_MS
HELD = venue_fill("held", side=Side.BID, price_e4=5_000, qty_e2=200, venue_ms=TODAY_MS - 1)
SOLD = venue_fill("sold", side=Side.ASK, price_e4=4_000, qty_e2=100, venue_ms=NOW_MS - 9_000)


def stored(effects: Iterable[Effect]) -> RiskStateV1 | None:
    states = [effect.state for effect in effects if isinstance(effect, Remember)]
    assert len(states) <= 1
    return states[0] if states else None


def lived() -> tuple[RiskguardCore, RiskStateV1]:
    """Return a guard that lived over midnight, and what it stored last."""
    core = running_guard()
    core.on_tick(0, TODAY_MS - 1_000)
    core.on_feed(OwnFill(HELD), 0)
    core.on_top(top(bid_e4=4_000, ask_e4=6_000), 0)
    core.on_tick(1, TODAY_MS - 1)
    for now_ns in (1, S + 1):
        core.on_balance(BalanceReading(NOW_MS - 60_000, {0: 9_000_000}), now_ns)
        core.on_reading(reading(now_ns + S), now_ns + S)
    core.on_tick(S, TODAY_MS)
    core.on_top(top(bid_e4=4_700, ask_e4=6_000), S)
    state = stored(core.on_tick(2 * S, NOW_MS - 10_000))
    assert state is not None
    core.on_feed(OwnFill(SOLD), 2 * S)
    core.on_top(top(bid_e4=4_500, ask_e4=6_000), S)
    assert stored(core.on_tick(3 * S, NOW_MS - 8_000)) is None, "nothing of it changed"
    return core, state


def restarted(state: RiskStateV1 | None, fills: tuple[VenueFill, ...], **changes: object) -> RiskguardCore:
    """Return a guard that started just now and read the venue, and this of the stream."""
    core = guard(limits=limits(**changes))
    core.account.begin_day_if_due(NOW_MS, 0)
    core.on_memory(state)
    core.on_reading(reading(fills=fills), 0)
    core.on_top(top(bid_e4=4_500, ask_e4=6_000), 0)
    core.on_tick(1, NOW_MS)
    return core


def test_the_day_goes_on_where_it_was() -> None:
    before, state = lived()
    result = before.account.result(5 * S)
    assert (result.day_e6, before.account.high_water_e6) == (50_000, 140_000)
    after = restarted(state, (HELD, SOLD))
    assert after.account.result(1) == result
    assert after.account.high_water_e6 == 140_000
    assert after.standing.view.day_e6 == 50_000


def test_the_days_loss_and_its_peak_still_count_after_a_restart() -> None:
    _, state = lived()
    assert "max_drawdown" not in red(restarted(state, (HELD, SOLD), drawdown_e6=90_001))
    assert "max_drawdown" in red(restarted(state, (HELD, SOLD), drawdown_e6=90_000))


def test_without_a_record_the_day_is_never_better_than_it_was() -> None:
    before, _ = lived()
    after = restarted(None, (HELD, SOLD))
    assert after.account.result(1).day_e6 <= before.account.result(5 * S).day_e6


def test_a_state_of_another_day_or_account_is_not_used() -> None:
    _, state = lived()
    for other in (replace(state, day_ms=TODAY_MS - DAY_MS), replace(state, account="other")):
        assert restarted(other, (HELD, SOLD)).account.high_water_e6 < 140_000


def test_the_baselines_of_the_balance_come_back_with_the_moves_they_followed() -> None:
    core = running_guard()
    move = Move("w", None, (-2_000_000,), NOW_MS)
    for cash_e6, moves in ((9_000_000, ()), (9_000_000, ()), (7_000_000, (move,))):
        core.on_balance(BalanceReading(NOW_MS, {0: cash_e6}, moves), 1)
        core.on_reading(reading(2 * S), 2 * S)
    core.on_tick(S, NOW_MS)
    state = stored(core.on_tick(2 * S, NOW_MS))
    assert state is None, "nothing changed since"
    state = core.memory._stored
    after = guard(limits=money(balance_drop_e6=1, shard_drop_e6=1))
    after.account.begin_day_if_due(NOW_MS, 0)
    after.on_memory(state)
    after.on_reading(reading(), 0)
    after.on_balance(BalanceReading(NOW_MS, {0: 7_000_000}, (move,)), 1)
    after.on_tick(1, NOW_MS)
    assert "balance_drop" not in red(after)
    for _ in range(2):
        after.on_balance(BalanceReading(NOW_MS, {0: 5_000_000}, (move,)), 1)
        after.on_reading(reading(2 * S), 2 * S)
    after.on_tick(2, NOW_MS)
    assert "balance_drop" in red(after)


def test_it_is_stored_when_it_changed_and_at_most_once_a_second() -> None:
    core = running_guard()
    states = []
    for tenth in range(1, 31):
        if tenth <= 25:
            price_e4 = 4_000 + 10 * tenth
            bought = venue_fill(f"b{tenth}", price_e4=4_000, qty_e2=100, venue_ms=NOW_MS)
            sold = venue_fill(f"s{tenth}", side=Side.ASK, price_e4=price_e4, qty_e2=100, venue_ms=NOW_MS)
            core.on_feed(OwnFill(bought), tenth)
            core.on_feed(OwnFill(sold), tenth)
        state = stored(core.on_tick(tenth * S // 10, NOW_MS))
        if state is not None:
            states.append((tenth, state.high_water_e6))
    assert [tenth for tenth, _ in states] == [10, 20, 30]
    assert states[-1][1] == core.account.high_water_e6 > 0


def test_what_changed_within_the_last_second_is_stored_when_the_process_ends() -> None:
    core = running_guard()

    def win(number: int) -> None:
        for name, side, price_e4 in ((f"b{number}", Side.BID, 4_000), (f"s{number}", Side.ASK, 4_500)):
            fill = venue_fill(name, side=side, price_e4=price_e4, venue_ms=NOW_MS + number)
            core.on_feed(OwnFill(fill), 2 * S)

    win(1)
    first = stored(core.on_tick(2 * S, NOW_MS))
    win(2)
    assert stored(core.on_tick(2 * S + 1, NOW_MS)) is None
    last = stored(core.on_stop(2 * S + 2, NOW_MS))
    assert first is not None
    assert last is not None
    assert (first.high_water_e6, last.high_water_e6) == (50_000, 100_000)
    assert stored(core.on_stop(2 * S + 3, NOW_MS)) is None, "once"


def test_until_it_is_read_the_permit_is_closed_and_no_half_known_day_halts() -> None:
    core = guard(limits=limits(daily_loss_e6=1))
    core.account.begin_day_if_due(NOW_MS, 0)
    core.on_reading(reading(fills=(HELD, SOLD)), 0)
    core.on_feed(FeedHeard(NOW_MS), 0)
    core.on_memory_unreadable("no leader")
    core.on_tick(1, NOW_MS)
    assert any("no leader" in reason for reason in core.permit(1)[1])
    assert "daily_loss_limit" not in red(core)
    assert stored(core.on_tick(2 * S, NOW_MS)) is None, "nothing is written over what was not read"
    core.on_memory(None)
    core.on_tick(3 * S, NOW_MS)
    assert not any("stored state" in reason for reason in core.permit(3 * S)[1])
    assert "daily_loss_limit" in red(core)


def test_once_read_it_needs_no_reading_any_more() -> None:
    core, _ = lived()
    core.on_memory_unreadable("gone")
    core.on_memory(None)
    assert core.memory.is_read
    assert core.account.high_water_e6 == 140_000
