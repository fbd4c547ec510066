"""The balance proof against the double-entry ledger, and against lag."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.ledger import AccountLedger, Fill
from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueFill
from services.reconciler.core.cash import Event, Sums, cash_residual_e6, in_venue_order, position_residual_e2
from tests.support.truth_builders import settlement, venue_fill

trades = st.lists(
    st.tuples(
        st.sampled_from(["A", "B"]),
        st.sampled_from(Side),
        st.integers(1, 9_999),
        st.integers(1, 500),
        st.integers(0, 300),
    ),
    max_size=12,
)
Trade = tuple[str, Side, int, int, int]


def fills_of(made: list[Trade]) -> list[VenueFill]:
    return [
        venue_fill(f"t{n}", market=m, side=side, price_e4=p, qty_e2=q, fee_e6=fee * 100, venue_ms=1_000 + n)
        for n, (m, side, p, q, fee) in enumerate(made)
    ]


def ledger_of(fills: list[VenueFill]) -> AccountLedger:
    ledger = AccountLedger()
    for f in fills:
        ledger.apply_fill(Fill(f.trade_id, f.order_id, f.market, f.side, f.price_e4, f.qty_e2, f.fee_e6))
    return ledger


@given(trades, st.randoms(use_true_random=False))
def test_the_sum_is_the_ledgers_cash_in_any_order(made: list[Trade], shuffler: object) -> None:
    fills = fills_of(made)
    ledger = ledger_of(fills)
    shuffled = list(fills)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    sums = Sums()
    for fill in shuffled:
        sums.apply(fill)
    assert sums.cash_e6 == ledger.cash_e6
    assert dict(sums.positions()) == ledger.quantities()


@given(trades, st.integers(0, 12))
def test_a_settlement_pays_what_the_ledger_says_wherever_it_is_counted(made: list[Trade], place: int) -> None:
    fills = fills_of(made)
    ledger = ledger_of(fills)
    qty_e2 = ledger.position("A").qty_e2
    paid = settlement("A", yes_e2=max(qty_e2, 0), no_e2=max(-qty_e2, 0), revenue_e6=max(qty_e2, 0) * 10_000)
    ledger.apply_settlement("A", paid.revenue_e6, paid.fee_e6)
    events: list[Event] = [*fills[:place], paid, *fills[place:]]
    sums = Sums()
    for event in events:
        sums.apply(event)
    assert sums.cash_e6 == ledger.cash_e6
    assert sums.position_e2("A") == 0


@given(trades, st.integers(0, 12), st.integers(0, 12))
def test_a_reading_that_lags_is_explained(made: list[Trade], split: int, seen: int) -> None:
    """Whatever prefix of the young fills a reading contains, the residual is zero."""
    fills = fills_of(made)
    split, seen = min(split, len(fills)), min(seen, len(fills))
    old = Sums()
    for fill in fills[:split]:
        old.apply(fill)
    young = in_venue_order(fills[split:])
    shown = ledger_of(fills[: max(split, seen)])
    assert cash_residual_e6(old, young, shown.cash_e6) == 0
    for market in ("A", "B"):
        assert position_residual_e2(old, young, market, shown.position(market).qty_e2) == 0


@given(trades, st.integers(1, 10_000))
def test_money_that_nothing_explains_is_found_to_the_millionth(made: list[Trade], off_e6: int) -> None:
    old = Sums()
    for fill in fills_of(made):
        old.apply(fill)
    for sign in (1, -1):
        assert cash_residual_e6(old, [], old.cash_e6 + sign * off_e6) == sign * off_e6


def test_the_documented_fee_rounding_adds_up() -> None:
    """Four fills of one contract at 0.52 in one order: 0.0175 three times, then 0.0174 (kalshi-api 21.2)."""
    sums = Sums()
    for n, fee_e6 in enumerate((17_500, 17_500, 17_500, 17_400)):
        sums.apply(venue_fill(f"t{n}", price_e4=5_200, qty_e2=100, fee_e6=fee_e6, is_taker=True))
    assert sums.cash_e6 == -4 * 520_000 - 69_900


def test_a_pair_of_both_legs_gives_its_dollar_back() -> None:
    for first, second in itertools.permutations((Side.BID, Side.ASK)):
        sums = Sums()
        sums.apply(venue_fill("t1", side=first, price_e4=4_000))
        sums.apply(venue_fill("t2", side=second, price_e4=4_000))
        assert sums.cash_e6 == 0
