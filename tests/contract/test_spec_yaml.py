"""Every field that we read or send exists in the venue's own contract files, and what they demand is sent.

A field that we cannot do without must be one that the contract promises: else
a legal answer would be malformed to us.
"""

import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
import yaml

from libs.common.domain.side import Side
from libs.common.kalshi import (
    order_sender,
    wire_account,
    wire_feed,
    wire_markets,
    wire_orders,
    wire_requests,
)
from libs.common.kalshi.budget import (
    AMEND,
    CANCEL,
    CANCEL_ALL,
    CANCEL_BATCH,
    CREATE,
    CREATE_BATCH,
    DECREASE,
    GROUP_CREATE,
    GROUP_TRIGGER,
)
from libs.common.kalshi.order_sender import NewOrder
from libs.common.kalshi.session import FeedSession
from libs.common.kalshi.subscription import FILTERED, SEQUENCED
from tests.support.shared import requires_spec, spec_dir

pytestmark = requires_spec

Schema = dict[str, Any]


@cache
def spec(name: str) -> Schema:
    return dict(yaml.load((spec_dir() / name).read_bytes(), Loader=yaml.CSafeLoader))


def resolve(name: str, schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = spec(name)
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    for part in schema.get("allOf", ()):
        inner = resolve(name, part)
        schema = {
            **schema,
            "properties": {**inner.get("properties", {}), **schema.get("properties", {})},
            "required": [*inner.get("required", ()), *schema.get("required", ())],
        }
    return schema


def named(name: str, schema: str) -> Schema:
    return resolve(name, spec(name)["components"]["schemas"][schema])


def inner_struct(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct inside ``X``, ``X | None``, ``list[X]`` and their mixtures."""
    if typing.get_origin(kind) is None and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((s for arg in typing.get_args(kind) if (s := inner_struct(arg)) is not None), None)


def differences(file: str, kind: type[msgspec.Struct], schema: Schema, at: str = "") -> Iterator[str]:
    """Yield what a struct reads that the schema does not know, or needs that it does not promise."""
    schema = resolve(file, schema)
    properties, promised = schema.get("properties", {}), set(schema.get("required", ()))
    hints = typing.get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        name = f"{at}{field.encode_name}"
        if field.encode_name not in properties:
            yield f"unknown {name}"
            continue
        if field.required and field.encode_name not in promised:
            yield f"not promised {name}"
        struct = inner_struct(hints[field.name])
        if struct is not None:
            deeper = resolve(file, properties[field.encode_name])
            yield from differences(file, struct, deeper.get("items", deeper), f"{name}.")


# What the contract does not say and the venue does, or did; each with its source.
KNOWN = {
    "unknown taker_side",  # deprecated, still sent (kalshi-api 10.2)
}

ANSWERS = [
    (wire_markets.StatusWire, "ExchangeStatus"),
    (wire_markets.OneSeries, "GetSeriesResponse"),
    (wire_markets.OneEvent, "GetEventResponse"),
    (wire_markets.EventsPage, "GetEventsResponse"),
    (wire_markets.OneMarket, "GetMarketResponse"),
    (wire_markets.MarketsPage, "GetMarketsResponse"),
    (wire_markets.OneBook, "GetMarketOrderbookResponse"),
    (wire_markets.TradesPage, "GetTradesResponse"),
    (wire_orders.OneOrder, "GetOrderResponse"),
    (wire_orders.OrdersPage, "GetOrdersResponse"),
    (wire_orders.FillsPage, "GetFillsResponse"),
    (wire_orders.QueuePositions, "GetOrderQueuePositionsResponse"),
    (wire_orders.GroupsAnswer, "GetOrderGroupsResponse"),
    (wire_orders.GroupCreatedAnswer, "CreateOrderGroupResponse"),
    (wire_account.PositionsPage, "GetPositionsResponse"),
    (wire_account.SettlementsPage, "GetSettlementsResponse"),
    (wire_account.BalanceWire, "GetBalanceResponse"),
    (wire_account.LimitsWire, "GetAccountApiLimitsResponse"),
    (wire_account.CostsWire, "GetAccountEndpointCostsResponse"),
]


@pytest.mark.parametrize(("kind", "schema"), ANSWERS, ids=[name for _, name in ANSWERS])
def test_what_we_read_of_an_answer_is_what_the_contract_promises(
    kind: type[msgspec.Struct], schema: str
) -> None:
    found = [d for d in differences("openapi.yaml", kind, named("openapi.yaml", schema)) if is_news(d)]

    assert found == []


def is_news(difference: str) -> bool:
    word, _, path = difference.rpartition(" ")
    return f"{word} {path.rpartition('.')[2]}" not in KNOWN


@pytest.mark.parametrize(
    ("kind", "schemas", "elsewhere"),
    [
        (
            wire_orders.OrderAnswer,
            [
                "CreateOrderV2Response",
                "AmendOrderV2Response",
                "DecreaseOrderV2Response",
                "CancelOrderV2Response",
            ],
            set(),
        ),
        (wire_orders.OneGroup, ["GetOrderGroupResponse"], set()),
    ],
)
def test_shapes_that_serve_several_answers_hold_only_fields_of_theirs(
    kind: type[msgspec.Struct], schemas: list[str], elsewhere: set[str]
) -> None:
    known_fields = {p for s in schemas for p in named("openapi.yaml", s).get("properties", {})}

    assert {f.encode_name for f in msgspec.structs.fields(kind)} - known_fields == elsewhere


@pytest.mark.parametrize("schema", ["BatchCreateOrdersV2Response", "BatchCancelOrdersV2Response"])
def test_batch_items_hold_only_fields_of_the_contract(schema: str) -> None:
    items = resolve("openapi.yaml", named("openapi.yaml", schema)["properties"]["orders"])["items"]
    ours = {f.encode_name for f in msgspec.structs.fields(wire_orders.BatchItem)}
    theirs = set(resolve("openapi.yaml", items)["properties"])

    assert ours - theirs <= {"fill_count", "remaining_count", "reduced_by"}
    assert {"order_id", "client_order_id", "ts_ms", "error"} <= theirs


REQUESTS = [
    (wire_requests.CreateOrderBody, "CreateOrderV2Request"),
    (wire_requests.BatchCreateBody, "BatchCreateOrdersV2Request"),
    (wire_requests.BatchCancelBody, "BatchCancelOrdersV2Request"),
    (wire_requests.AmendBody, "AmendOrderV2Request"),
    (wire_requests.DecreaseBody, "DecreaseOrderV2Request"),
    (wire_requests.CreateGroupBody, "CreateOrderGroupRequest"),
]


@pytest.mark.parametrize(("kind", "schema"), REQUESTS, ids=[name for _, name in REQUESTS])
def test_what_we_send_is_known_and_what_is_demanded_is_always_sent(
    kind: type[msgspec.Struct], schema: str
) -> None:
    theirs = named("openapi.yaml", schema)
    fields = msgspec.structs.fields(kind)

    assert {f.encode_name for f in fields} <= set(theirs["properties"])
    assert set(theirs.get("required", ())) <= {f.encode_name for f in fields if f.required}


def test_words_and_types_of_a_create_are_those_of_the_contract() -> None:
    order = NewOrder("M", 0, "c", Side.ASK, 5_000, 100, expires_ms=1_700_000_000_000, order_group_id="g")
    body = msgspec.to_builtins(order_sender._create_body(order))
    properties = named("openapi.yaml", "CreateOrderV2Request")["properties"]

    for name, value in body.items():
        schema = resolve("openapi.yaml", properties[name])
        kinds = {"string": str, "integer": int, "boolean": bool}
        if "type" in schema:
            assert isinstance(value, kinds[schema["type"]]), name
        assert value in schema.get("enum", [value]), name


@pytest.mark.parametrize(
    "endpoint",
    [AMEND, CANCEL, CANCEL_ALL, CANCEL_BATCH, CREATE, CREATE_BATCH, DECREASE, GROUP_CREATE, GROUP_TRIGGER],
)
def test_every_endpoint_that_we_budget_for_exists(endpoint: tuple[str, str]) -> None:
    method, path = endpoint
    parts = [f"{{{p[1:]}}}" if p.startswith(":") else p for p in path.split("/")]
    path = "/".join(parts).removeprefix("/trade-api/v2")

    assert method.lower() in spec("openapi.yaml")["paths"][path]


FRAMES = [
    (wire_feed.DeltaFrame, "orderbookDeltaPayload"),
    (wire_feed.SnapshotFrame, "orderbookSnapshotPayload"),
    (wire_feed.TradeFrame, "tradePayload"),
    (wire_feed.FillFrame, "fillPayload"),
    (wire_feed.UserOrderFrame, "userOrderPayload"),
    (wire_feed.MarketPositionFrame, "marketPositionPayload"),
    (wire_feed.GroupUpdateFrame, "orderGroupUpdatesPayload"),
    (wire_feed.LifecycleFrame, "marketLifecycleV2Payload"),
    (wire_feed.EventLifecycleFrame, "eventLifecyclePayload"),
    (wire_feed.EventFeeFrame, "eventFeeUpdatePayload"),
    (wire_feed.SubscribedFrame, "subscribedResponsePayload"),
    (wire_feed.UnsubscribedFrame, "unsubscribedResponsePayload"),
    (wire_feed.OkFrame, "okResponsePayload"),
    (wire_feed.ErrorFrame, "errorResponsePayload"),
]


def test_every_frame_type_that_we_know_is_in_the_table() -> None:
    assert {kind for kind, _ in FRAMES} == set(typing.get_args(wire_feed.AnyFrame))


@pytest.mark.parametrize(("kind", "schema"), FRAMES, ids=[name for _, name in FRAMES])
def test_what_we_read_of_a_frame_is_what_the_contract_promises(
    kind: type[msgspec.Struct], schema: str
) -> None:
    theirs = named("asyncapi.yaml", schema)

    assert [d for d in differences("asyncapi.yaml", kind, theirs) if is_news(d)] == []
    tag = kind.__struct_config__.tag
    assert theirs["properties"]["type"].get("const", tag) == tag


def test_what_we_say_to_the_feed_fits_the_contract() -> None:
    enum = named("asyncapi.yaml", "subscribeCommandPayload")["properties"]["params"]["properties"]["channels"]
    channels = [c for c in enum["items"]["enum"] if c in FILTERED | SEQUENCED or "fill" in c or "user" in c]
    session = FeedSession(channels, tickers_per_command=1)
    commands = session.open(["A", "B"])
    commands += _after(session, "orderbook_delta")

    seen = set()
    for command in map(msgspec.json.decode, commands):
        schema = next(
            named("asyncapi.yaml", s)
            for s in (
                "subscribeCommandPayload",
                "unsubscribeCommandPayload",
                "updateSubscriptionCommandPayload",
                "listSubscriptionsCommandPayload",
            )
            if named("asyncapi.yaml", s)["properties"]["cmd"]["const"] == command["cmd"]
        )
        seen.add(command["cmd"])
        assert set(command) <= set(schema["properties"])
        assert set(schema["required"]) <= set(command)
        params = resolve("asyncapi.yaml", schema["properties"].get("params", {}))
        assert set(command.get("params", {})) <= set(params.get("properties", {}))
        assert set(params.get("required", ())) <= set(command.get("params", {}))
    assert seen == {"subscribe", "unsubscribe", "update_subscription", "list_subscriptions"}
    assert {"fill", "user_orders", "market_positions", "order_group_updates"} - set(channels) <= {
        "market_positions"
    }


def _after(session: FeedSession, channel: str) -> list[bytes]:
    """Return the commands of a subscription, a tick, a removal and a gap."""
    answer = {"type": "subscribed", "msg": {"channel": channel, "sid": 1}}
    session.receive(msgspec.json.encode(answer), 0)
    session.tick(10**9)
    session.remove_markets(["B"])
    session.receive(msgspec.json.encode({"type": "ok", "sid": 1, "seq": 5}), 0)
    return session.commands()
