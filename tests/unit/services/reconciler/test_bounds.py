"""What the three views keep does not grow with what ever was."""

from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import FeedHeard, OwnFill
from libs.common.messages.execution import Action, IntentItemV1, IntentV1, OrderState
from services.reconciler.core import listing_view
from services.reconciler.core.agreed import Agreed
from services.reconciler.core.drop_copy_view import DropCopyView
from services.reconciler.core.executor_view import ExecutorView
from services.reconciler.core.listing_view import ListingView
from services.reconciler.core.witness import FillKey
from tests.support.truth_builders import (
    MARKET,
    NOW_MS,
    S,
    client_id,
    epoch_event,
    fill_event,
    listing,
    order_event,
    venue_fill,
)


def test_fills_agreed_on_are_kept_within_a_bound_and_old_ones_stay_agreed() -> None:
    done = Agreed(most=3)
    for number in range(10):
        done.add(FillKey(f"t{number}", "o"), 100 + number)
    assert len(done._venue_ms) == 3
    assert done.has(FillKey("t9", "o"), 109)
    assert done.has(FillKey("t0", "o"), 100), "forgotten, but from before what is remembered"
    assert not done.has(FillKey("new", "o"), 107)


def test_a_fill_agreed_on_is_news_to_no_view() -> None:
    done = Agreed()
    fill = venue_fill()
    done.add(FillKey(fill.trade_id, fill.order_id), fill.venue_ms)
    executor, feed = ExecutorView(4 * S, 60 * S, 15 * S, done), DropCopyView(done)
    feed.on_event(FeedHeard(NOW_MS), S)
    assert executor.on_fill(fill_event(fill)) is None
    assert feed.on_event(OwnFill(fill), S) is None
    assert not executor.fills
    assert not feed.fills


def test_orders_that_say_nothing_any_more_are_forgotten() -> None:
    executor = ExecutorView(4 * S, 60 * S, 15 * S)
    executor.on_epoch(epoch_event(), 1, S)
    executor.on_intent(intent(1), 2, S)
    executor.on_order(order_event(2, state=OrderState.CANCELLED), 3, S)
    executor.on_order(order_event(3, state=OrderState.UNKNOWN), 4, S)
    executor.on_order(order_event(4), 5, S)
    executor.bury(100 * S, 98 * S)
    assert list(executor._orders) == [client_id(4)]
    executor.on_order(order_event(2, version=1), 6, 100 * S)
    assert list(executor._orders) == [client_id(4)], "an old version does not come back to life"


def test_an_order_too_long_on_its_way_stays_so_whatever_is_repeated_of_it() -> None:
    executor = ExecutorView(4 * S, 60 * S, 15 * S)
    executor.on_epoch(epoch_event(), 1, S)
    executor.on_order(order_event(3, state=OrderState.UNKNOWN), 4, S)
    executor.bury(100 * S, 98 * S)
    executor.on_order(order_event(3, state=OrderState.UNKNOWN, version=2), 5, 100 * S)
    assert executor.witness(101 * S, 99 * S, NOW_MS).order(client_id(3)) == "absent"


def test_fills_counted_are_forgotten_and_never_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_view, "_KNOWN_MIN", 100)
    view = ListingView(genesis_ms=0, _known_max=100)
    step_ms = 60_000
    for number in range(500):
        fill = venue_fill(f"t{number}", venue_ms=NOW_MS + number * step_ms, qty_e2=1)
        view.take(listing(now_ns=S, now_ms=fill.venue_ms, fills=(fill,)), 2_000)
        view.agreed(FillKey(fill.trade_id, fill.order_id))
    assert len(view._known) <= 100
    old = tuple(venue_fill(f"t{n}", venue_ms=NOW_MS + n * step_ms, qty_e2=1) for n in range(500))
    view.take(listing(now_ns=S, now_ms=NOW_MS + 501 * step_ms, fills=old), 2_000)
    assert view.filled_e2(MARKET) == 500


def intent(number: int) -> IntentV1:
    item = IntentItemV1(
        action=Action.CREATE,
        market=MARKET,
        shard=0,
        client_order_id=client_id(number),
        side=Side.BID,
        price_e4=4_000,
        qty_e2=100,
        decision_id="d",
    )
    return IntentV1(account="main", epoch=1, batch=number, items=(item,), issued_ns=0)
