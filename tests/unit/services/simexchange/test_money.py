"""Cash, collateral, fees and settlement: every dollar has an owner at every moment."""

from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from services.simexchange.core.collateral import CollateralPolicy
from services.simexchange.core.orders import Reason
from services.simexchange.core.requests import Placed
from tests.support.venue_core import IOC, MARKET, SHARD_MARKET, Pit, code

DOLLAR_E6 = 1_000_000


def test_buying_yes_costs_its_price_and_selling_it_open_costs_the_other_leg() -> None:
    pit = Pit(cash_e6=100 * DOLLAR_E6)
    pit.ask("bob", 6000, 1000)

    pit.bid("alice", 6000, 1000)

    assert pit.cash("alice") == 100 * DOLLAR_E6 - 6 * DOLLAR_E6 - pit.venue.floor.fees_e6
    assert pit.cash("bob") == 100 * DOLLAR_E6 - 4 * DOLLAR_E6
    assert pit.venue.residual_e6() == 0


def test_closing_gives_the_price_back() -> None:
    pit = Pit(cash_e6=100 * DOLLAR_E6, fee_type="quadratic")
    pit.ask("bob", 6000, 1000)
    pit.bid("alice", 6000, 1000)
    pit.bid("bob", 7000, 1000)

    pit.ask("alice", 7000, 1000)

    fees_e6 = pit.venue.accounts["alice"].positions[MARKET].fees_e6
    assert pit.cash("alice") == 101 * DOLLAR_E6 - fees_e6
    assert (pit.position("alice"), pit.position("bob")) == (0, 0)
    assert pit.venue.residual_e6() == 0


def test_the_fee_of_four_fills_of_one_order_gives_rounding_back() -> None:
    pit = Pit()
    for _ in range(4):
        pit.ask("bob", 5200, 100)

    pit.bid("alice", 5200, 400)

    fees = [fill.fee_e6 for fill in pit.venue.accounts["alice"].fills]
    assert fees == [17_500, 17_500, 17_500, 17_400]


def test_makers_pay_where_the_series_says_so_and_nobody_pays_under_a_waiver() -> None:
    pit = Pit(fee_type="quadratic_with_maker_fees")
    pit.ask("bob", 5000, 10_000)
    pit.bid("alice", 5000, 10_000)
    pit.list_market("S-E-W", fee_waiver_until_ns=pit.now_ns + 10**12)
    pit.ask("bob", 5000, 100, market="S-E-W")
    pit.bid("alice", 5000, 100, market="S-E-W")

    assert [fill.fee_e6 for fill in pit.venue.accounts["bob"].fills] == [437_500, 0]
    assert [fill.fee_e6 for fill in pit.venue.accounts["alice"].fills] == [1_750_000, 0]


def test_an_event_override_changes_the_fee_of_the_next_fill() -> None:
    pit = Pit()
    pit.ask("bob", 5000, 20_000)
    pit.bid("alice", 5000, 10_000)

    pit.venue.set_fee("S-E", "quadratic", 5000, pit.now_ns)
    pit.bid("alice", 5000, 10_000)

    assert [fill.fee_e6 for fill in pit.venue.accounts["alice"].fills] == [1_750_000, 875_000]


def test_resting_orders_hold_cash_back_but_do_not_leave_the_balance() -> None:
    pit = Pit(cash_e6=10 * DOLLAR_E6)
    pit.bid("alice", 5000, 1500)

    assert pit.cash("alice") == 10 * DOLLAR_E6
    assert code(pit.send("alice", Side.BID, 5000, 600)) == "insufficient_balance"
    assert isinstance(pit.send("alice", Side.BID, 4000, 400), Placed)


def test_a_cancel_frees_what_was_held_back() -> None:
    pit = Pit(cash_e6=10 * DOLLAR_E6)
    order = pit.bid("alice", 5000, 1900)
    assert code(pit.send("alice", Side.BID, 5000, 1000)) == "insufficient_balance"

    pit.cancel("alice", order)

    assert isinstance(pit.send("alice", Side.BID, 5000, 1000), Placed)


def test_an_order_that_only_closes_needs_no_cash() -> None:
    pit = Pit(cash_e6=10 * DOLLAR_E6)
    pit.ask("bob", 5000, 1900)
    pit.bid("alice", 5000, 1900)
    pit.venue.deposit("alice", 0, -pit.cash("alice"), pit.now_ns)

    assert isinstance(pit.send("alice", Side.ASK, 9000, 1900), Placed)
    assert code(pit.send("alice", Side.ASK, 9000, 100)) == "insufficient_balance"


def test_the_max_policy_nets_the_two_sides_of_a_market() -> None:
    for policy, expected in ((CollateralPolicy.SUM, False), (CollateralPolicy.MAX, True)):
        pit = Pit(cash_e6=10 * DOLLAR_E6, policy=policy)
        pit.bid("alice", 4000, 2000)

        answer = pit.send("alice", Side.ASK, 6000, 1900)

        assert isinstance(answer, Placed) is expected


def test_orders_that_can_no_longer_be_paid_for_are_cancelled_youngest_first() -> None:
    """A closing order becomes an opening one when the position it was to close is sold elsewhere."""
    pit = Pit(cash_e6=10 * DOLLAR_E6)
    pit.ask("bob", 5000, 1900)
    pit.bid("alice", 5000, 1900)
    closing = pit.ask("alice", 9900, 1900)
    pit.venue.deposit("alice", 0, -pit.cash("alice"), pit.now_ns)
    pit.bid("bob", 100, 1900)

    pit.ask("alice", 100, 1900, tif=IOC, reduce_only=True)

    assert (closing.is_resting, closing.reason) == (False, Reason.MARGIN_CANCEL)


def test_each_shard_has_its_own_cash() -> None:
    pit = Pit()

    assert code(pit.send("alice", Side.BID, 5000, market=SHARD_MARKET)) == "insufficient_shard_balance"
    pit.venue.deposit("alice", 2, DOLLAR_E6, pit.now_ns)
    assert code(pit.send("alice", Side.BID, 5000, 300, market=SHARD_MARKET)) == "insufficient_balance"
    assert isinstance(pit.send("alice", Side.BID, 5000, 100, market=SHARD_MARKET), Placed)


@pytest.mark.parametrize(
    ("result", "value_e4", "alice_gets_e6", "bob_gets_e6"),
    [("yes", None, 10_000_000, 0), ("no", None, 0, 10_000_000), ("scalar", 2500, 2_500_000, 7_500_000)],
)
def test_settlement_pays_a_dollar_to_the_winning_side_after_the_timer(
    result: str, value_e4: int | None, alice_gets_e6: int, bob_gets_e6: int
) -> None:
    pit = Pit()
    pit.ask("bob", 5000, 1000)
    pit.bid("alice", 5000, 1000)
    before = pit.cash("alice"), pit.cash("bob")
    pit.wait(pit.seconds)
    pit.venue.set_result(MARKET, result, pit.now_ns, value_e4=value_e4)
    pit.wait(9)
    assert (pit.cash("alice"), pit.cash("bob")) == before

    pit.wait(1)

    assert (pit.cash("alice"), pit.cash("bob")) == (before[0] + alice_gets_e6, before[1] + bob_gets_e6)
    assert pit.venue.residual_e6() == 0
    settled = pit.venue.accounts["alice"].settlements[MARKET]
    assert (settled.yes_e2, settled.no_e2, settled.revenue_e6) == (1000, 0, alice_gets_e6)


def test_a_scalar_payout_is_cut_to_whole_cents_and_the_rest_is_a_fee() -> None:
    pit = Pit()
    pit.ask("bob", 5000, 101)
    pit.bid("alice", 5000, 101)
    pit.wait(pit.seconds)

    pit.venue.set_result(MARKET, "scalar", pit.now_ns, value_e4=3333)
    pit.wait(10)

    settled = pit.venue.accounts["alice"].settlements[MARKET]
    assert (settled.revenue_e6, settled.fee_e6) == (330_000, 6633)
    assert pit.venue.residual_e6() == 0
