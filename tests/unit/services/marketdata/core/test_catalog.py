from __future__ import annotations

from typing import Any

import pytest

from libs.common.kalshi.model import Lifecycle
from libs.common.messages.market import MarketState
from services.marketdata.core.catalog import LISTING_LAG_MS, Catalog
from tests.support.market_builders import (
    EVENT,
    MARKET,
    NOW_MS,
    TENTH,
    bands,
    venue_event,
    venue_market,
    venue_series,
)


def _catalog(**changes: Any) -> Catalog:
    catalog = Catalog("run-1")
    catalog.put(venue_market(**changes), venue_event(), venue_series(), NOW_MS)
    return catalog


def test_fee_terms_come_from_the_series() -> None:
    assert _catalog().status(MARKET).fee.fee_type == "quadratic"


def test_an_event_overrides_the_fee_of_its_series() -> None:
    catalog = Catalog("run-1")
    event = venue_event(fee_type_override="quadratic_with_maker_fees", fee_multiplier_override_e4=5_000)
    catalog.put(venue_market(), event, venue_series(), NOW_MS)
    fee = catalog.status(MARKET).fee
    assert (fee.fee_type, fee.multiplier_e4) == ("quadratic_with_maker_fees", 5_000)


def test_a_fee_update_overrides_and_clears_while_open() -> None:
    catalog = _catalog()
    update = Lifecycle("event_fee_update", "", event=EVENT, fee_type="flat", fee_multiplier_e4=20_000)
    assert catalog.on_lifecycle(update, NOW_MS) == [MARKET]
    assert catalog.status(MARKET).fee.multiplier_e4 == 20_000
    assert catalog.on_lifecycle(Lifecycle("event_fee_update", "", event=EVENT), NOW_MS) == [MARKET]
    assert catalog.status(MARKET).fee.fee_type == "quadratic"


def test_a_waiver_holds_until_its_end_by_our_own_clock() -> None:
    catalog = _catalog(fee_waiver_until_ms=NOW_MS + 1_000)
    assert catalog.status(MARKET).fee.multiplier_e4 == 0
    assert catalog.tick(NOW_MS + 999) == []
    assert catalog.tick(NOW_MS + 1_000) == [MARKET]
    assert catalog.status(MARKET).fee.multiplier_e4 == 10_000


def test_a_market_opens_and_closes_without_a_message() -> None:
    catalog = _catalog(state=MarketState.INITIALIZED, open_ms=NOW_MS + 10, close_ms=NOW_MS + 20)
    assert catalog.status(MARKET).state is MarketState.INITIALIZED
    assert catalog.tick(NOW_MS + 10) == [MARKET]
    assert catalog.status(MARKET).state is MarketState.ACTIVE
    assert catalog.tick(NOW_MS + 20) == [MARKET]
    assert catalog.status(MARKET).state is MarketState.CLOSED
    assert catalog.tick(NOW_MS + 30) == []


def test_a_close_moved_to_the_future_reopens_the_market() -> None:
    catalog = _catalog(close_ms=NOW_MS + 20)
    catalog.tick(NOW_MS + 20)
    moved = Lifecycle("close_date_updated", MARKET, close_ms=NOW_MS + 50)
    assert catalog.on_lifecycle(moved, NOW_MS + 30) == [MARKET]
    status = catalog.status(MARKET)
    assert (status.state, status.close_ms) == (MarketState.ACTIVE, NOW_MS + 50)


def test_settlement_passes_through_its_states_with_result_and_value() -> None:
    catalog = _catalog()
    catalog.on_lifecycle(Lifecycle("determined", MARKET, result="yes", settlement_value_e4=10_000), NOW_MS)
    assert catalog.status(MARKET).state is MarketState.DETERMINED
    catalog.on_lifecycle(Lifecycle("settled", MARKET), NOW_MS + 5)
    status = catalog.status(MARKET)
    assert (status.state, status.result, status.settlement_value_e4) == (MarketState.FINALIZED, "yes", 10_000)
    assert catalog.settled_before(NOW_MS + 6) == [MARKET]
    assert catalog.settled_before(NOW_MS + 5) == []


def test_a_second_determination_amends() -> None:
    catalog = _catalog()
    catalog.on_lifecycle(Lifecycle("determined", MARKET, result="yes"), NOW_MS)
    catalog.on_lifecycle(Lifecycle("determined", MARKET, result="no"), NOW_MS)
    assert catalog.status(MARKET).state is MarketState.AMENDED


def test_the_grid_may_change_while_open() -> None:
    catalog = _catalog()
    change = Lifecycle("price_level_structure_updated", MARKET, grid=bands(TENTH))
    assert catalog.on_lifecycle(change, NOW_MS) == [MARKET]
    assert catalog.status(MARKET).grid == bands(TENTH)


def test_every_change_counts_and_a_repetition_does_not() -> None:
    catalog = _catalog()
    assert catalog.status(MARKET).sequence == 1
    assert not catalog.put(venue_market(), venue_event(), venue_series(), NOW_MS)
    catalog.on_lifecycle(Lifecycle("deactivated", MARKET), NOW_MS)
    assert catalog.status(MARKET).sequence == 2
    assert catalog.on_lifecycle(Lifecycle("deactivated", MARKET), NOW_MS) == []
    assert catalog.status(MARKET).sequence == 2


def test_a_lagging_listing_does_not_undo_what_the_feed_said() -> None:
    catalog = _catalog()
    catalog.on_lifecycle(Lifecycle("deactivated", MARKET), NOW_MS)
    assert not catalog.put(venue_market(), venue_event(), venue_series(), NOW_MS + 100)
    assert catalog.status(MARKET).state is MarketState.INACTIVE
    assert catalog.put(venue_market(), venue_event(), venue_series(), NOW_MS + LISTING_LAG_MS)
    assert catalog.status(MARKET).state is MarketState.ACTIVE


@pytest.mark.parametrize(("trading", "paused"), [(False, frozenset()), (True, frozenset({0}))])
def test_a_pause_of_exchange_or_shard_reaches_the_status(*, trading: bool, paused: frozenset[int]) -> None:
    catalog = _catalog()
    assert catalog.set_trading(is_trading=trading, paused_shards=paused, now_ms=NOW_MS) == [MARKET]
    assert not catalog.status(MARKET).trading_active
    assert catalog.set_trading(is_trading=True, paused_shards=frozenset({7}), now_ms=NOW_MS) == [MARKET]
    assert catalog.status(MARKET).trading_active


def test_siblings_are_the_other_outcomes_of_an_exclusive_event() -> None:
    catalog = Catalog("run-1")
    exclusive = venue_event(is_mutually_exclusive=True)
    for name in ("C", "A", "B"):
        catalog.put(venue_market(name), exclusive, venue_series(), NOW_MS)
    catalog.put(venue_market("X", event="OTHER"), venue_event("OTHER"), venue_series(), NOW_MS)
    assert catalog.siblings("B") == ("A", "C")
    assert catalog.siblings("X") == ()
    catalog.drop("A")
    assert catalog.siblings("B") == ("C",)


def test_words_about_unknown_markets_change_nothing() -> None:
    assert _catalog().on_lifecycle(Lifecycle("settled", "NOBODY"), NOW_MS) == []
