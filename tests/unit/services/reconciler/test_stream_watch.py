"""What the two streams disagree on, found between readings, told once, and only after the settling time."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.env import Env
from libs.common.kalshi.model import FeedClosed, OwnFill, OwnOrder, OwnPosition, VenueOrderStatus
from services.reconciler.core.diff import Difference, Kind
from services.reconciler.core.stream_watch import StreamWatch, glance
from tests.support.truth_builders import (
    NOW_MS,
    S,
    client_id,
    fill_event,
    order_event,
    position_event,
    settlement,
    venue_fill,
    venue_order,
    venue_position,
)
from tests.support.truth_scene import Scene


def look(scene: Scene, after_ns: int = S) -> list[tuple[Kind, str]]:
    core = scene.core
    found = glance(
        Env.SIM, core.executor, core.drop_copy, core.listing, scene.now + after_ns, core.patience.settle_ms
    )
    return [(one.kind, one.key) for one in found]


def told(scene: Scene, count: int) -> None:
    """Let both streams tell the same of so many orders, after the feed connected."""
    scene.now += 5 * S
    for number in range(1, count + 1):
        scene.core.on_order(order_event(number), 10 + number, scene.now)
        scene.core.on_feed(OwnOrder(venue_order(number)), scene.now)


def test_the_one_order_among_many_that_two_tell_differently_is_found() -> None:
    scene = Scene()
    told(scene, 500)
    assert look(scene) == []
    lies: list[dict[str, object]] = [
        {"price_e4": 4_100},
        {"remaining_e2": 7},
        {"side": Side.ASK},
        {"market": "KX-OTHER"},
    ]
    for number, lie in enumerate(lies, 1):
        scene.core.on_order(order_event(number, version=2, **lie), 1_000 + number, scene.now)
    assert look(scene) == [(Kind.ORDER, client_id(number)) for number in range(1, 5)]


def test_an_order_that_one_stream_ended_is_found() -> None:
    scene = Scene()
    told(scene, 2)
    scene.core.on_feed(OwnOrder(venue_order(1, status=VenueOrderStatus.CANCELED)), scene.now)
    assert look(scene) == [(Kind.ORDERS_ONLY_LOCAL, client_id(1))]


def test_an_order_from_before_the_feed_stood_is_no_disagreement() -> None:
    scene = Scene()
    scene.core.executor.on_order(order_event(1), 11, scene.now - S)
    assert look(scene) == []


def test_a_feed_that_is_cut_disagrees_with_nobody() -> None:
    scene = Scene()
    told(scene, 3)
    scene.core.on_feed(FeedClosed("cut"), scene.now)
    assert look(scene) == []


def test_a_fill_that_one_stream_lacks_is_found_either_way() -> None:
    for hears, writes in ((True, False), (False, True)):
        scene = Scene()
        fill = venue_fill(venue_ms=NOW_MS)
        if hears:
            scene.core.on_feed(OwnFill(fill), scene.now)
        if writes:
            scene.core.on_fill(fill_event(fill))
        assert look(scene) == [(Kind.FILL, "t1/o1")]


def test_a_position_is_held_against_the_feed_and_else_against_the_last_reading() -> None:
    scene = Scene()
    scene.cycle(positions=(venue_position(300),), balance_e6=None)
    scene.core.on_position(position_event(qty_e2=300), scene.now)
    assert look(scene) == []
    scene.core.on_feed(OwnPosition(venue_position(400)), scene.now)
    assert [kind for kind, _ in look(scene)] == [Kind.POSITION]
    scene.core.on_position(position_event(qty_e2=400, sequence=2), scene.now)
    assert look(scene) == []


def test_a_settled_market_is_not_looked_at() -> None:
    scene = Scene()
    scene.core.on_feed(OwnPosition(venue_position(400)), scene.now)
    scene.cycle(settlements=(settlement(),))
    scene.core.on_position(position_event(qty_e2=0), scene.now)
    assert look(scene) == []


def test_a_disagreement_is_reported_once_after_the_settling_time_and_anew_when_it_comes_back() -> None:
    watch = StreamWatch(2 * S)
    one = Difference(Kind.FILL, "KX", "t/o", "a", "b", "silent", "")
    assert not watch.look([one], 10 * S)
    assert not watch.look([one], 12 * S - 1)
    assert watch.look([one], 12 * S)
    assert not watch.look([one], 13 * S)
    assert not watch.look([], 14 * S)
    assert not watch.look([one], 15 * S)
    assert watch.look([one], 17 * S)
