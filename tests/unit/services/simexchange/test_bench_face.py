"""What measurements ask of the venue: seeded orders are real orders, the record is the venue's own."""

from __future__ import annotations

import random

import pytest

from services.simexchange.core.order_groups import OrderGroup
from services.simexchange.core.requests import OrderRef, Reduced
from services.simexchange.core.venue import Venue
from services.simexchange.shell.record import VenueRecord
from services.simexchange.shell.reply import Call
from services.simexchange.shell.sickness import Sickness

NOW_NS = 1_800_000_000_000_000_000
S = 1_000_000_000


class Clock:
    """A clock that stands where it is put."""

    ns = NOW_NS

    def now_ns(self) -> int:
        return self.ns

    def mono_ns(self) -> int:
        return self.ns


def a_venue(read_lag_ns: int = 0) -> tuple[Venue, dict[str, str], list[str]]:
    """Return a venue with three shards of two markets each, the groups by market, and their ids."""
    venue = Venue(chance=random.Random(1), read_lag_ns=read_lag_ns)
    venue.add_account("main", cash_by_shard=dict.fromkeys(range(3), 10_000_000_000), now_ns=NOW_NS)
    groups, ids = {}, []
    for shard in range(3):
        group = venue.groups.create("main", shard, 100_000, NOW_NS)
        assert isinstance(group, OrderGroup)
        ids.append(group.order_group_id)
        for market in venue.list_quiet_markets(f"Q{shard}", shard, 2, NOW_NS):
            groups[market] = ids[-1]
    venue.drain()
    return venue, groups, ids


def test_seeded_orders_rest_in_their_groups_are_told_of_only_when_they_end_and_are_then_forgotten() -> None:
    venue, groups, ids = a_venue(read_lag_ns=S // 2)
    assert venue.seed("main", groups, 300, NOW_NS) == 300
    assert not [event for event in venue.drain() if type(event).__name__ == "OrderChanged"]
    account = venue.accounts["main"]
    assert len(venue.floor.reads.orders(account, NOW_NS)) == 300, "they count as having rested for long"
    for shard, group in enumerate(ids):
        venue.groups.trigger("main", group, shard, NOW_NS + S)
    told = [event for event in venue.drain() if type(event).__name__ == "OrderChanged"]
    assert len(told) == 300
    assert not any(account.resting.values())
    assert venue.residual_e6() == 0
    assert venue.seed("main", {}, 0, NOW_NS + 2 * S) == 0
    assert not account.orders
    assert venue.floor.reads.orders(account, NOW_NS + 3 * S) == []


def test_record_says_when_a_shard_became_empty_and_when_the_last_create_arrived() -> None:
    venue, groups, ids = a_venue()
    clock = Clock()
    record = VenueRecord(venue, clock, "/api")
    venue.seed("main", groups, 30, NOW_NS)
    record.look()
    record.on_arrival("POST", "/api/portfolio/events/orders/batched")
    clock.ns += S
    record.on_arrival("DELETE", "/api/portfolio/events/orders/batched")
    venue.groups.trigger("main", ids[1], 1, clock.ns)
    record.look()
    clock.ns += S
    told = record.told()
    assert told["last_create_ns"] == NOW_NS
    assert told["accounts"] == {
        "main": {
            "0": {"is_empty": False, "empty_ns": 0},
            "1": {"is_empty": True, "empty_ns": NOW_NS + S},
            "2": {"is_empty": False, "empty_ns": 0},
        }
    }


def a_call(method: str, body: bytes = b"", **query: str) -> Call:
    return Call(method, "", "main", NOW_NS, (), {name: [value] for name, value in query.items()}, body)


@pytest.mark.parametrize(
    ("call", "path", "is_struck"),
    [
        (a_call("PUT", exchange_index="1"), "/portfolio/order_groups/g/trigger", True),
        (a_call("PUT", exchange_index="2"), "/portfolio/order_groups/g/trigger", False),
        (a_call("GET", exchange_index="1"), "/portfolio/orders", True),
        (a_call("GET", exchange_index="0"), "/portfolio/orders", False),
        (a_call("GET"), "/portfolio/orders", True),
        (a_call("GET"), "/portfolio/balance", False),
        (a_call("POST", b'{"exchange_index":1}'), "/portfolio/events/orders", True),
        (
            a_call("DELETE", b'{"orders":[{"exchange_index":0},{"exchange_index":1}]}'),
            "/portfolio/events/orders/batched",
            True,
        ),
    ],
)
def test_sick_shard_spoils_what_touches_it(call: Call, path: str, *, is_struck: bool) -> None:
    venue, _, _ = a_venue()
    sickness = Sickness(venue)
    assert sickness.answer(call, path) is None
    sickness.shards = {1}
    answer = sickness.answer(call, path)
    assert (answer is not None and answer.status == 503) is is_struck


def test_cancel_all_with_a_sick_shard_does_what_it_can_and_calls_nothing_done() -> None:
    venue, groups, _ = a_venue()
    venue.seed("main", groups, 30, NOW_NS)
    sickness = Sickness(venue)
    sickness.shards = {1}
    answer = sickness.answer(a_call("DELETE"), "/portfolio/events/orders")
    assert answer is not None
    assert answer.status == 503
    left = [order for rows in venue.accounts["main"].resting.values() for order in rows.values()]
    assert {order.shard for order in left} == {1}
    assert isinstance(venue.cancel("main", OrderRef(left[0].order_id, exchange_index=1), NOW_NS), Reduced)
