"""Every answer of the simulated venue fits the schema that the venue publishes for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support.shared import requires_spec, spec_dir
from tests.support.venue import CENT_MARKET, DECI_MARKET, RunningVenue, order_body, running_venue

pytestmark = requires_spec

ORDERS = "/portfolio/events/orders"
TRANSFER: dict[str, Any] = {"shards": [0, 2], "amount": "3.5000", "seconds": 3600}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((spec_dir() / "openapi.yaml").read_text(), Loader=yaml.CSafeLoader)
    return loaded


@pytest.fixture(scope="module")
def venue() -> Iterator[RunningVenue]:
    with running_venue() as running:
        running.create(
            client_order_id="resting", order_group_id=new_group(running), expiration_time=4_000_000_000
        )
        running.create(price="0.9900", time_in_force="immediate_or_cancel")
        running.create("bob", price="0.0100", side="ask", time_in_force="immediate_or_cancel", count="2.00")
        running.sim(
            "POST",
            "switch",
            {"action": "fee", "event": "SIMTEST-26NOV21", "fee_type": "quadratic", "multiplier_e4": 5000},
        )
        running.sim("POST", "switch", {"action": "transfer", "account": "alice", **TRANSFER})
        for amount, becomes in (("12.34", "applied"), ("-5.00", "applied"), ("1.00", "failed")):
            wanted = {"account": "alice", "amount": amount, "fee": "0.25", "becomes": becomes}
            running.sim("POST", "fundings", wanted)
        running.sim("POST", "fundings", {"account": "alice", "amount": "7.00", "seconds": 3600})
        announce_terms(running)
        yield running


def announce_terms(venue: RunningVenue) -> None:
    """Leave no list of the venue's terms empty."""
    venue.sim("POST", "attested", {"account": "alice", "seconds": 86_400})
    venue.sim("POST", "tier", {"account": "alice", "tier": "prestige", "seconds": 86_400})
    hours = {"thursday": [["00:00", "03:00"], ["05:00", "00:00"]], "sunday": []}
    venue.sim("POST", "schedule", {"hours": hours, "maintenance": [[3_600, 7_200]]})
    terms = {"seconds": 3_600, "fee_type": "quadratic", "multiplier_e4": 5_000}
    venue.sim("POST", "fee_changes", {"series": "SIMTEST", **terms})
    venue.sim("POST", "fee_changes", {"event": "SIMTEST-26NOV21", **terms})
    venue.sim("POST", "fee_changes", {"event": "SIMDECI-26NOV21", "seconds": 3_600})


def new_group(venue: RunningVenue) -> str:
    made = venue.request("POST", "/portfolio/order_groups/create", {"contracts_limit": 50})
    group_id: str = made.json()["order_group_id"]
    return group_id


def nullable_as_types(schema: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema: ``nullable`` becomes a second type."""
    if isinstance(schema, list):
        return [nullable_as_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: nullable_as_types(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [changed, {"type": "null"}]} if schema.get("nullable") else changed


def check(spec: dict[str, Any], template: str, method: str, status: int, body: Any) -> None:
    """Validate a body against the schema of its operation."""
    answer = spec["paths"][template][method.lower()]["responses"][str(status)]
    schema = answer["content"]["application/json"]["schema"]
    root = {"components": nullable_as_types(spec["components"]), **nullable_as_types(schema)}
    jsonschema.Draft202012Validator(root).validate(body)


Path = Callable[[RunningVenue], str]


def order_path(suffix: str = "") -> Path:
    def path(venue: RunningVenue) -> str:
        return f"/portfolio/orders/{resting_id(venue)}{suffix}"

    return path


def resting_id(venue: RunningVenue) -> str:
    order_id: str = venue.request("GET", "/portfolio/orders?status=resting").json()["orders"][0]["order_id"]
    return order_id


def group_path(venue: RunningVenue) -> str:
    group_id: str = venue.request("GET", "/portfolio/order_groups").json()["order_groups"][0]["id"]
    return f"/portfolio/order_groups/{group_id}"


def transfer_path(venue: RunningVenue) -> str:
    transfers = venue.request("GET", "/portfolio/intra_exchange_instance_transfers").json()["transfers"]
    return f"/portfolio/intra_exchange_instance_transfers/{transfers[0]['transfer_id']}"


READS: list[tuple[str, str | Path]] = [
    ("/exchange/status", "/exchange/status"),
    ("/exchange/schedule", "/exchange/schedule"),
    ("/exchange/user_data_timestamp", "/exchange/user_data_timestamp"),
    ("/series", "/series"),
    ("/series/fee_changes", "/series/fee_changes"),
    ("/series/{series_ticker}", "/series/SIMDECI"),
    ("/events", "/events?with_nested_markets=true"),
    ("/events/multivariate", "/events/multivariate"),
    ("/events/fee_changes", "/events/fee_changes"),
    ("/events/{event_ticker}", "/events/SIMTEST-26NOV21"),
    ("/events/{event_ticker}/metadata", "/events/SIMTEST-26NOV21/metadata"),
    ("/markets", "/markets"),
    ("/markets/{ticker}", f"/markets/{CENT_MARKET}"),
    ("/markets/{ticker}/orderbook", f"/markets/{DECI_MARKET}/orderbook"),
    ("/markets/orderbooks", f"/markets/orderbooks?tickers={CENT_MARKET}&tickers={DECI_MARKET}"),
    ("/markets/trades", "/markets/trades"),
    ("/portfolio/orders", "/portfolio/orders"),
    ("/portfolio/orders/{order_id}", order_path()),
    ("/portfolio/orders/{order_id}/queue_position", order_path("/queue_position")),
    ("/portfolio/orders/queue_positions", f"/portfolio/orders/queue_positions?market_tickers={CENT_MARKET}"),
    ("/portfolio/order_groups", "/portfolio/order_groups"),
    ("/portfolio/order_groups/{order_group_id}", group_path),
    ("/portfolio/balance", "/portfolio/balance"),
    ("/portfolio/positions", "/portfolio/positions"),
    ("/portfolio/fills", "/portfolio/fills"),
    ("/portfolio/settlements", "/portfolio/settlements"),
    ("/portfolio/intra_exchange_instance_transfers", "/portfolio/intra_exchange_instance_transfers"),
    ("/portfolio/intra_exchange_instance_transfers/{transfer_id}", transfer_path),
    ("/portfolio/deposits", "/portfolio/deposits"),
    ("/portfolio/withdrawals", "/portfolio/withdrawals"),
    ("/portfolio/summary/total_resting_order_value", "/portfolio/summary/total_resting_order_value"),
    ("/account/limits", "/account/limits"),
    ("/api_keys", "/api_keys"),
    ("/account/endpoint_costs", "/account/endpoint_costs"),
    ("/account/api_usage_level/volume_progress", "/account/api_usage_level/volume_progress"),
    ("/historical/cutoff", "/historical/cutoff"),
    ("/historical/orders", "/historical/orders"),
    ("/historical/fills", "/historical/fills"),
    ("/historical/positions", "/historical/positions"),
    ("/historical/markets", "/historical/markets"),
    ("/historical/trades", "/historical/trades"),
    ("/incentive_programs", "/incentive_programs"),
]


@pytest.mark.parametrize(("template", "path"), READS, ids=[template for template, _ in READS])
def test_reads_fit_their_schema(
    spec: dict[str, Any], venue: RunningVenue, template: str, path: str | Path
) -> None:
    answer = venue.request("GET", path if isinstance(path, str) else path(venue))

    assert answer.status_code == 200, answer.text
    check(spec, template, "GET", 200, answer.json())


def test_writes_fit_their_schema(spec: dict[str, Any], venue: RunningVenue) -> None:
    placed = venue.create(price="0.1500", count="3.00")
    check(spec, ORDERS, "POST", 201, placed.json())
    taken = venue.create("bob", side="ask", price="0.1500", time_in_force="immediate_or_cancel")
    check(spec, ORDERS, "POST", 201, taken.json())
    order_id = placed.json()["order_id"]
    amended = venue.request(
        "POST",
        f"{ORDERS}/{order_id}/amend",
        {"ticker": CENT_MARKET, "side": "bid", "price": "0.1600", "count": "4.00"},
    )
    check(spec, f"{ORDERS}/{{order_id}}/amend", "POST", 200, amended.json())
    decreased = venue.request("POST", f"{ORDERS}/{order_id}/decrease", {"reduce_to": "1.00"})
    check(spec, f"{ORDERS}/{{order_id}}/decrease", "POST", 200, decreased.json())
    cancelled = venue.request("DELETE", f"{ORDERS}/{order_id}")
    check(spec, f"{ORDERS}/{{order_id}}", "DELETE", 200, cancelled.json())


def test_a_transfer_fits_its_schema_and_so_do_the_lists_it_ends_up_in(
    spec: dict[str, Any], venue: RunningVenue
) -> None:
    path = "/portfolio/intra_exchange_instance_transfer"
    body = {
        "source": "event_contract",
        "destination": "event_contract",
        "amount": 12_345,
        "source_exchange_shard": 0,
        "destination_exchange_shard": 3,
        "client_transfer_id": "0b0c7c0e-5b1f-4d3a-9a77-0d5c5e1f1a11",
    }

    made = venue.request("POST", path, body)
    again = venue.request("POST", path, body)

    check(spec, path, "POST", 200, made.json())
    assert again.status_code == 409
    rows = venue.request("GET", f"{path}s").json()["transfers"]
    assert {row["amount"] for row in rows} == {"1.2345", "3.5000"}
    shown = venue.request("GET", f"{path}s/{made.json()['transfer_id']}").json()["transfer"]
    assert (shown["source_exchange_shard"], shown["destination_exchange_shard"]) == (0, 3)
    words = {row["status"] for row in venue.request("GET", "/portfolio/deposits").json()["deposits"]}
    assert words == {"applied", "failed", "pending"}
    taken = venue.request("GET", "/portfolio/withdrawals").json()["withdrawals"]
    assert [(row["amount_cents"], row["fee_cents"]) for row in taken] == [(500, 25)]


def test_batches_fit_their_schema_with_good_and_refused_items(
    spec: dict[str, Any], venue: RunningVenue
) -> None:
    items = [
        order_body(client_order_id="ok"),
        order_body(client_order_id="bad", price="0.9900", post_only=True),
    ]
    made = venue.request("POST", f"{ORDERS}/batched", {"orders": items})
    check(spec, f"{ORDERS}/batched", "POST", 201, made.json())

    refs = [{"order_id": made.json()["orders"][0]["order_id"]}, {"order_id": "none"}]
    gone = venue.request("DELETE", f"{ORDERS}/batched", {"orders": refs})
    check(spec, f"{ORDERS}/batched", "DELETE", 200, gone.json())


def test_group_writes_fit_their_schema(spec: dict[str, Any], venue: RunningVenue) -> None:
    made = venue.request("POST", "/portfolio/order_groups/create", {"contracts_limit_fp": "10.00"})
    check(spec, "/portfolio/order_groups/create", "POST", 201, made.json())
    path = f"/portfolio/order_groups/{made.json()['order_group_id']}"
    template = "/portfolio/order_groups/{order_group_id}"
    for word, body in (("limit", {"contracts_limit": 5}), ("trigger", {}), ("reset", {})):
        done = venue.request("PUT", f"{path}/{word}", body)
        check(spec, f"{template}/{word}", "PUT", 200, done.json())
    check(spec, template, "DELETE", 200, venue.request("DELETE", path).json())


def test_decode_errors_have_the_flat_shape_of_the_schema(spec: dict[str, Any], venue: RunningVenue) -> None:
    answer = venue.create(count=1)

    assert answer.status_code == 400
    schema = nullable_as_types(spec["components"]["schemas"]["ErrorResponse"])
    jsonschema.Draft202012Validator(schema).validate(answer.json())
