"""Money in, out and between shards: deposits, withdrawals, transfers (kalshi-api 6 and 16).

All three take time. A transfer leaves its shard when it is accepted and arrives
when it completes; between the two the money is on the road, on no shard. The
venue does not say whether it books so: ``is_debited_late`` books the other way,
both legs at completion. A deposit or withdrawal changes the cash when its status
becomes ``applied``, and back when it is returned.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from services.simexchange.core.accounts import Account
from services.simexchange.core.agenda import Due
from services.simexchange.core.floor import Floor
from services.simexchange.core.requests import Rejection

INSUFFICIENT = Rejection(400, "insufficient_balance")
APPLIED_BEFORE = Rejection(409, "transfer_already_applied")
NO_TRANSFER = Rejection(404, "not_found")
NS_PER_S = 1_000_000_000


class FundingStatus(enum.StrEnum):
    """The venue's words."""

    PENDING = "pending"
    APPLIED = "applied"
    FAILED = "failed"
    RETURNED = "returned"


@dataclass(slots=True)
class Transfer:
    """One move between shards; mutated by the bank only."""

    transfer_id: str
    client_transfer_id: str
    account: str
    from_shard: int
    to_shard: int
    amount_e6: int
    created_ns: int
    is_debited: bool = False
    is_complete: bool = False


@dataclass(slots=True)
class Funding:
    """One deposit, or withdrawal where the amount is negative; mutated by the bank only.

    ``becomes`` is the status that it will have when its time has come.
    """

    funding_id: str
    account: str
    shard: int
    amount_e6: int
    fee_e6: int
    created_ns: int
    becomes: FundingStatus
    status: FundingStatus = FundingStatus.PENDING
    finalized_ns: int | None = None


class Bank:
    """Moves the accounts' cash where no trade does."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self.transfer_ns = NS_PER_S
        """How long a transfer is pending."""
        self.is_debited_late = False
        """Book both legs at completion instead of the first at acceptance."""
        self.transfers: dict[str, Transfer] = {}
        self.fundings: dict[str, Funding] = {}
        self._client_ids: set[tuple[str, int, str]] = set()

    def transfers_of(self, account: str) -> list[Transfer]:
        """Return the account's transfers, oldest first."""
        return [transfer for transfer in self.transfers.values() if transfer.account == account]

    def fundings_of(self, account: str, *, is_deposit: bool) -> list[Funding]:
        """Return the account's deposits, or its withdrawals, oldest first."""
        return [
            funding
            for funding in self.fundings.values()
            if funding.account == account and (funding.amount_e6 >= 0) == is_deposit
        ]

    def transfer(  # noqa: PLR0917 - the facts of one order, trade or request
        self,
        account: Account,
        from_shard: int,
        to_shard: int,
        amount_e6: int,
        client_transfer_id: str,
        now_ns: int,
    ) -> Transfer | Rejection:
        """Accept a transfer; it completes later."""
        key = (account.name, from_shard, client_transfer_id)
        if client_transfer_id and key in self._client_ids:
            return APPLIED_BEFORE
        free_e6 = account.cash_e6.get(from_shard, 0) - self._floor.collateral.reserved_e6(account, from_shard)
        if amount_e6 > free_e6:
            return INSUFFICIENT
        self._client_ids.add(key)
        transfer = Transfer(
            self._floor.ids.next(), client_transfer_id, account.name, from_shard, to_shard, amount_e6, now_ns
        )
        self.transfers[transfer.transfer_id] = transfer
        if not self.is_debited_late:
            self._debit(transfer)
        self._floor.agenda.put(now_ns + self.transfer_ns, Due.TRANSFER, transfer.transfer_id)
        return transfer

    def fund(  # noqa: PLR0917 - the facts of one order, trade or request
        self,
        account: Account,
        shard: int,
        amount_e6: int,
        fee_e6: int,
        after_ns: int,
        now_ns: int,
        becomes: FundingStatus = FundingStatus.APPLIED,
    ) -> Funding:
        """Announce a deposit, or a withdrawal of a negative amount, that is final after a while."""
        funding = Funding(self._floor.ids.next(), account.name, shard, amount_e6, fee_e6, now_ns, becomes)
        self.fundings[funding.funding_id] = funding
        self._floor.agenda.put(now_ns + after_ns, Due.FUNDING, funding.funding_id)
        return funding

    def give_back(self, funding_id: str, now_ns: int) -> None:
        """Return what was applied, as a bank does with a payment that bounced."""
        funding = self.fundings[funding_id]
        assert funding.status is FundingStatus.APPLIED, f"applied funding, was {funding.status}"
        funding.status, funding.finalized_ns = FundingStatus.RETURNED, now_ns
        self._book(funding, -1)

    def handle(self, due: Due, key: str, due_ns: int) -> None:
        """Do what a reminder asks."""
        if due is Due.TRANSFER:
            transfer = self.transfers[key]
            self._debit(transfer)
            self._move(transfer.account, transfer.to_shard, transfer.amount_e6)
            self._floor.in_transit_e6 -= transfer.amount_e6
            self._floor.use_shards([transfer.to_shard])
            transfer.is_complete = True
            return
        funding = self.fundings[key]
        funding.status, funding.finalized_ns = funding.becomes, due_ns
        if funding.status is FundingStatus.APPLIED:
            self._book(funding, 1)

    def _debit(self, transfer: Transfer) -> None:
        if not transfer.is_debited:
            transfer.is_debited = True
            self._move(transfer.account, transfer.from_shard, -transfer.amount_e6)
            self._floor.in_transit_e6 += transfer.amount_e6

    def _book(self, funding: Funding, sign: int) -> None:
        self._move(funding.account, funding.shard, sign * (funding.amount_e6 - funding.fee_e6))
        self._floor.deposits_e6 += sign * funding.amount_e6
        self._floor.fees_e6 += sign * funding.fee_e6
        self._floor.use_shards([funding.shard])

    def _move(self, name: str, shard: int, amount_e6: int) -> None:
        account = self._floor.accounts[name]
        account.cash_e6[shard] = account.cash_e6.get(shard, 0) + amount_e6
        self._floor.reads.note_cash(account, self._floor.now_ns)
