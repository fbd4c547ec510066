"""Put a comparison into words: for the bus, for the log, for people."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.messages.risk import DriftV1, ReconResultV1
from services.reconciler.core.compare import Comparison
from services.reconciler.core.diff import Difference, Kind
from services.reconciler.core.listing_view import Listing
from services.reconciler.core.policy import Action

_MS = 1_000_000
_ORPHANS = (Kind.ORDERS_ONLY_EXCHANGE, Kind.FOREIGN_ORDER)


def result_of(  # noqa: PLR0917 - one result, all that belongs to it
    account: str,
    cycle: int,
    epoch: int,
    reason: str,
    listing: Listing,
    comparison: Comparison,
    drifts: Sequence[DriftV1],
    errors: tuple[str, ...],
    now_ns: int,
) -> ReconResultV1:
    """Return the result of one comparison (requirements D-022 to D-026)."""
    return ReconResultV1(
        account=account,
        cycle=cycle,
        epoch=epoch,
        reason=reason,
        orphaned_detected=sum(drift.kind in _ORPHANS for drift in drifts),
        ghost_detected=sum(drift.kind == Kind.ORDERS_ONLY_LOCAL for drift in drifts),
        reconciled=comparison.agreed_count,
        errors=errors,
        drifts=tuple(drifts),
        position_residual_e2=comparison.position_residual_e2,
        cash_residual_e6=comparison.cash_residual_e6,
        took_ms=(now_ns - listing.started_ns) // _MS,
        as_of_ns=listing.started_ms * _MS,
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
