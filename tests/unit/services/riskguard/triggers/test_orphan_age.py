"""`orphan_age`: an order of ours rests that nobody answers for."""

from __future__ import annotations

from libs.common.kalshi.model import VenueOrder
from libs.common.messages.execution import OrderState
from libs.common.messages.risk import DriftV1, ReconResultV1
from services.riskguard.core.conduct.view import ConductView
from tests.support.conduct_builders import Seen, fired
from tests.support.truth_builders import MARKET, client_id, epoch_event, order_event, venue_order


def recon_result(*keys: str, kind: str = "orders_only_exchange") -> ReconResultV1:
    drifts = tuple(
        DriftV1(
            kind=kind,
            market=MARKET,
            key=key,
            executor_says="none",
            drop_copy_says="bid 1000@4000",
            listing_says="bid 1000@4000",
            odd_one_out="executor",
            action="cancel",
        )
        for key in keys
    )
    return ReconResultV1(
        account="main",
        cycle=1,
        epoch=1,
        reason="timer",
        orphaned_detected=len(drifts),
        ghost_detected=0,
        reconciled=0,
        errors=(),
        drifts=drifts,
        position_residual_e2=0,
        cash_residual_e6=0,
        took_ms=1,
        as_of_ns=0,
    )


def listed_for(seen: Seen, seconds: int, *orders: VenueOrder) -> None:
    for _ in range(seconds // 2):
        seen.reading(orders=orders)
        seen.wait(2)
    seen.reading(orders=orders)


def test_it_fires_above_its_limit_and_latches() -> None:
    at, over = ConductView(oldest_orphan_ms=15_000), ConductView(oldest_orphan_ms=15_001)
    assert fired("orphan_age", at, orphan_age_ms=15_000) is None
    told = fired("orphan_age", over, orphan_age_ms=15_000)
    assert told is not None
    assert (told.limit, told.was, told.is_latching) == (15_000, 15_001, True)


def test_our_own_listings_find_an_order_that_the_executor_never_named() -> None:
    seen = Seen()
    listed_for(seen, 16, venue_order(1))
    view = seen.view()
    assert (view.oldest_orphan, view.oldest_orphan_ms) == (client_id(1), 16_000)
    assert fired("orphan_age", view, orphan_age_ms=15_000) is not None
    seen.reading()
    assert seen.view().oldest_orphan_ms == 0


def test_an_order_that_the_executor_names_is_none_and_one_that_it_buried_is() -> None:
    seen = Seen()
    seen.area.on_order(order_event(1, state=OrderState.INTENDED), seen.now_ns)
    listed_for(seen, 20, venue_order(1))
    assert seen.view().oldest_orphan_ms == 0
    seen.area.on_order(order_event(1, state=OrderState.CANCELLED, version=2), seen.now_ns)
    listed_for(seen, 4, venue_order(1))
    assert seen.view().oldest_orphan_ms == 4_000


def test_a_word_that_comes_after_the_listing_counts_at_once() -> None:
    seen = Seen()
    listed_for(seen, 20, venue_order(1))
    seen.area.on_order(order_event(1), seen.now_ns)
    assert seen.view().oldest_orphan_ms == 0


def test_a_new_epoch_gives_the_orders_of_the_old_one_their_time_from_then_on() -> None:
    seen = Seen()
    seen.area.on_order(order_event(1, epoch=1), seen.now_ns)
    listed_for(seen, 60, venue_order(1))
    seen.area.on_epoch(epoch_event(2), 9, seen.now_ns)
    listed_for(seen, 4, venue_order(1))
    assert seen.view().oldest_orphan_ms == 4_000


def test_what_the_reconciler_calls_an_orphan_ages_with_its_results() -> None:
    seen = Seen()
    seen.area.on_recon(recon_result("x", "y"), seen.now_ns)
    seen.wait(10)
    assert seen.view().oldest_orphan_ms == 0
    seen.area.on_recon(recon_result("x"), seen.now_ns)
    seen.wait(10)
    seen.area.on_recon(recon_result("x"), seen.now_ns)
    view = seen.view()
    assert (view.oldest_orphan, view.oldest_orphan_ms) == ("x", 20_000)
    assert fired("orphan_age", view, orphan_age_ms=15_000) is not None
    seen.area.on_recon(recon_result(), seen.now_ns)
    assert seen.view().oldest_orphan_ms == 0


def test_a_foreign_order_is_told_once_and_is_no_orphan() -> None:
    seen = Seen()
    foreign = venue_order(7, client_order_id="by-hand")
    listed_for(seen, 20, foreign)
    seen.area.on_recon(recon_result("#o7", kind="foreign_order"), seen.now_ns)
    seen.wait(20)
    seen.area.on_recon(recon_result("#o7", kind="foreign_order"), seen.now_ns)
    assert seen.view().oldest_orphan_ms == 0
    assert seen.view().foreign_orders == 1
    assert seen.area.take_foreign() == [foreign]
    seen.reading(orders=(foreign,))
    assert seen.area.take_foreign() == []
