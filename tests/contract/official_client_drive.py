"""Drive a venue with the official client; run by its own Python, in its own environment.

Usage: official_client_drive.py REST_URL KEY_ID KEY_FILE MARKET OTHER_MARKET

OTHER_MARKET lives on another shard. Every call is answered by a parsed model of
the client, or this script fails. Prints one JSON object: what was called, and
what the end state is, for the test to compare with the venue's own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from kalshi_python_async import Configuration, KalshiClient
from kalshi_python_async.exceptions import ApiException

CALLED: list[str] = []


class Client:
    """The official client, with every call noted."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        CALLED.append(name)
        return getattr(self._inner, name)


def new_order(market: str, **changes: object) -> dict[str, object]:
    """Return the keywords of a create."""
    facts: dict[str, object] = {
        "ticker": market,
        "client_order_id": str(uuid.uuid4()),
        "side": "bid",
        "count": "5.00",
        "price": "0.1000",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
    return facts | changes


async def refusal(call: Awaitable[object]) -> int:
    """Return the status that the call is refused with."""
    try:
        await call
    except ApiException as e:
        return int(e.status)
    raise AssertionError("a refusal, was an answer")


async def read_public(client: Client, market: str) -> None:
    """Read everything that needs no account."""
    assert (await client.get_exchange_status()).trading_active
    await client.get_exchange_schedule()
    await client.get_user_data_timestamp()
    await client.get_series_fee_changes()
    await client.get_event_fee_changes()
    await client.get_account_endpoint_costs()
    one = (await client.get_market(market)).market
    assert one.ticker == market
    assert [found.ticker for found in (await client.get_markets(tickers=market)).markets] == [market]
    event = await client.get_event(one.event_ticker, with_nested_markets=True)
    assert event.event.markets[0].ticker == market
    series = (await client.get_series(event.event.series_ticker)).series
    assert series.fee_type == "quadratic"
    await client.get_series_list()
    assert (await client.get_events(status="open")).events
    await client.get_event_metadata(one.event_ticker)
    book = (await client.get_market_orderbook(market)).orderbook_fp
    assert book.yes_dollars[-1][0] == "0.4700"
    assert (await client.get_market_orderbooks([market])).orderbooks[0].ticker == market
    await client.get_trades(ticker=market)


async def trade(client: Client, market: str, other: str) -> None:
    """Create, amend, decrease, cancel, on both shards."""
    placed = await client.create_order_v2(**new_order(market))
    assert placed.remaining_count == "5.00"
    shown = (await client.get_order(placed.order_id)).order
    assert shown.status == "resting"
    assert (await client.get_order_queue_position(placed.order_id)).queue_position_fp == "0.00"
    rows = (await client.get_order_queue_positions(market_tickers=market)).queue_positions
    assert [row.order_id for row in rows] == [placed.order_id]
    amended = await client.amend_order_v2(
        placed.order_id, ticker=market, side="bid", price="0.1200", count="6.00"
    )
    assert amended.remaining_count == "6.00"
    decreased = await client.decrease_order_v2(placed.order_id, reduce_by="2.00")
    assert decreased.remaining_count == "4.00"
    assert (await client.cancel_order_v2(placed.order_id)).reduced_by == "4.00"
    taken = await client.create_order_v2(
        **new_order(market, count="1.00", price="0.9900", time_in_force="immediate_or_cancel")
    )
    assert (taken.fill_count, taken.average_fill_price) == ("1.00", "0.5200")
    away = await client.create_order_v2(**new_order(other, exchange_index=2))
    cancelled = await client.cancel_order_v2(away.order_id, exchange_index=2)
    assert cancelled.reduced_by == "5.00"
    assert await refusal(client.cancel_order_v2(away.order_id, exchange_index=2)) == 404


async def batch(client: Client, market: str, other: str) -> None:
    """Create and cancel in batches, one item of which is refused."""
    crossing = new_order(market, price="0.9900", post_only=True)
    made = await client.batch_create_orders_v2(orders=[new_order(market), new_order(other), crossing])
    errors = [item.error for item in made.orders]
    assert errors[:2] == [None, None], errors
    assert errors[2] is not None
    ids = [(made.orders[0].order_id, market), (made.orders[1].order_id, other)]
    orders = [{"order_id": order_id, "market_ticker": ticker} for order_id, ticker in ids]
    done = await client.batch_cancel_orders_v2(orders=orders)
    assert [item.reduced_by for item in done.orders] == ["5.00", "5.00"]


async def group(client: Client, market: str) -> None:
    """Limit, trigger, reset and delete an order group."""
    made = await client.create_order_group(contracts_limit_fp="50.00")
    group_id = made.order_group_id
    placed = await client.create_order_v2(**new_order(market, order_group_id=group_id))
    assert (await client.get_order_group(group_id)).orders == [placed.order_id]
    await client.update_order_group_limit(group_id, contracts_limit=20)
    await client.trigger_order_group(group_id)
    assert (await client.get_order(placed.order_id)).order.status == "canceled"
    assert await refusal(client.create_order_v2(**new_order(market, order_group_id=group_id))) == 400
    await client.reset_order_group(group_id)
    await client.create_order_v2(**new_order(market, order_group_id=group_id))
    assert [found.id for found in (await client.get_order_groups()).order_groups] == [group_id]
    await client.delete_order_group(group_id)
    assert (await client.get_order_groups()).order_groups == []


async def read_account(client: Client, market: str) -> dict[str, object]:
    """Read everything of the account and return its end state."""
    await client.create_order_v2(**new_order(market))
    assert (await client.get_portfolio_resting_order_total_value()).total_resting_order_value == 50
    await client.cancel_all_orders()
    assert (await client.get_orders(status="resting")).orders == []
    first = await client.get_orders(limit=2)
    second = await client.get_orders(limit=2, cursor=first.cursor)
    assert first.orders[1].order_id != second.orders[0].order_id
    positions = (await client.get_positions()).market_positions
    fills = (await client.get_fills()).fills
    settlements = (await client.get_settlements()).settlements
    moved = await client.intra_exchange_instance_transfer(
        source="event_contract",
        destination="event_contract",
        amount=12_345,
        source_exchange_shard=0,
        destination_exchange_shard=3,
    )
    listed = (await client.get_intra_exchange_instance_transfers(limit=10)).transfers
    assert [(one.transfer_id, one.amount) for one in listed] == [(moved.transfer_id, "1.2345")]
    one = (await client.get_intra_exchange_instance_transfer(moved.transfer_id)).transfer
    assert (one.source_exchange_shard, one.destination_exchange_shard, one.status) == (0, 3, "pending")
    deposits = (await client.get_deposits()).deposits
    withdrawals = (await client.get_withdrawals()).withdrawals
    assert [(one.amount_cents, one.fee_cents, one.status) for one in deposits] == [(700, 0, "applied")]
    assert [(one.amount_cents, one.fee_cents, one.status) for one in withdrawals] == [(300, 25, "applied")]
    balance = await client.get_balance()
    assert [key.scopes for key in (await client.get_api_keys()).api_keys] == [["read", "write"]]
    limits = await client.get_account_api_limits()
    return {
        "tier": limits.usage_tier,
        "balance_dollars": balance.balance_dollars,
        "positions": {position.ticker: position.position_fp for position in positions},
        "fills": [[fill.yes_price_dollars, fill.count_fp, fill.fee_cost] for fill in fills],
        "settlements": len(settlements),
    }


async def main() -> None:
    """Do all of it in order."""
    url, key_id, key_file, market, other = sys.argv[1:6]
    configuration = Configuration(host=url)
    configuration.api_key_id = key_id
    configuration.private_key_pem = await asyncio.to_thread(Path(key_file).read_text, "ascii")
    async with KalshiClient(configuration) as inner:
        client = Client(inner)
        await read_public(client, market)
        await trade(client, market, other)
        await batch(client, market, other)
        await group(client, market)
        state = await read_account(client, market)
    sys.stdout.write(json.dumps({"called": sorted(set(CALLED)), **state}))


if __name__ == "__main__":
    asyncio.run(main())
