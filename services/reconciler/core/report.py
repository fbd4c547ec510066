"""Put a comparison into words: for the bus, for the log, for people."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.kalshi.model import VenuePosition
from libs.common.messages.control import HaltV1
from libs.common.messages.risk import DriftV1, OrphanV1, ReconResultV1
from services.reconciler.core.compare import Comparison
from services.reconciler.core.diff import Difference, Kind
from services.reconciler.core.listing_view import Listing
from services.reconciler.core.policy import Action
from services.reconciler.core.witness import Name, Resting

_MS = 1_000_000
_TOLD_MAX = 10
_GRAVITY = (
    Kind.CASH,
    Kind.POSITION,
    Kind.FILL,
    Kind.ORDERS_ONLY_EXCHANGE,
    Kind.ORDERS_ONLY_LOCAL,
    Kind.ORDER,
    Kind.FOREIGN_ORDER,
)
_NOTHING = "0"


def result_of(  # noqa: PLR0917 - one result, all that belongs to it
    account: str,
    cycle: int,
    epoch: int,
    reason: str,
    listing: Listing,
    comparison: Comparison,
    drifts: Sequence[DriftV1],
    orphans: Sequence[OrphanV1],
    ghosts: int,
    errors: tuple[str, ...],
    now_ns: int,
) -> ReconResultV1:
    """Return the result of one comparison (requirements D-022 to D-026)."""
    return ReconResultV1(
        account=account,
        cycle=cycle,
        epoch=epoch,
        reason=reason,
        orphaned_detected=len(orphans),
        ghost_detected=ghosts,
        reconciled=comparison.agreed_count,
        errors=errors,
        drifts=tuple(drifts),
        position_residual_e2=comparison.position_residual_e2,
        cash_residual_e6=comparison.cash_residual_e6,
        took_ms=(now_ns - listing.started_ns) // _MS,
        as_of_ns=listing.started_ms * _MS,
        orphans=tuple(orphans),
        shard_residuals_e6=() if comparison.cash is None else tuple(comparison.cash.residuals_e6.items()),
    )


def drift_of(difference: Difference, action: Action) -> DriftV1:
    """Return a difference as the bus tells it."""
    return DriftV1(
        kind=difference.kind.value,
        market=difference.market,
        key=difference.key,
        executor_says=difference.executor_says,
        drop_copy_says=difference.drop_copy_says,
        listing_says=difference.listing_says,
        odd_one_out=difference.odd_one_out,
        action=action.value,
    )


def halt_of(differences: Sequence[Difference]) -> HaltV1:
    """Return one halt for everything that halts, the gravest first."""
    grave = sorted(differences, key=lambda difference: _GRAVITY.index(difference.kind))
    told = [text_of(difference) for difference in grave[:_TOLD_MAX]]
    more = len(grave) - len(told)
    return HaltV1(
        reason=f"reconciliation: {'; '.join(told)}" + (f"; and {more} more" if more else ""),
        trigger=f"recon_{grave[0].kind}",
        by="reconciler",
    )


def is_ghost(difference: Difference) -> bool:
    """Return whether the executor takes for there what the venue does not have (D-023)."""
    if difference.kind is Kind.POSITION:
        return difference.odd_one_out == Name.EXECUTOR and difference.listing_says == _NOTHING
    return difference.kind is Kind.ORDERS_ONLY_LOCAL


def order_orphan_of(order: Resting) -> OrphanV1:
    """Return the entry of an order (D-026)."""
    return OrphanV1(
        ticker=order.market,
        side=order.side.value,
        size_e2=order.remaining_e2,
        avg_price_e4=order.price_e4,
        order_id=order.order_id,
    )


def position_orphan_of(market: str, position: VenuePosition | None) -> OrphanV1:
    """Return the entry of a position, with its average cost a contract."""
    qty_e2 = 0 if position is None else position.qty_e2
    cost_e6 = 0 if position is None else position.exposure_e6
    return OrphanV1(
        ticker=market,
        side="yes" if qty_e2 >= 0 else "no",
        size_e2=abs(qty_e2),
        avg_price_e4=cost_e6 // abs(qty_e2) if qty_e2 else 0,
    )


def text_of(difference: Difference) -> str:
    """Return a difference as one line for people."""
    return (
        f"{difference.kind} {difference.key}: executor {difference.executor_says}, "
        f"drop copy {difference.drop_copy_says}, listing {difference.listing_says}"
    )


def fields_of(difference: Difference, action: Action) -> dict[str, object]:
    """Return a difference as the fields of a log line."""
    return {
        "kind": difference.kind.value,
        "market": difference.market,
        "key": difference.key,
        "executor_says": difference.executor_says,
        "drop_copy_says": difference.drop_copy_says,
        "listing_says": difference.listing_says,
        "odd_one_out": difference.odd_one_out,
        "residual": difference.residual,
        "action": action.value,
    }
