"""Money without trades over HTTP: transfers between shards, deposits, withdrawals (kalshi-api 6 and 16).

A transfer is asked for in centi-cents and told in dollars, as at the venue; its
last page has no cursor at all. One exchange stands here: nothing can be moved to
or from the margined one, and there are no subaccounts to move between.
"""

from __future__ import annotations

from libs.common.domain.units import CENT_E6, format_cash
from services.simexchange.core.bank import NO_TRANSFER, Funding, Transfer
from services.simexchange.core.requests import Rejection
from services.simexchange.shell.bodies_in import ShardTransferRequest, decode
from services.simexchange.shell.door import Door, Route
from services.simexchange.shell.paging import Key, limit_of, page
from services.simexchange.shell.reply import Call, Reply, invalid_parameters, ok, refused
from services.simexchange.shell.times import NS_PER_S

_INSTANCE = "event_contract"
_CENTICENT_E6 = 100
_SHARD_MAX = 100
_PAGE_MAX = 500
_PATH = "/portfolio/intra_exchange_instance_transfer"


class FundingRoutes:
    """Handlers of transfers, deposits and withdrawals."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._venue = door.venue

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route("POST", _PATH, self.transfer, scope="write::transfer"),
            Route("GET", f"{_PATH}s", self.transfers),
            Route("GET", f"{_PATH}s/{{}}", self.one_transfer),
            Route("GET", "/portfolio/deposits", self.deposits),
            Route("GET", "/portfolio/withdrawals", self.withdrawals),
        ]

    def transfer(self, call: Call) -> Reply:
        """Accept a transfer between two shards."""
        body = decode(ShardTransferRequest, call.body)
        if body.source != _INSTANCE or body.destination != _INSTANCE:
            raise invalid_parameters("source and destination event_contract")
        if body.source_subaccount or body.destination_subaccount:
            raise invalid_parameters("no subaccounts")
        shards = (body.source_exchange_shard, body.destination_exchange_shard)
        if shards[0] == shards[1] or not all(0 <= shard <= _SHARD_MAX for shard in shards):
            raise invalid_parameters("two different shards")
        if body.amount <= 0:
            raise invalid_parameters("amount")
        made = self._venue.transfer(
            call.account,
            *shards,
            body.amount * _CENTICENT_E6,
            call.now_ns,
            client_transfer_id=body.client_transfer_id or "",
        )
        return refused(made) if isinstance(made, Rejection) else ok({"transfer_id": made.transfer_id})

    def transfers(self, call: Call) -> Reply:
        """List transfers, newest first."""
        limit = limit_of(call, "GetIntraExchangeInstanceTransfers", highest=_PAGE_MAX)
        found = self._venue.bank.transfers_of(call.account)
        shown, cursor = page(found, _transfer_key, call, limit)
        body: dict[str, object] = {"transfers": [transfer_body(transfer) for transfer in shown]}
        return ok(body | {"cursor": cursor} if cursor else body)

    def one_transfer(self, call: Call) -> Reply:
        """Show one transfer."""
        found = self._venue.bank.transfers.get(call.path_args[0])
        if found is None or found.account != call.account:
            return refused(NO_TRANSFER)
        return ok({"transfer": transfer_body(found)})

    def deposits(self, call: Call) -> Reply:
        """List deposits, newest first."""
        return self._fundings(call, "GetDeposits", "deposits")

    def withdrawals(self, call: Call) -> Reply:
        """List withdrawals, newest first."""
        return self._fundings(call, "GetWithdrawals", "withdrawals")

    def _fundings(self, call: Call, operation: str, word: str) -> Reply:
        limit = limit_of(call, operation, highest=_PAGE_MAX)
        found = self._venue.bank.fundings_of(call.account, is_deposit=word == "deposits")
        shown, cursor = page(found, _funding_key, call, limit)
        return ok({word: [funding_body(funding) for funding in shown], "cursor": cursor})


def transfer_body(transfer: Transfer) -> dict[str, object]:
    """Return an ``IntraExchangeInstanceTransfer``."""
    body: dict[str, object] = {
        "transfer_id": transfer.transfer_id,
        "source": _INSTANCE,
        "destination": _INSTANCE,
        "source_exchange_shard": transfer.from_shard,
        "destination_exchange_shard": transfer.to_shard,
        "amount": format_cash(transfer.amount_e6, 4),
        "status": "complete" if transfer.is_complete else "pending",
        "created_ts": transfer.created_ns // NS_PER_S,
    }
    if transfer.client_transfer_id:
        body["client_transfer_id"] = transfer.client_transfer_id
    return body


def funding_body(funding: Funding) -> dict[str, object]:
    """Return a ``Deposit`` or a ``Withdrawal``; both count upwards, and tell no shard."""
    body: dict[str, object] = {
        "id": funding.funding_id,
        "status": funding.status.value,
        "type": "wire",
        "amount_cents": abs(funding.amount_e6) // CENT_E6,
        "fee_cents": funding.fee_e6 // CENT_E6,
        "created_ts": funding.created_ns // NS_PER_S,
    }
    if funding.finalized_ns is not None:
        body["finalized_ts"] = funding.finalized_ns // NS_PER_S
    return body


def _transfer_key(transfer: Transfer) -> Key:
    return transfer.created_ns, transfer.transfer_id


def _funding_key(funding: Funding) -> Key:
    return funding.created_ns, funding.funding_id
