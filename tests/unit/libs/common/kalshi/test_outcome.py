from typing import Any

import msgspec
import pytest

from libs.common.kalshi.model import Accepted, Outcome, Refused, Unknown
from libs.common.kalshi.outcome import Answer, Lost, Meant, batch_outcomes, order_outcome, plain_outcome

CREATED = {
    "order_id": "o1",
    "client_order_id": "c1",
    "fill_count": "0.00",
    "remaining_count": "1.00",
    "ts_ms": 5,
}


def said(status: int, content: Any) -> Answer:
    return Answer(status, content if isinstance(content, bytes) else msgspec.json.encode(content))


def create(result: Answer | Lost) -> Outcome:
    return order_outcome(result, Meant(client_order_id="c1"))


def without(*fields: str) -> dict[str, Any]:
    return {name: value for name, value in CREATED.items() if name not in fields}


def test_a_create_is_accepted_when_the_venue_names_our_order() -> None:
    assert create(said(201, {**CREATED, "surprise": {"new": 1}})) == Accepted("o1", "c1", 0, 100, 0, 5)


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (Lost("timeout"), Unknown(0, "timeout")),
        (Lost("connection"), Unknown(0, "connection")),
        (said(408, b""), Unknown(408, "timeout")),
        (said(500, {"code": "internal_error", "message": "x"}), Unknown(500, "server_error")),
        (said(502, b"<html>bad gateway</html>"), Unknown(502, "server_error")),
        (said(503, b""), Unknown(503, "server_error")),
        (said(201, b""), Unknown(201, "unparseable")),
        (said(201, b"<html>"), Unknown(201, "unparseable")),
        (said(201, []), Unknown(201, "unparseable")),
        (said(201, {**CREATED, "remaining_count": "many"}), Unknown(201, "unparseable")),
        (said(201, {**CREATED, "remaining_count": 1}), Unknown(201, "unparseable")),
        (said(201, without("remaining_count")), Unknown(201, "unparseable")),
        (said(201, without("fill_count")), Unknown(201, "unparseable")),
        (said(201, without("order_id")), Unknown(201, "no_order_id")),
        (said(201, {**CREATED, "order_id": ""}), Unknown(201, "no_order_id")),
        (said(201, {**CREATED, "client_order_id": "c2"}), Unknown(201, "foreign_echo")),
        (said(201, without("client_order_id")), Unknown(201, "foreign_echo")),
        (said(301, b""), Unknown(301, "unparseable")),
        (said(400, b"<html>blocked</html>"), Unknown(400, "unparseable")),
        (said(400, {"error": {"code": "EXCHANGE_UNAVAILABLE"}}), Unknown(400, "server_error")),
    ],
)
def test_what_proves_neither_yes_nor_no_is_unknown(result: Answer | Lost, outcome: Unknown) -> None:
    assert create(result) == outcome


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (
            said(400, {"error": {"code": "invalid_order", "message": "m", "details": "post only cross"}}),
            "invalid_order",
        ),
        (said(400, {"code": "bad_request", "message": "bad request"}), "bad_request"),
        (said(400, {"msg": "Parameter validation failed"}), "invalid_parameters"),
        (said(400, {"error": {"code": "MARKET_NOT_ACTIVE"}}), "market_not_active"),
        (said(401, b""), "unauthorized"),
        (said(403, {"message": "this API key is restricted"}), "this_api_key_is_restricted"),
        (
            said(404, {"error": {"code": "insufficient_shard_balance", "message": "m"}}),
            "insufficient_shard_balance",
        ),
        (said(409, {"error": {"code": "order_already_exists", "message": "m"}}), "order_already_exists"),
        (said(201, {"error": {"code": "deprecated_v1_order_endpoint"}}), "deprecated_v1_order_endpoint"),
    ],
)
def test_a_refusal_needs_the_venues_own_word(result: Answer, code: str) -> None:
    outcome = create(result)

    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert not outcome.is_rate_limit


@pytest.mark.parametrize("body", [{"error": "too many requests"}, {"code": "x", "message": "y"}, b""])
def test_429_is_a_rate_limit_whatever_its_body(body: Any) -> None:
    assert create(said(429, body)) == Refused(
        429, "too_many_requests", "too many requests", is_rate_limit=True
    )


def test_a_refusal_keeps_message_and_details_within_a_bound() -> None:
    outcome = create(said(400, {"error": {"code": "c", "message": "m", "details": "d" * 1_000}}))

    assert isinstance(outcome, Refused)
    assert outcome.message.startswith("m: d")
    assert len(outcome.message) == 300


def test_a_cancel_may_leave_the_client_id_out_but_must_name_the_order() -> None:
    answer = {"order_id": "o1", "reduced_by": "1.00", "ts_ms": 7}

    assert order_outcome(said(200, answer), Meant("o1"), is_cancel=True) == Accepted("o1", "", 0, 0, 100, 7)
    foreign = order_outcome(said(200, {**answer, "order_id": "o2"}), Meant("o1"), is_cancel=True)
    assert foreign == Unknown(200, "foreign_echo")


def test_an_amend_without_a_remaining_count_leaves_the_size_as_it_was() -> None:
    outcome = order_outcome(said(200, {"order_id": "o1", "ts_ms": 7}), Meant("o1", "c1"), is_amend=True)

    assert outcome == Accepted("o1", "c1", 0, 0, 0, 7, has_remaining=False)
    renamed = {"order_id": "o1", "client_order_id": "c9", "remaining_count": "1.00"}
    assert order_outcome(said(200, renamed), Meant("o1", "c1"), is_amend=True) == Unknown(200, "foreign_echo")


def test_a_decrease_must_tell_what_remains() -> None:
    assert order_outcome(said(200, {"order_id": "o1"}), Meant("o1")) == Unknown(200, "unparseable")


def test_batch_items_are_matched_by_id_and_each_has_its_own_fate() -> None:
    items = [
        {"client_order_id": "c4", "order_id": "o4", "fill_count": None, "remaining_count": "oops"},
        {
            "client_order_id": "c2",
            "error": {"code": "invalid_order", "message": "m", "details": "post only cross"},
        },
        {
            "client_order_id": "c1",
            "order_id": "o1",
            "fill_count": "0.00",
            "remaining_count": "5.00",
            "error": None,
        },
        {"client_order_id": "c5", "error": {"code": "exchange_unavailable", "message": "m"}},
        {"client_order_id": "c6", "order_id": "a", "fill_count": "0.00", "remaining_count": "1.00"},
        {"client_order_id": "c6", "order_id": "b", "fill_count": "0.00", "remaining_count": "1.00"},
        {"client_order_id": "c7", "error": {}},
    ]
    meant = [Meant(client_order_id=f"c{n}") for n in range(1, 8)]

    outcomes = batch_outcomes(said(201, {"orders": items}), meant)

    assert outcomes == [
        Accepted("o1", "c1", 0, 500, 0, 0),
        Refused(201, "invalid_order", "m: post only cross"),
        Unknown(201, "missing_item"),
        Unknown(201, "unparseable"),
        Unknown(201, "server_error"),
        Unknown(201, "foreign_echo"),
        Unknown(201, "unparseable"),
    ]


def test_batch_cancels_are_matched_by_order_id() -> None:
    items = [
        {"order_id": "o2", "reduced_by": "0.00", "error": {"code": "not_found", "message": "not found"}},
        {"order_id": "o1", "client_order_id": "c1", "reduced_by": "5.00", "ts_ms": 9},
    ]

    outcomes = batch_outcomes(said(200, {"orders": items}), [Meant("o1"), Meant("o2")], is_cancel=True)

    assert outcomes == [Accepted("o1", "c1", 0, 0, 500, 9), Refused(200, "not_found", "not found")]


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (Lost("timeout"), Unknown(0, "timeout")),
        (
            said(429, {"error": "too many requests"}),
            Refused(429, "too_many_requests", "too many requests", True),
        ),
        (said(201, b"nonsense"), Unknown(201, "unparseable")),
        (said(201, {"orders": None}), Unknown(201, "unparseable")),
    ],
)
def test_a_whole_batch_shares_the_fate_of_its_request(result: Answer | Lost, outcome: Outcome) -> None:
    assert batch_outcomes(result, [Meant(client_order_id="a"), Meant(client_order_id="b")]) == [outcome] * 2


def test_writes_that_answer_nothing_are_accepted_by_their_status() -> None:
    assert plain_outcome(said(204, b"")) == Accepted("", "", 0, 0, 0, 0)
    assert plain_outcome(said(404, {"error": {"code": "order_group_not_found"}})) == Refused(
        404, "order_group_not_found", ""
    )
    assert plain_outcome(Lost("connection")) == Unknown(0, "connection")
