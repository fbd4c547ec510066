"""Positions by hand: open, reduce, flip, settle."""

import pytest

from libs.common.domain.ledger import AccountLedger, Fill, Position
from libs.common.domain.side import Side


def fill(trade_id: str, side: Side, price_e4: int, qty_e2: int, fee_e6: int = 0) -> Fill:
    return Fill(trade_id, "order", "MARKET", side, price_e4, qty_e2, fee_e6)


def test_buying_yes_costs_its_price_and_selling_it_realises_the_difference() -> None:
    position = Position()
    position.apply_fill(Side.BID, 4000, 1000, 0)
    assert (position.qty_e2, position.cost_e6, position.cash_e6) == (1000, 4_000_000, -4_000_000)
    assert position.apply_fill(Side.ASK, 4500, 400, 0) == 200_000
    assert (position.qty_e2, position.cost_e6) == (600, 2_400_000)


def test_an_ask_from_flat_opens_no_at_one_minus_the_price() -> None:
    position = Position()
    position.apply_fill(Side.ASK, 6500, 100, 0)
    assert (position.qty_e2, position.cost_e6, position.cash_e6) == (-100, 350_000, -350_000)
    assert position.apply_fill(Side.BID, 6000, 100, 0) == 50_000
    assert (position.qty_e2, position.cost_e6) == (0, 0)


def test_a_fill_past_flat_closes_one_leg_and_opens_the_other() -> None:
    position = Position()
    position.apply_fill(Side.BID, 5000, 100, 0)
    assert position.apply_fill(Side.ASK, 5500, 300, 0) == 50_000
    assert (position.qty_e2, position.cost_e6) == (-200, 900_000)


def test_the_same_fill_by_two_paths_counts_once() -> None:
    ledger = AccountLedger()
    assert ledger.apply_fill(fill("t1", Side.BID, 5000, 100, 17_500)) == 0
    assert ledger.apply_fill(fill("t1", Side.BID, 5000, 100, 17_500)) is None
    assert ledger.quantities() == {"MARKET": 100}
    assert ledger.fees_e6 == 17_500


def test_a_settlement_pays_once_and_leaves_nothing_open() -> None:
    ledger = AccountLedger()
    ledger.apply_fill(fill("t1", Side.ASK, 3000, 200))
    revenue_e6 = ledger.position("MARKET").settlement_value_e6(0)
    assert revenue_e6 == 2_000_000
    assert ledger.apply_settlement("MARKET", revenue_e6, 0) == 600_000
    assert ledger.apply_settlement("MARKET", revenue_e6, 0) is None
    assert ledger.quantities() == {}
    assert ledger.cash_e6 == 600_000


def test_a_corrected_settlement_pays_the_difference_and_the_position_stays_closed() -> None:
    position = Position()
    position.apply_fill(Side.BID, 4_000, 1_000, 700)
    position.apply_settlement(10_000_000, 0)

    assert position.amend_settlement(3_333_000 - 10_000_000, 3_000) == -6_667_000

    assert (position.qty_e2, position.cost_e6, position.is_settled) == (0, 0, True)
    assert position.cash_e6 == -4_000_000 - 700 + 3_333_000 - 3_000
    assert position.realised_e6 == 3_333_000 - 4_000_000
    assert position.fees_e6 == 3_700
    assert position.cash_e6 == position.realised_e6 - position.fees_e6


def test_what_was_never_settled_cannot_be_corrected() -> None:
    with pytest.raises(AssertionError, match="a settlement to correct"):
        Position().amend_settlement(1, 0)
