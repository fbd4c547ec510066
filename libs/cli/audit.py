"""The last word of a demo: our journal against the exchange's own account.

Neither side of the comparison comes from a service's memory. Ours is what the
executor put into EXEC (intents, fills); theirs is what the exchange answers over
REST with the account's key. Fills go through the ledger again, settlements as
the exchange paid them, and the difference must be zero in quantity and money.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from libs.common.domain.ledger import AccountLedger, Fill
from libs.common.kalshi.model import VenueFill, VenueOrder, VenueOrderStatus, VenuePosition, VenueSettlement
from libs.common.messages.execution import Action, FillV1, IntentV1


@dataclass(frozen=True, slots=True)
class Journal:
    """What EXEC holds of one account."""

    intents: Sequence[IntentV1]
    fills: Sequence[FillV1]

    def created(self) -> set[str]:
        """Return the client order ids that were ever meant to be created."""
        return {
            item.client_order_id
            for intent in self.intents
            for item in intent.items
            if item.action is Action.CREATE
        }


@dataclass(frozen=True, slots=True)
class Account:
    """What the exchange says of the same account."""

    balance_e6: int
    orders: Sequence[VenueOrder]
    fills: Sequence[VenueFill]
    positions: Sequence[VenuePosition]
    settlements: Sequence[VenueSettlement]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The comparison; every figure but ``ledger`` must be zero or empty.

    Attributes:
        orphans: Orders at the exchange that no intent explains, or that still rest.
        duplicates: Client order ids that more than one order at the exchange carries.
        position_residual_e2: Sum over markets of the absolute difference.
        cash_residual_e6: Expected balance minus the exchange's.
        fills_missing: Fills that one side has and the other lacks.
        ledger: Ours, settlements applied.
    """

    orphans: int
    duplicates: int
    position_residual_e2: int
    cash_residual_e6: int
    fills_missing: int
    ledger: AccountLedger

    @property
    def is_clean(self) -> bool:
        """Return whether both sides agree in everything."""
        return not any(
            (
                self.orphans,
                self.duplicates,
                self.position_residual_e2,
                self.cash_residual_e6,
                self.fills_missing,
            )
        )


def compare(journal: Journal, account: Account, balance_at_start_e6: int) -> Verdict:
    """Return what separates our journal from the exchange's account."""
    ledger = AccountLedger()
    for fill in journal.fills:
        ledger.apply_fill(
            Fill(
                fill.trade_id,
                fill.order_id,
                fill.market,
                fill.side,
                fill.price_e4,
                fill.qty_e2,
                fill.fee_e6,
            )
        )
    for settlement in reversed(account.settlements):
        ledger.apply_settlement(settlement.market, settlement.gross_e6, settlement.fee_e6)
    theirs = {position.market: position.qty_e2 for position in account.positions}
    ours = ledger.quantities()
    created = journal.created()
    carried = Counter(order.client_order_id for order in account.orders)
    return Verdict(
        orphans=sum(
            order.client_order_id not in created or order.status is VenueOrderStatus.RESTING
            for order in account.orders
        ),
        duplicates=sum(count - 1 for count in carried.values() if count > 1),
        position_residual_e2=_difference(ours, theirs),
        cash_residual_e6=balance_at_start_e6 + ledger.cash_e6 - account.balance_e6,
        fills_missing=len(_names(journal.fills) ^ _names(account.fills)),
        ledger=ledger,
    )


def _names(fills: Iterable[FillV1 | VenueFill]) -> set[tuple[str, str]]:
    return {(fill.trade_id, fill.order_id) for fill in fills}


def _difference(ours: Mapping[str, int], theirs: Mapping[str, int]) -> int:
    return sum(abs(ours.get(market, 0) - theirs.get(market, 0)) for market in {*ours, *theirs})
