"""Equity of a shard, or of all, below opening or peak: at the edge and from balances and fills (D-066)."""

from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.effects import ReadBalance
from services.riskguard.core.limits import Limits
from services.riskguard.core.money.balance import BalanceReading
from services.riskguard.core.money.moves import Move
from services.riskguard.core.money.view import MoneyView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, reading, red, running_guard, tick
from tests.support.riskguard_limits import money
from tests.support.truth_builders import MARKET, NOW_MS, S, settlement, top, venue_fill

NAME = "balance_drop"
OLD_MS = NOW_MS - 60_000


def view(total: int = 0, **shards: int) -> View:
    drops = {name.removeprefix("s"): drop for name, drop in shards.items()}
    return View(money=MoneyView(balance_drop_e6=total, shard_drops_e6=drops))


@pytest.mark.parametrize(
    ("before", "at"),
    [(view(99), view(100)), (view(s0=49, s1=49), view(s0=1, s1=50))],
)
def test_it_fires_at_its_edge_and_not_before(before: View, at: View) -> None:
    limits = money(balance_drop_e6=100, shard_drop_e6=50)
    assert check(NAME, before, limits) is None
    fired = check(NAME, at, limits)
    assert fired is not None
    assert fired.limit == fired.was
    assert fired.is_latching


def test_a_limit_of_zero_allows_no_drop_and_needs_one() -> None:
    zero = money(balance_drop_e6=0, shard_drop_e6=0)
    assert check(NAME, view(0, s0=0), zero) is None
    assert check(NAME, view(1), zero) is not None
    assert check(NAME, view(s0=1), zero) is not None


def looked(core: RiskguardCore, by_shard: dict[int, int], *moves: Move, times: int = 2) -> None:
    """Let the balance be read, as often as it takes to be believed, and the account after each time."""
    for _ in range(times):
        assert core.account.read_ns is not None
        now_ns = core.account.read_ns + S
        core.on_balance(BalanceReading(NOW_MS, by_shard, moves), now_ns)
        core.on_reading(reading(now_ns + S), now_ns + S)


def guarded(limits: Limits) -> RiskguardCore:
    core = running_guard(limits)
    looked(core, {0: 10_000_000, 1: 5_000_000})
    tick(core, 1)
    assert red(core) == set()
    return core


def test_money_that_nothing_explains_is_gone_once_two_looks_agree() -> None:
    core = guarded(money(balance_drop_e6=1_000_000))
    looked(core, {0: 9_000_001, 1: 5_000_000})
    tick(core, 2)
    assert red(core) == set()
    looked(core, {0: 9_000_000, 1: 5_000_000}, times=1)
    tick(core, 3)
    assert red(core) == set()
    looked(core, {0: 9_000_000, 1: 5_000_000}, times=1)
    effects = tick(core, 4)
    assert red(core) == {NAME}
    assert [halt.halt.trigger for halt in halts(effects)] == [NAME]


def test_buying_moves_cash_and_no_equity() -> None:
    core = guarded(money(balance_drop_e6=1, shard_drop_e6=1))
    core.on_top(top(bid_e4=4_000, ask_e4=4_000), 2)
    core.on_feed(OwnFill(venue_fill(price_e4=4_000, qty_e2=100, venue_ms=OLD_MS)), 2)
    looked(core, {0: 9_600_000, 1: 5_000_000})
    tick(core, 3)
    assert red(core) == set()


def test_what_trading_lost_counts_before_any_look_at_the_balance() -> None:
    core = guarded(money(balance_drop_e6=50_000))
    core.on_top(top(bid_e4=3_501, ask_e4=4_000), 2)
    core.on_feed(OwnFill(venue_fill(price_e4=4_000, qty_e2=100, venue_ms=OLD_MS)), 2)
    tick(core, 3)
    assert red(core) == set()
    core.on_top(top(bid_e4=3_500, ask_e4=4_000), 4)
    tick(core, 5)
    assert red(core) == {NAME}


def test_what_was_won_before_counts_from_the_peak() -> None:
    core = guarded(money(balance_drop_e6=100_000))
    core.on_feed(OwnFill(venue_fill("b", price_e4=4_000, qty_e2=100, venue_ms=OLD_MS)), 2)
    core.on_top(top(bid_e4=4_500, ask_e4=4_600), 2)
    tick(core, 3)
    core.on_top(top(bid_e4=3_501, ask_e4=4_600), 4)
    tick(core, 5)
    assert red(core) == set()
    core.on_top(top(bid_e4=3_500, ask_e4=4_600), 6)
    tick(core, 7)
    assert red(core) == {NAME}


def test_one_shard_may_fall_while_the_account_does_not() -> None:
    core = guarded(money(shard_drop_e6=1_000_000))
    looked(core, {0: 9_000_000, 1: 6_000_000})
    tick(core, 2)
    assert red(core) == {NAME}


def transfer(amount_e6: int = 1_000_000) -> tuple[Move, Move]:
    return (Move("t/from", 0, (-amount_e6,), NOW_MS), Move("t/to", 1, (amount_e6,), NOW_MS))


def test_a_transfer_a_deposit_and_a_withdrawal_are_no_drop() -> None:
    core = guarded(money(balance_drop_e6=1, shard_drop_e6=1))
    moves = list(transfer())
    looked(core, {0: 9_000_000, 1: 5_000_000}, *moves)
    tick(core, 2)
    looked(core, {0: 9_000_000, 1: 6_000_000}, *moves)
    tick(core, 3)
    moves.append(Move("d", None, (500_000, 490_000), NOW_MS))
    looked(core, {0: 9_000_000, 1: 6_490_000}, *moves)
    tick(core, 4)
    moves.append(Move("w", None, (-2_000_000,), NOW_MS))
    looked(core, {0: 7_000_000, 1: 6_490_000}, *moves)
    tick(core, 5)
    assert red(core) == set()
    looked(core, {0: 6_000_000, 1: 6_490_000}, *moves)
    tick(core, 6)
    assert red(core) == {NAME}, "each move explains one change, once"


def test_a_balance_that_lags_behind_fills_says_nothing_changed() -> None:
    core = guarded(money(balance_drop_e6=1, shard_drop_e6=1))
    core.on_top(top(bid_e4=4_000, ask_e4=4_000), 2)
    for number in range(3):
        fill = venue_fill(f"t{number}", price_e4=4_000, qty_e2=100, venue_ms=NOW_MS + number)
        core.on_feed(OwnFill(fill), 2)
    for counted in range(4):
        looked(core, {0: 10_000_000 - counted * 400_000, 1: 5_000_000}, times=1)
        tick(core, 3 + counted)
    assert red(core) == set()
    assert not core.areas.money.balances.is_in_doubt


def test_a_fill_that_we_hear_of_after_its_cash_is_waited_for() -> None:
    core = guarded(money(balance_drop_e6=1, shard_drop_e6=1))
    core.on_top(top(bid_e4=4_000, ask_e4=4_000), 2)
    looked(core, {0: 9_600_000, 1: 5_000_000}, times=1)
    assert core.areas.money.balances.is_in_doubt
    core.on_feed(OwnFill(venue_fill(price_e4=4_000, qty_e2=100, venue_ms=NOW_MS)), 2)
    looked(core, {0: 9_600_000, 1: 5_000_000}, times=1)
    tick(core, 3)
    assert red(core) == set()


def test_a_settlement_that_we_have_not_heard_of_is_no_gain_that_is_lost_later() -> None:
    core = guarded(money(balance_drop_e6=1, shard_drop_e6=1))
    core.on_feed(OwnFill(venue_fill(price_e4=10_000, qty_e2=100, venue_ms=OLD_MS)), 2)
    looked(core, {0: 9_000_000, 1: 5_000_000})
    paid = settlement(MARKET, revenue_e6=1_000_000, settled_ms=NOW_MS - 4_000)
    for _ in range(3):
        core.on_balance(BalanceReading(NOW_MS, {0: 10_000_000, 1: 5_000_000}), 100 * S)
    tick(core, 3)
    core.on_reading(reading(101 * S, settlements=(paid,)), 101 * S)
    looked(core, {0: 10_000_000, 1: 5_000_000})
    tick(core, 4)
    assert red(core) == set()
    assert core.areas.money.balances.equity_e6(core.account, 4) == 15_000_000


def test_money_that_runs_away_is_seen_although_no_two_looks_agree() -> None:
    core = guarded(money(balance_drop_e6=1_000_000))
    for left_e6 in (9_000_000, 8_000_000, 7_000_000):
        looked(core, {0: left_e6, 1: 5_000_000}, times=1)
    tick(core, 2)
    assert red(core) == {NAME}


def test_a_new_day_starts_its_baselines_again() -> None:
    core = guarded(money(balance_drop_e6=1_000_000))
    looked(core, {0: 9_000_001, 1: 5_000_000})
    core.on_tick(2, NOW_MS + 86_400_000)
    looked(core, {0: 8_100_000, 1: 5_000_000})
    core.on_tick(3, NOW_MS + 86_400_001)
    assert red(core) == set()


def test_it_is_looked_at_rarely_soon_again_in_doubt_and_an_old_look_pauses_after_a_minute() -> None:
    core = running_guard(money())
    asked = [
        second
        for second in range(1, 30)
        for effect in tick(core, second * S)
        if isinstance(effect, ReadBalance)
    ]
    assert asked == [], "asked with the first tick, and not again while there is no answer"
    core.on_balance_failed("429")
    assert ReadBalance() in tick(core, 30 * S)
    for now_ns in (30 * S, 31 * S):
        core.on_balance(BalanceReading(NOW_MS, {0: 1}), now_ns)
        core.on_reading(reading(now_ns + S), now_ns + S)
    assert ReadBalance() not in tick(core, 39 * S)
    assert ReadBalance() in tick(core, 40 * S)
    core.on_balance_failed("429")
    assert not [r for r in core.permit(91 * S)[1] if "balance" in r]
    (reason,) = [r for r in core.permit(91 * S + 1)[1] if "balance" in r]
    assert "429" in reason


def test_a_short_position_is_worth_its_other_leg() -> None:
    core = guarded(money(balance_drop_e6=100_000))
    core.on_top(top(MARKET, bid_e4=3_900, ask_e4=4_999), 2)
    core.on_feed(OwnFill(venue_fill(side=Side.ASK, price_e4=4_000, qty_e2=100, venue_ms=OLD_MS)), 2)
    tick(core, 3)
    assert red(core) == set()
    core.on_top(top(MARKET, bid_e4=3_900, ask_e4=5_000), 4)
    tick(core, 5)
    assert red(core) == {NAME}
