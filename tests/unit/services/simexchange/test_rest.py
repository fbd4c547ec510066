"""The HTTP face: who is let in, what is billed, pages, filters, and bad input."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from libs.common.runtime.clock import ManualClock
from tests.support.venue import (
    CENT_MARKET,
    DECI_MARKET,
    RunningVenue,
    order_body,
    running_venue,
    signed_headers,
)

ORDERS = "/portfolio/events/orders"


@pytest.fixture
def venue() -> Iterator[RunningVenue]:
    with running_venue() as running:
        yield running


def error_code(answer: object) -> str:
    body = answer.json()  # type: ignore[attr-defined]
    return str(body["error"]["code"] if isinstance(body.get("error"), dict) else body.get("code"))


def test_public_endpoints_need_no_signature_and_private_ones_do(venue: RunningVenue) -> None:
    for path in (
        "/markets",
        "/exchange/status",
        f"/markets/{CENT_MARKET}/orderbook",
        "/account/endpoint_costs",
    ):
        assert venue.request("GET", path, account=None).status_code == 200
    for path in ("/portfolio/balance", "/account/limits", "/portfolio/orders"):
        answer = venue.request("GET", path, account=None)
        assert (answer.status_code, error_code(answer)) == (401, "signature_is_missing_from_headers")


def test_a_signature_does_not_fit_another_path(venue: RunningVenue) -> None:
    headers = {
        key: value
        for key, value in venue.request("GET", "/portfolio/balance").request.headers.items()
        if key.lower().startswith("kalshi")
    }

    answer = venue.request("GET", "/portfolio/orders", account=None, headers=headers)

    assert error_code(answer) == "authentication_error"


def test_a_key_for_reading_can_place_nothing(venue: RunningVenue) -> None:
    pair = venue.keys["alice"]
    venue.rest.keys.add(pair.key_id, "alice", pair.public_pem, ["read"])

    answer = venue.create()

    assert (answer.status_code, error_code(answer)) == (403, "forbidden")
    assert venue.request("GET", "/portfolio/orders").json()["orders"] == []


def test_the_query_is_not_signed(venue: RunningVenue) -> None:
    assert venue.request("GET", "/portfolio/orders?status=resting&limit=5").status_code == 200


def test_accounts_see_only_their_own(venue: RunningVenue) -> None:
    order_id = venue.create("alice").json()["order_id"]

    assert venue.request("GET", "/portfolio/orders", account="bob").json()["orders"] == []
    assert venue.request("GET", f"/portfolio/orders/{order_id}", account="bob").status_code == 404
    assert venue.request("DELETE", f"{ORDERS}/{order_id}", account="bob").status_code == 404


def test_pages_cover_everything_once_and_end_with_an_empty_cursor(venue: RunningVenue) -> None:
    made = {venue.create(price=f"0.{10 + number}00").json()["order_id"] for number in range(7)}

    seen: list[str] = []
    cursor = ""
    for _ in range(10):
        body = venue.request("GET", f"/portfolio/orders?limit=3&cursor={cursor}").json()
        seen += [order["order_id"] for order in body["orders"]]
        cursor = body["cursor"]
        if not cursor:
            break

    assert len(seen) == 7
    assert set(seen) == made


@pytest.mark.parametrize(
    ("path", "field", "tag"),
    [
        ("/markets?limit=1001", "GetMarketsParams.Limit", "lte"),
        ("/portfolio/orders?limit=0", "GetOrdersParams.Limit", "gte"),
        ("/portfolio/orders?status=open", "GetOrdersParams.Status", "oneof"),
        ("/portfolio/fills?limit=many", "GetFillsParams.Limit", "number"),
        ("/events?limit=201", "GetEventsParams.Limit", "lte"),
    ],
)
def test_a_bad_query_parameter_is_named(venue: RunningVenue, path: str, field: str, tag: str) -> None:
    answer = venue.request("GET", path)

    assert answer.status_code == 400
    assert f"Key: '{field}'" in answer.json()["msg"]
    assert f"'{tag}' tag" in answer.json()["msg"]


@pytest.mark.parametrize(
    ("raw", "details"),
    [
        (b"{", "json: "),
        (
            b'{"ticker":1}',
            "json: cannot unmarshal number into Go struct field CreateOrderV2Request.ticker of type string",
        ),
        (b'{"ticker":"A"}', "'required' tag"),
        (b"[]", "array"),
        (b"\xff\xfe", "json: "),
    ],
)
def test_a_body_that_does_not_decode_is_counted_and_changes_nothing(
    venue: RunningVenue, raw: bytes, details: str
) -> None:
    before = venue.sim("GET", "truth")["accounts"]

    answer = venue._client.post(
        f"/trade-api/v2{ORDERS}",
        content=raw,
        headers=signed(venue, "POST", ORDERS) | {"Content-Type": "application/json"},
    )

    assert answer.status_code == 400
    assert details in answer.json()["details"]
    truth = venue.sim("GET", "truth")
    assert truth["accounts"] == before
    assert truth["counters"]["bad_request"] == 1


def test_a_body_of_another_type_or_beyond_all_size_is_refused(venue: RunningVenue) -> None:
    headers = signed(venue, "POST", ORDERS)
    plain = venue._client.post(
        f"/trade-api/v2{ORDERS}", content=b"{}", headers=headers | {"Content-Type": "text/plain"}
    )
    huge = venue._client.post(
        f"/trade-api/v2{ORDERS}",
        content=b" " * 5_000_000,
        headers=headers | {"Content-Type": "application/json"},
    )

    assert (plain.status_code, plain.json()["code"]) == (400, "invalid_content_type")
    assert (huge.status_code, huge.json()["details"]) == (400, "http: request body too large")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"side": "buy"}, "invalid_parameters"),
        ({"time_in_force": "day"}, "invalid_parameters"),
        ({"self_trade_prevention_type": "none"}, "invalid_parameters"),
        ({"price": "1.5"}, "invalid_price"),
        ({"price": "0.12345"}, "invalid_price"),
        ({"price": "x"}, "invalid_price"),
        ({"count": "0.00"}, "invalid_order_size"),
        ({"count": "-1"}, "invalid_order_size"),
        ({"count": "1.005"}, "invalid_order_size"),
        ({"client_order_id": "x" * 65}, "invalid_parameters"),
        ({"ticker": "NONE"}, "not_found"),
        ({"order_group_id": "none"}, "order_group_not_found"),
    ],
)
def test_values_that_mean_nothing_are_refused(
    venue: RunningVenue, changes: dict[str, Any], code: str
) -> None:
    answer = venue.create(**changes)

    assert answer.status_code in {400, 404}
    assert error_code(answer) == code


def test_unknown_fields_and_nulls_are_ignored(venue: RunningVenue) -> None:
    body = order_body() | {"type": "limit", "novelty": [1], "client_order_id": None, "post_only": None}

    answer = venue.request("POST", ORDERS, body)

    assert answer.status_code == 201
    assert "client_order_id" not in answer.json()


def test_a_batch_answers_every_item_in_order_and_processes_each_on_its_own(venue: RunningVenue) -> None:
    items = [
        order_body(client_order_id=name, ticker=ticker)
        for name, ticker in (("a", CENT_MARKET), ("b", DECI_MARKET))
    ]
    items.insert(1, order_body(client_order_id="bad", price="0.1050"))

    answer = venue.request("POST", f"{ORDERS}/batched", {"orders": items})

    assert answer.status_code == 201
    told = [(item["client_order_id"], item.get("error", {}).get("code")) for item in answer.json()["orders"]]
    assert told == [("a", None), ("bad", "invalid_price"), ("b", None)]


def test_cancel_all_answers_204_without_a_body(venue: RunningVenue) -> None:
    venue.create()

    answer = venue.request("DELETE", ORDERS)

    assert (answer.status_code, answer.content) == (204, b"")
    assert venue.request("GET", "/portfolio/orders?status=resting").json()["orders"] == []


def test_a_basic_account_may_create_ten_and_then_waits() -> None:
    with running_venue(tier="basic", clock=standing_clock()) as venue:
        answers = [venue.create(exchange_index=0) for _ in range(11)]

        assert [answer.status_code for answer in answers] == [201] * 10 + [429]
        assert answers[-1].json() == {"error": "too many requests"}
        assert len(venue.sim("GET", "truth?account=alice")["accounts"]["alice"]["orders"]) == 10


def test_a_batch_that_does_not_fit_the_bucket_is_refused_as_a_whole() -> None:
    with running_venue(tier="basic", clock=standing_clock()) as venue:
        answer = venue.request("POST", f"{ORDERS}/batched", {"orders": [order_body()] * 11})

        assert answer.status_code == 429
        assert venue.sim("GET", "truth?account=alice")["accounts"]["alice"]["orders_ever"] == 0


def test_the_balance_may_be_asked_once_a_second_by_a_basic_account() -> None:
    with running_venue(tier="basic", clock=standing_clock()) as venue:
        answers = [venue.request("GET", "/portfolio/balance").status_code for _ in range(2)]

        assert answers == [200, 429]


def test_market_filters_use_their_own_words(venue: RunningVenue) -> None:
    venue.sim("POST", "switch", {"action": "close", "market": DECI_MARKET})

    listed = {
        status: [m["ticker"] for m in venue.request("GET", f"/markets?status={status}").json()["markets"]]
        for status in ("unopened", "open", "paused", "closed", "settled")
    }

    assert listed == {
        "unopened": [],
        "open": [CENT_MARKET],
        "paused": [],
        "closed": [DECI_MARKET],
        "settled": [],
    }
    clash = venue.request("GET", "/markets?status=open&min_close_ts=1")
    assert clash.status_code == 400


def test_an_empty_side_shows_as_a_bid_of_zero_and_an_ask_of_one(venue: RunningVenue) -> None:
    venue.create("bob", price="0.9900", count="3.00", time_in_force="immediate_or_cancel")

    market = venue.request("GET", f"/markets/{CENT_MARKET}").json()["market"]

    assert (market["yes_ask_dollars"], market["no_bid_dollars"]) == ("1.0000", "0.0000")
    book = venue.request("GET", f"/markets/{CENT_MARKET}/orderbook").json()["orderbook_fp"]
    assert book == {"yes_dollars": [["0.4700", "3.00"]], "no_dollars": []}


def test_books_are_ascending_and_depth_keeps_the_best(venue: RunningVenue) -> None:
    venue.create(price="0.4000")
    venue.create(price="0.3000")

    whole = venue.request("GET", f"/markets/{CENT_MARKET}/orderbook").json()["orderbook_fp"]["yes_dollars"]
    best = venue.request("GET", f"/markets/{CENT_MARKET}/orderbook?depth=1").json()["orderbook_fp"][
        "yes_dollars"
    ]

    assert [price for price, _ in whole] == ["0.3000", "0.4000", "0.4700"]
    assert best == [["0.4700", "3.00"]]


def test_paths_that_do_not_exist_are_404_and_a_trailing_slash_is_a_redirect(venue: RunningVenue) -> None:
    assert venue.request("GET", "/nothing").status_code == 404
    redirect = venue.request("POST", f"{ORDERS}/")
    assert (redirect.status_code, redirect.headers["Location"]) == (301, f"/trade-api/v2{ORDERS}")


def test_settled_positions_leave_the_default_listing_and_become_settlements(venue: RunningVenue) -> None:
    venue.create(price="0.9900", time_in_force="immediate_or_cancel")
    venue.sim("POST", "switch", {"action": "close", "market": CENT_MARKET})
    venue.sim("POST", "switch", {"action": "determine", "market": CENT_MARKET, "result": "yes"})
    venue.call(lambda: venue.venue.advance(venue.venue.floor.now_ns + 2 * 10**9))

    assert venue.request("GET", "/portfolio/positions").json()["market_positions"] == []
    kept = venue.request("GET", "/portfolio/positions?settlement_status=all").json()["market_positions"]
    assert [(p["ticker"], p["position_fp"], p["realized_pnl_dollars"]) for p in kept] == [
        (CENT_MARKET, "0.00", "0.480000")
    ]
    settled = venue.request("GET", "/portfolio/settlements").json()["settlements"]
    assert [(s["market_result"], s["yes_count_fp"], s["revenue"], s["value"]) for s in settled] == [
        ("yes", "1.00", 100, 100)
    ]


def standing_clock() -> ManualClock:
    """Return a clock that stands still, so that no bucket refills however slow the machine is."""
    return ManualClock(now_ns=time.time_ns())


def signed(venue: RunningVenue, method: str, path: str) -> dict[str, str]:
    return signed_headers(venue.keys["alice"], method, path)
