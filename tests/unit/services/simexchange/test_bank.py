"""Transfers between shards, deposits and withdrawals: every dollar has a place while it is on the road."""

from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from services.simexchange.core.bank import Funding, FundingStatus, Transfer
from tests.support.venue_core import NS_PER_S, Pit, code

DOLLAR_E6 = 1_000_000


@pytest.fixture
def pit() -> Pit:
    return Pit(cash_e6=100 * DOLLAR_E6)


def moved(pit: Pit, amount_e6: int, client_transfer_id: str = "") -> Transfer:
    made = pit.venue.transfer("alice", 0, 2, amount_e6, pit.now_ns, client_transfer_id=client_transfer_id)
    assert isinstance(made, Transfer), made
    return made


def shards(pit: Pit) -> dict[int, int]:
    return dict(pit.venue.accounts["alice"].cash_e6)


def test_a_transfer_leaves_at_once_and_arrives_when_it_completes(pit: Pit) -> None:
    transfer = moved(pit, 30 * DOLLAR_E6)

    assert (shards(pit), transfer.is_complete) == ({0: 70 * DOLLAR_E6}, False)
    assert pit.venue.residual_e6() == 0
    pit.wait(1)

    assert (shards(pit), transfer.is_complete) == ({0: 70 * DOLLAR_E6, 2: 30 * DOLLAR_E6}, True)
    assert pit.venue.floor.in_transit_e6 == pit.venue.residual_e6() == 0


def test_a_venue_may_book_both_legs_at_completion(pit: Pit) -> None:
    pit.venue.bank.is_debited_late = True

    moved(pit, 30 * DOLLAR_E6)

    assert shards(pit) == {0: 100 * DOLLAR_E6}
    pit.wait(1)
    assert shards(pit) == {0: 70 * DOLLAR_E6, 2: 30 * DOLLAR_E6}


def test_a_client_id_is_good_once_for_each_source_shard(pit: Pit) -> None:
    moved(pit, DOLLAR_E6, "id")
    pit.wait(1)

    again = pit.venue.transfer("alice", 0, 2, DOLLAR_E6, pit.now_ns, client_transfer_id="id")
    back = pit.venue.transfer("alice", 2, 0, DOLLAR_E6, pit.now_ns, client_transfer_id="id")

    assert code(again) == "transfer_already_applied"
    assert isinstance(back, Transfer)
    assert len(pit.venue.bank.transfers_of("alice")) == 2


def test_what_resting_orders_hold_back_cannot_be_moved(pit: Pit) -> None:
    pit.bid("alice", 5_000, 10_000)

    assert code(pit.venue.transfer("alice", 0, 2, 50 * DOLLAR_E6 + 100, pit.now_ns)) == "insufficient_balance"
    assert isinstance(pit.venue.transfer("alice", 0, 2, 50 * DOLLAR_E6, pit.now_ns), Transfer)


@pytest.mark.parametrize(("amount_e6", "change_e6"), [(20_000_000, 19_750_000), (-20_000_000, -20_250_000)])
def test_a_deposit_or_withdrawal_is_in_the_cash_once_it_is_applied(
    pit: Pit, amount_e6: int, change_e6: int
) -> None:
    funding = pit.venue.fund("alice", 0, amount_e6, pit.now_ns, fee_e6=250_000, after_ns=5 * NS_PER_S)
    pit.wait(4)
    assert (funding.status, pit.cash("alice")) == (FundingStatus.PENDING, 100 * DOLLAR_E6)

    pit.wait(1)

    assert (funding.status, pit.cash("alice")) == (FundingStatus.APPLIED, 100 * DOLLAR_E6 + change_e6)
    assert funding.finalized_ns == pit.now_ns
    assert pit.venue.residual_e6() == 0
    assert pit.venue.bank.fundings_of("alice", is_deposit=amount_e6 > 0) == [funding]
    assert pit.venue.bank.fundings_of("alice", is_deposit=amount_e6 < 0) == []


def test_a_funding_that_fails_moves_nothing_and_one_that_is_returned_moves_back(pit: Pit) -> None:
    failed = pit.venue.fund("alice", 0, DOLLAR_E6, pit.now_ns, becomes=FundingStatus.FAILED)
    applied = pit.venue.fund("alice", 0, DOLLAR_E6, pit.now_ns)
    assert (failed.status, pit.cash("alice")) == (FundingStatus.FAILED, 101 * DOLLAR_E6)

    pit.venue.give_back(applied.funding_id, pit.now_ns)

    assert (applied.status, pit.cash("alice")) == (FundingStatus.RETURNED, 100 * DOLLAR_E6)
    assert pit.venue.residual_e6() == 0
    with pytest.raises(AssertionError, match="applied funding"):
        pit.venue.give_back(failed.funding_id, pit.now_ns)


def test_reads_that_lag_show_moved_cash_as_late_as_traded_cash(pit: Pit) -> None:
    pit.venue.set_read_lag(NS_PER_S, pit.now_ns)
    account, reads = pit.venue.accounts["alice"], pit.venue.floor.reads
    pit.wait(1)

    pit.venue.fund("alice", 0, DOLLAR_E6, pit.now_ns)

    assert reads.cash_e6(account, pit.now_ns) == {0: 100 * DOLLAR_E6}
    assert reads.cash_e6(account, pit.now_ns + NS_PER_S) == {0: 101 * DOLLAR_E6}


def test_other_accounts_see_nothing_of_it(pit: Pit) -> None:
    moved(pit, DOLLAR_E6)
    funding: Funding = pit.venue.fund("alice", 0, DOLLAR_E6, pit.now_ns)
    pit.ask("bob", 5_000, 100)
    pit.place("alice", Side.BID, 5_000, 100)

    assert funding.account == "alice"
    assert pit.venue.bank.transfers_of("bob") == []
    assert pit.venue.bank.fundings_of("bob", is_deposit=True) == []
