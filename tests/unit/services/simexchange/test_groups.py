"""Order groups: the venue's fuse (kalshi-api section 15)."""

from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from services.simexchange.core.events import GroupChanged
from services.simexchange.core.order_groups import OrderGroup
from services.simexchange.core.requests import Placed
from tests.support.venue_core import SHARD_MARKET, Pit, code


@pytest.fixture
def pit() -> Pit:
    return Pit()


def new_group(pit: Pit, limit_e2: int = 1000, shard: int = 0) -> OrderGroup:
    group = pit.venue.groups.create("alice", shard, limit_e2, pit.now_ns)
    assert isinstance(group, OrderGroup)
    return group


def test_exactly_the_limit_does_not_trigger_and_one_hundredth_more_does(pit: Pit) -> None:
    group = new_group(pit, limit_e2=1000)
    pit.bid("alice", 4700, 2000, order_group_id=group.order_group_id)
    other = pit.bid("alice", 4600, 100, order_group_id=group.order_group_id)
    free = pit.bid("alice", 4500, 100)

    pit.ask("bob", 4700, 1000)
    assert (group.is_triggered, other.is_resting) == (False, True)
    pit.ask("bob", 4700, 1)

    assert (group.is_triggered, other.is_resting, free.is_resting) == (True, False, True)


def test_fills_older_than_fifteen_seconds_no_longer_count(pit: Pit) -> None:
    group = new_group(pit, limit_e2=1000)
    pit.bid("alice", 4700, 5000, order_group_id=group.order_group_id)
    pit.ask("bob", 4700, 900)

    pit.wait(15)
    pit.ask("bob", 4700, 900)

    assert not group.is_triggered


def test_taker_fills_count_as_maker_fills_do(pit: Pit) -> None:
    group = new_group(pit, limit_e2=100)
    pit.ask("bob", 5200, 300)

    order = pit.bid("alice", 5200, 500, order_group_id=group.order_group_id)

    assert (group.is_triggered, order.filled_e2, order.is_resting) == (True, 300, False)


def test_a_triggered_group_takes_no_orders_until_it_is_reset(pit: Pit) -> None:
    group = new_group(pit)
    order = pit.bid("alice", 4700, order_group_id=group.order_group_id)

    pit.venue.groups.trigger("alice", group.order_group_id, 0, pit.now_ns)
    assert not order.is_resting
    refused = pit.send("alice", Side.BID, 4700, order_group_id=group.order_group_id)
    assert code(refused) == "exceeded_order_group_risk_limit"
    pit.venue.groups.reset("alice", group.order_group_id, 0, pit.now_ns)

    assert isinstance(pit.send("alice", Side.BID, 4700, order_group_id=group.order_group_id), Placed)


def test_a_limit_below_what_was_just_matched_triggers_at_once(pit: Pit) -> None:
    group = new_group(pit, limit_e2=1000)
    pit.bid("alice", 4700, 2000, order_group_id=group.order_group_id)
    pit.ask("bob", 4700, 500)

    pit.venue.groups.set_limit("alice", group.order_group_id, 0, 499, pit.now_ns)

    assert group.is_triggered


def test_a_group_lives_on_one_shard_and_belongs_to_one_account(pit: Pit) -> None:
    group = new_group(pit, shard=0)
    pit.venue.deposit("alice", 2, 10_000_000, pit.now_ns)

    elsewhere = pit.send("alice", Side.BID, 4700, market=SHARD_MARKET, order_group_id=group.order_group_id)
    strangers = pit.send("bob", Side.BID, 4700, order_group_id=group.order_group_id)

    assert code(elsewhere) == code(strangers) == "order_group_not_found"
    assert (
        code(pit.venue.groups.trigger("alice", group.order_group_id, 2, pit.now_ns))
        == "order_group_not_found"
    )


def test_delete_cancels_the_orders_and_forgets_the_group(pit: Pit) -> None:
    group = new_group(pit)
    order = pit.bid("alice", 4700, order_group_id=group.order_group_id)

    pit.venue.groups.delete("alice", group.order_group_id, 0, pit.now_ns)

    assert not order.is_resting
    assert pit.venue.groups.of("alice") == []


def test_the_reset_of_a_triggered_group_answers_404_in_the_mode_a_trader_saw(pit: Pit) -> None:
    group = new_group(pit)
    pit.venue.groups.is_triggered_group_gone = True
    pit.venue.groups.trigger("alice", group.order_group_id, 0, pit.now_ns)

    assert (
        code(pit.venue.groups.reset("alice", group.order_group_id, 0, pit.now_ns)) == "order_group_not_found"
    )
    assert pit.venue.groups.of("alice") == []


@pytest.mark.parametrize("limit_e2", [0, 100_000_001])
def test_a_limit_out_of_bounds_is_refused(pit: Pit, limit_e2: int) -> None:
    assert code(pit.venue.groups.create("alice", 0, limit_e2, pit.now_ns)) == "invalid_parameters"


def test_every_change_is_told_to_the_owner(pit: Pit) -> None:
    group = new_group(pit, limit_e2=1000)
    desk, group_id = pit.venue.groups, group.order_group_id
    desk.set_limit("alice", group_id, 0, 500, pit.now_ns)
    desk.trigger("alice", group_id, 0, pit.now_ns)
    desk.reset("alice", group_id, 0, pit.now_ns)
    desk.delete("alice", group_id, 0, pit.now_ns)

    told = [(e.event_type, e.limit_e2) for e in pit.events() if isinstance(e, GroupChanged)]
    assert told == [
        ("created", 1000),
        ("limit_updated", 500),
        ("triggered", None),
        ("reset", None),
        ("deleted", None),
    ]
