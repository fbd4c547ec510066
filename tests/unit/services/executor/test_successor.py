"""A leader that slept through a takeover hears of its successor's orders before it knows that it lost."""

from __future__ import annotations

from libs.common.kalshi.model import OwnFill
from libs.common.kalshi.model import OwnOrder as FeedOrder
from services.executor.core.effects import RecordFill, RecordOrder
from tests.support.executor_builders import MARKET, a_desk, a_fill, an_order, told

THEIRS = an_order(client_order_id="dora-sim-2-1-0-00000000", order_id="theirs", epoch=2)


def test_order_of_a_newer_epoch_is_no_orphan_and_is_not_taken_into_the_book() -> None:
    desk = a_desk()

    effects = desk.engine.on_feed([FeedOrder(told(THEIRS))], desk.now)

    assert desk.engine.account.orders.by_order("theirs") is None
    assert desk.engine.account.counters["orphans"] == 0
    assert not any(isinstance(effect, RecordOrder) for effect in effects)


def test_fill_of_a_newer_epoch_counts_in_the_position_and_is_left_to_the_successor_to_record() -> None:
    desk = a_desk()

    effects = desk.engine.on_feed([OwnFill(a_fill(THEIRS, 100))], desk.now)

    assert desk.engine.account.positions.qty_e2(MARKET) == 100
    assert not any(isinstance(effect, RecordFill) for effect in effects)


def test_fill_without_our_name_of_a_newer_epoch_is_not_recorded_once_its_order_is_told() -> None:
    desk = a_desk()
    desk.engine.on_feed([OwnFill(a_fill(THEIRS, 100, client_order_id=""))], desk.now)

    effects = desk.engine.on_feed([FeedOrder(told(THEIRS))], desk.now)

    assert desk.engine.account.positions.qty_e2(MARKET) == 100
    assert not any(isinstance(effect, RecordFill) for effect in effects)
