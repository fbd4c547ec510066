"""Faults thrown at the HTTP face: what the caller hears and what the venue really did (kalshi-api 25.4)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.venue import CENT_MARKET, RunningVenue, order_body, running_venue

ORDERS = "/portfolio/events/orders"


@pytest.fixture
def venue() -> Iterator[RunningVenue]:
    with running_venue() as running:
        yield running


def resting(venue: RunningVenue) -> list[Any]:
    orders: list[Any] = venue.sim("GET", "truth?account=alice")["accounts"]["alice"]["orders"]
    return orders


def test_a_dropped_response_leaves_an_order_that_the_retry_finds(venue: RunningVenue) -> None:
    venue.throw("drop_response", match=f"POST {ORDERS}")

    with pytest.raises(httpx.RemoteProtocolError):
        venue.create(client_order_id="lost")

    assert [order["client_order_id"] for order in resting(venue)] == ["lost"]
    assert venue.create(client_order_id="lost").status_code == 409


def test_a_dropped_request_leaves_nothing(venue: RunningVenue) -> None:
    venue.throw("drop_request")

    with pytest.raises(httpx.RemoteProtocolError):
        venue.create(client_order_id="lost")

    assert resting(venue) == []
    assert venue.create(client_order_id="lost").status_code == 201


@pytest.mark.parametrize(("kind", "orders"), [("error_before", 0), ("error_after", 1)])
def test_a_server_error_may_come_before_or_after_the_deed(
    venue: RunningVenue, kind: str, orders: int
) -> None:
    venue.throw(kind, status=502)

    assert venue.create().status_code == 502
    assert len(resting(venue)) == orders


def test_a_thrown_rate_limit_does_nothing_else(venue: RunningVenue) -> None:
    venue.throw("rate_limit", count=2)

    assert [venue.create().status_code for _ in range(3)] == [429, 429, 201]


def test_a_foreign_echo_names_another_order_and_a_garbled_body_is_half_a_body(venue: RunningVenue) -> None:
    venue.throw("foreign_echo")
    assert venue.create(client_order_id="mine").json()["client_order_id"] == "foreign-mine"

    venue.throw("garbled")
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        venue.create().json()
    assert len(resting(venue)) == 2


def test_a_batch_answer_may_lack_an_item_that_was_done(venue: RunningVenue) -> None:
    venue.throw("missing_item", match=f"POST {ORDERS}/batched")

    answer = venue.request("POST", f"{ORDERS}/batched", {"orders": [order_body(), order_body()]})

    assert (len(answer.json()["orders"]), len(resting(venue))) == (1, 2)


def test_a_delay_is_after_the_deed_and_a_delay_before_is_before(venue: RunningVenue) -> None:
    venue.throw("delay", seconds=0.05)
    start = time.monotonic()

    assert venue.create().status_code == 201
    assert time.monotonic() - start >= 0.05
    venue.throw("delay_before", seconds=0.01)
    assert venue.create().status_code == 201


def test_a_rule_applies_to_what_it_matches_only_and_can_be_taken_back(venue: RunningVenue) -> None:
    venue.throw("error_before", match=f"DELETE {ORDERS}", count=5)

    order_id = venue.create().json()["order_id"]
    assert venue.request("DELETE", f"{ORDERS}/{order_id}").status_code == 503
    venue.sim("DELETE", "faults")

    assert venue.request("DELETE", f"{ORDERS}/{order_id}").status_code == 200


def test_an_order_placed_outside_the_bot_is_the_accounts_own(venue: RunningVenue) -> None:
    placed = venue.sim("POST", "orders", {"account": "alice", **order_body(client_order_id="by-hand")})

    listed = venue.request("GET", "/portfolio/orders").json()["orders"]

    assert [order["client_order_id"] for order in listed] == ["by-hand"]
    venue.sim("POST", "cancel", {"account": "alice", "order_id": placed["order_id"]})
    assert resting(venue) == []


def test_reads_may_lag_behind_writes(venue: RunningVenue) -> None:
    """After a cancel the order is still listed for a moment, and a second cancel already finds nothing."""
    order_id = venue.create().json()["order_id"]
    venue.sim("POST", "switch", {"action": "read_lag", "seconds": 60.0})

    venue.request("DELETE", f"{ORDERS}/{order_id}")

    shown = venue.request("GET", f"/portfolio/orders/{order_id}").json()["order"]
    assert (shown["status"], shown["remaining_count_fp"]) == ("resting", "1.00")
    assert venue.request("DELETE", f"{ORDERS}/{order_id}").status_code == 404
    venue.create(price="0.9900", time_in_force="immediate_or_cancel")
    assert venue.request("GET", "/portfolio/fills").json()["fills"] == []
    assert venue.request("GET", "/portfolio/positions").json()["market_positions"] == []
    assert venue.request("GET", "/portfolio/balance").json()["balance_dollars"] == "2000.0000"


def test_an_account_opened_at_the_counter_can_trade(venue: RunningVenue) -> None:
    opened = venue.sim("POST", "accounts", {"name": "carol", "tier": "basic", "cash": {"0": "10.00"}})

    venue.keys["carol"] = venue.keys["alice"].__class__(opened["key_id"], opened["private_key"].encode(), b"")

    assert venue.create("carol").status_code == 201
    assert venue.request("GET", "/portfolio/balance", account="carol").json()["balance"] == 1000


def test_a_switch_that_does_not_exist_is_refused_with_its_reason(venue: RunningVenue) -> None:
    answer = venue._client.post("/sim/switch", json={"action": "explode", "market": CENT_MARKET})

    assert answer.status_code == 400
    assert "explode" in answer.json()["error"]
