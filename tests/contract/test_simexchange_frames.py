"""Every kind of message of the feed against the venue's own AsyncAPI file and its recordings."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.support.exchange import Message, RunningExchange, running_exchange
from tests.support.recording import CLOSE_MS, MARKET, busy_lines, trade, write_recording
from tests.support.shared import requires_shared, requires_spec, shared_dir, spec_dir

PAYLOADS = {
    "subscribed": "subscribedResponsePayload",
    "unsubscribed": "unsubscribedResponsePayload",
    "error": "errorResponsePayload",
    "orderbook_snapshot": "orderbookSnapshotPayload",
    "orderbook_delta": "orderbookDeltaPayload",
    "ticker": "tickerPayload",
    "trade": "tradePayload",
    "fill": "fillPayload",
    "user_order": "userOrderPayload",
    "market_position": "marketPositionPayload",
    "market_lifecycle_v2": "marketLifecycleV2Payload",
    "event_fee_update": "eventFeeUpdatePayload",
    "order_group_updates": "orderGroupUpdatesPayload",
}


@lru_cache(maxsize=1)
def spec() -> Any:
    return yaml.safe_load((spec_dir() / "asyncapi.yaml").read_text())


def validate(message: Message) -> None:
    """Check one message; a list of subscriptions and an ``ok`` share their type."""
    name = PAYLOADS.get(message["type"])
    if message["type"] == "ok":
        listed = isinstance(message.get("msg"), list)
        name = "listSubscriptionsResponsePayload" if listed else "okResponsePayload"
    assert name is not None, f"a known type, was {message['type']}"
    schema = {"$ref": f"#/components/schemas/{name}", "components": spec()["components"]}
    errors = sorted(Draft202012Validator(schema).iter_errors(message), key=str)
    assert not errors, f"{message}: {errors[0].message}"


async def everything(exchange: RunningExchange) -> list[Message]:
    """Provoke at least one message of every kind and return them all."""
    async with exchange.feed() as feed:
        channels = ["orderbook_delta", "ticker", "trade", "fill", "user_orders", "market_positions"]
        channels += ["market_lifecycle_v2", "order_group_updates"]
        await feed.say(
            "subscribe",
            channels=channels,
            market_tickers=[MARKET],
            use_yes_price=True,
            send_initial_snapshot=True,
        )
        await feed.until("ticker")
        group = await exchange.request(
            "POST", "/portfolio/order_groups/create", {"contracts_limit_fp": "150.00"}
        )
        group_id = group.json()["order_group_id"]
        await exchange.order(MARKET, "bid", "0.4600", client_order_id="c-1", order_group_id=group_id)
        await exchange.order(MARKET, "bid", "0.6000", "2.00")
        await feed.until("market_position")
        await exchange.request("PUT", f"/portfolio/order_groups/{group_id}/trigger", {})
        await feed.until("order_group_updates", event_type="triggered")
        await exchange.sim("switch", {"action": "fee", "event": "KXT-1", "fee_type": "quadratic"})
        await exchange.sim(
            "switch",
            {"action": "grid", "market": MARKET, "structure": "deci_cent", "bands": [[0, 10_000, 10]]},
        )
        await exchange.sim("switch", {"action": "deactivate", "market": MARKET})
        await exchange.sim("switch", {"action": "activate", "market": MARKET})
        await feed.say("update_subscription", 2, sid=1, action="get_snapshot", market_tickers=[MARKET])
        await feed.say("update_subscription", 3, sid=1, action="add_markets", market_tickers=["OTHER"])
        await feed.say("update_subscription", 4, sid=1, action="fly", market_tickers=["OTHER"])
        await feed.say("list_subscriptions", 5)
        await feed.say("unsubscribe", 6, sids=[1, 2])
        await exchange.sim("switch", {"action": "close", "market": MARKET, "seconds": 0})
        await feed.until("market_lifecycle_v2", 10, event_type="settled")
        return feed.heard


@requires_spec
async def test_every_message_is_what_the_asyncapi_file_says(tmp_path: Path) -> None:
    lines = [*busy_lines(0), trade("0.4000", "1.00", "no", CLOSE_MS - 1_500)]
    folder = write_recording(tmp_path / "tape", lines)
    async with running_exchange(tmp_path, tape=str(folder)) as exchange:
        heard = await everything(exchange)
    for message in heard:
        validate(message)
    assert {m["type"] for m in heard} == {*PAYLOADS, "ok"}


@requires_shared
@pytest.mark.parametrize("name", ["ws__orderbook_trade_yes", "ws__orderbook_trade_noleg"])
async def test_messages_have_the_keys_of_those_recorded_on_the_demo_exchange(
    tmp_path: Path, name: str
) -> None:
    """The recordings are older than ``clock``, ``sending_ts_ms`` and the echo of subaccounts."""
    added = {"clock", "sending_ts_ms", "client_order_id", "subaccount"}
    folder = shared_dir() / "data/kalshi-demo-recorded"
    texts = (folder / f"{name}.jsonl").read_text().split("\n")
    recorded = [json.loads(text) for text in texts if text]
    command = json.loads((folder / f"{name}.meta.json").read_text())["subscribe_cmd"]
    tape = write_recording(tmp_path / "tape", busy_lines(0))
    async with running_exchange(tmp_path, tape=str(tape)) as exchange, exchange.feed() as feed:
        params = {**command["params"], "market_tickers": [MARKET]}
        await feed.say(command["cmd"], command["id"], **params)
        await feed.until("orderbook_snapshot")
        await exchange.order(MARKET, "ask", "0.9000")
        await feed.until("orderbook_delta")
    assert [m["type"] for m in feed.heard] == [m["type"] for m in recorded[:4]]
    for ours, theirs in zip(feed.heard, recorded, strict=False):
        assert set(ours) - added == set(theirs)
        assert set(ours["msg"]) - added == set(theirs["msg"])
    assert feed.heard[3]["msg"]["price_dollars"] == ("0.9000" if "yes" in name.split("_") else "0.1000")
