from __future__ import annotations

import json
import random
from typing import Any

import pytest

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from services.simexchange.core.channels import Hub
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.markets import EventSpec, MarketSpec, SeriesSpec
from services.simexchange.core.requests import CreateRequest, OrderRef, Placed
from services.simexchange.core.subscriptions import Session
from services.simexchange.core.venue import Venue

NOW_NS = 1_700_000_000 * 1_000_000_000
NOW_MS = NOW_NS // 1_000_000
A, B = "KXA-1-T1", "KXA-1-T2"


class Floor:
    """A venue with two markets, a hub, and one connection of the trading member."""

    def __init__(self) -> None:
        self.venue = Venue(chance=random.Random(1))
        for name in ("main", "other"):
            self.venue.add_account(name, cash_by_shard={0: 10**12}, now_ns=NOW_NS)
        self.venue.add_series(SeriesSpec("KXA", "A"))
        self.venue.add_event(EventSpec("KXA-1", "KXA", "A"), NOW_NS)
        grid = grid_of_steps((0, 10_000, 10))
        for market in (A, B):
            spec = MarketSpec(market, "KXA-1", "A?", grid, NOW_NS, NOW_NS + 10**13, structure="deci_cent")
            self.venue.add_market(spec, FifoBook(), NOW_NS)
        self.venue.drain()
        self.hub = Hub(self.venue)
        self.session = self.hub.open("main")
        self._id = 0

    def say(self, cmd: str, session: Session | None = None, **params: object) -> list[dict[str, Any]]:
        self._id += 1
        command: dict[str, object] = {"id": self._id, "cmd": cmd}
        if params:
            command["params"] = params
        return self.say_raw(json.dumps(command), session)

    def say_raw(self, text: str | bytes, session: Session | None = None) -> list[dict[str, Any]]:
        session = session or self.session
        self.hub.receive(session, text, NOW_MS)
        return heard(session)

    def order(
        self, side: Side, price_e4: int, qty_e2: int = 100, market: str = A, account: str = "main"
    ) -> str:
        request = CreateRequest(market, side, price_e4, qty_e2, client_order_id=f"c{price_e4}-{market}")
        placed = self.venue.create(account, request, NOW_NS)
        assert isinstance(placed, Placed), placed
        return placed.order_id

    def news(self, session: Session | None = None) -> list[dict[str, Any]]:
        self.hub.publish(self.venue.drain(), NOW_MS)
        return heard(session or self.session)


def heard(session: Session) -> list[dict[str, Any]]:
    messages = [json.loads(m) for m in session.out]
    assert all(m.endswith(b"\n") and m.count(b"\n") == 1 for m in session.out)
    session.out.clear()
    return messages


def code_of(messages: list[dict[str, Any]]) -> int:
    (message,) = messages
    assert message["type"] == "error"
    return int(message["msg"]["code"])


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_sids_count_in_channel_order_and_acks_come_before_data(floor: Floor) -> None:
    replies = floor.say("subscribe", channels=["orderbook_delta", "trade"], market_tickers=[A, B])
    assert [(m["type"], m["msg"].get("sid", m.get("sid"))) for m in replies] == [
        ("subscribed", 1),
        ("subscribed", 2),
        ("orderbook_snapshot", 1),
        ("orderbook_snapshot", 1),
    ]
    assert "seq" not in replies[0]
    assert [m["seq"] for m in replies[2:]] == [1, 2]
    assert all(m["sending_ts_ms"] == NOW_MS for m in replies)


def test_a_snapshot_ascends_and_leaves_an_empty_side_out(floor: Floor) -> None:
    floor.order(Side.BID, 4_000)
    floor.order(Side.BID, 4_010, 250)
    floor.news()
    *_, snapshot = floor.say("subscribe", channels=["orderbook_delta"], market_ticker=A)
    assert snapshot["msg"]["yes_dollars_fp"] == [["0.4000", "1.00"], ["0.4010", "2.50"]]
    assert "no_dollars_fp" not in snapshot["msg"]
    assert snapshot["msg"]["clock"] == floor.venue.markets[A].clock


@pytest.mark.parametrize(("use_yes_price", "price"), [(True, "0.6000"), (False, "0.4000")])
def test_asks_are_told_on_the_scale_that_was_asked_for(floor: Floor, use_yes_price: bool, price: str) -> None:
    floor.say("subscribe", channels=["orderbook_delta"], market_ticker=A, use_yes_price=use_yes_price)
    floor.order(Side.ASK, 6_000)
    (delta,) = floor.news()
    assert (delta["msg"]["side"], delta["msg"]["price_dollars"]) == ("no", price)
    *_, snapshot = floor.say("update_subscription", sid=1, action="get_snapshot", market_tickers=[A])
    assert snapshot["msg"]["no_dollars_fp"] == [[price, "1.00"]]


def test_sequences_have_no_hole_over_markets_replies_and_snapshots(floor: Floor) -> None:
    seen = floor.say("subscribe", channels=["orderbook_delta"], market_ticker=A)[1:]
    order_id = floor.order(Side.BID, 4_000)
    seen += floor.news()
    seen += floor.say("update_subscription", sid=1, action="add_markets", market_tickers=[B])
    floor.order(Side.BID, 4_000, market=B)
    seen += floor.news()
    seen += floor.say("update_subscription", sids=[1], action="get_snapshot", market_tickers=[A, B])
    seen += floor.say("update_subscription", sid=1, action="bogus", market_tickers=[A])
    floor.venue.cancel("main", OrderRef(order_id), NOW_NS)
    seen += floor.news()
    seen += floor.say("update_subscription", sid=1, action="delete_markets", market_tickers=[A])
    seen += floor.say("unsubscribe", sids=[1])
    assert [m["seq"] for m in seen] == list(range(1, len(seen) + 1))
    assert [m["type"] for m in seen] == [
        "orderbook_snapshot",
        "orderbook_delta",
        "ok",
        "orderbook_snapshot",
        "orderbook_delta",
        "orderbook_snapshot",
        "orderbook_snapshot",
        "error",
        "orderbook_delta",
        "ok",
        "unsubscribed",
    ]


def test_ok_lists_all_markets_after_the_update(floor: Floor) -> None:
    floor.say("subscribe", channels=["trade"], market_ticker=A)
    (reply,) = floor.say("update_subscription", sid=1, action="add_markets", market_tickers=[B, A])
    assert reply["msg"]["market_tickers"] == [A, B]
    (reply,) = floor.say("update_subscription", sid=1, action="delete_markets", market_ticker=A)
    assert reply["msg"]["market_tickers"] == [B]


def test_skip_ticker_ack_leaves_the_list_out(floor: Floor) -> None:
    floor.say("subscribe", channels=["trade"], market_ticker=A, skip_ticker_ack=True)
    (reply,) = floor.say("update_subscription", sid=1, action="add_markets", market_tickers=[B])
    assert "msg" not in reply


def test_subscribing_again_widens_the_same_sid(floor: Floor) -> None:
    floor.say("subscribe", channels=["orderbook_delta"], market_ticker=A)
    ack, snapshot = floor.say("subscribe", channels=["orderbook_delta"], market_tickers=[A, B])
    assert ack["msg"]["sid"] == 1
    assert (snapshot["msg"]["market_ticker"], snapshot["seq"]) == (B, 2)
    (listed,) = floor.say("list_subscriptions")
    assert listed["msg"] == [{"channel": "orderbook_delta", "sid": 1}]


def test_nothing_more_is_told_after_leaving_a_market_or_a_sid(floor: Floor) -> None:
    floor.say("subscribe", channels=["orderbook_delta"], market_tickers=[A, B])
    floor.say("update_subscription", sid=1, action="delete_markets", market_tickers=[A])
    floor.order(Side.BID, 4_000)
    assert floor.news() == []
    floor.say("unsubscribe", sids=[1])
    floor.order(Side.BID, 4_000, market=B)
    assert floor.news() == []


def test_own_deltas_name_the_order_to_their_owner_only(floor: Floor) -> None:
    other = floor.hub.open("other")
    for session in (floor.session, other):
        floor.say("subscribe", session, channels=["orderbook_delta"], market_ticker=A)
    floor.order(Side.BID, 4_000)
    (own,) = floor.news()
    (foreign,) = heard(other)
    assert own["msg"]["client_order_id"] == f"c4000-{A}"
    assert "client_order_id" not in foreign["msg"]
    assert own["msg"]["clock"] == foreign["msg"]["clock"]


def test_private_channels_reach_their_account_only(floor: Floor) -> None:
    other = floor.hub.open("other")
    private = ["fill", "user_orders", "market_positions", "order_group_updates"]
    for session in (floor.session, other):
        floor.say("subscribe", session, channels=private)
    floor.order(Side.BID, 4_000)
    floor.news()
    assert heard(other) == []
    floor.order(Side.ASK, 4_000, account="other")
    types = [m["type"] for m in floor.news()]
    assert sorted(set(types)) == ["fill", "market_position", "user_order"]
    fills = [m for m in heard(other) if m["type"] == "fill"]
    assert [f["msg"]["is_taker"] for f in fills] == [True]
    assert all("seq" not in f for f in fills)


def test_a_ticker_shows_the_state_once_per_round_of_events(floor: Floor) -> None:
    replies = floor.say("subscribe", channels=["ticker"], send_initial_snapshot=True)
    assert [m["type"] for m in replies] == ["subscribed", "ticker", "ticker"]
    floor.order(Side.BID, 4_000)
    floor.order(Side.BID, 4_500)
    (ticker,) = floor.news()
    assert (ticker["msg"]["yes_bid_dollars"], ticker["msg"]["yes_ask_dollars"]) == ("0.4500", "1.0000")


def test_tickers_can_be_asked_for_by_market_id(floor: Floor) -> None:
    floor.say("subscribe", channels=["ticker"], market_ids=[floor.venue.markets[B].market_id])
    floor.order(Side.BID, 4_000)
    floor.order(Side.BID, 4_000, market=B)
    assert [m["msg"]["market_ticker"] for m in floor.news()] == [B]


def test_lifecycle_goes_to_everyone_whatever_markets_were_named(floor: Floor) -> None:
    floor.say("subscribe", channels=["market_lifecycle_v2"], market_ticker=A)
    floor.venue.set_close(B, NOW_NS + 10**12, NOW_NS)
    (message,) = floor.news()
    assert message["msg"]["event_type"] == "close_date_updated"
    assert message["seq"] == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 1),
        ("[1]", 1),
        (b"\xff\xfe", 1),
        ('{"id":1,"cmd":"dance","params":{}}', 5),
        ('{"id":1}', 5),
        ('{"id":1,"cmd":["subscribe"]}', 5),
        ('{"id":-1,"cmd":"subscribe"}', 11),
        ('{"id":1,"cmd":"subscribe"}', 2),
        ('{"id":1,"cmd":"subscribe","params":[]}', 11),
        ('{"id":1,"cmd":"subscribe","params":{}}', 3),
        ('{"id":1,"cmd":"subscribe","params":{"channels":"trade"}}', 11),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["gossip"]}}', 8),
        ('{"id":1,"cmd":"subscribe","params":{"channels":[["trade"]]}}', 8),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}', 14),
        (
            '{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"market_ticker":"A","market_tickers":["A"]}}',
            11,
        ),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"market_tickers":[1]}}', 11),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["ticker"],"market_id":"no-such"}}', 11),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"use_yes_price":"yes"}}', 11),
        ('{"id":1,"cmd":"unsubscribe","params":{"sid":1}}', 4),
        ('{"id":1,"cmd":"unsubscribe","params":{"sids":[9]}}', 7),
        ('{"id":1,"cmd":"update_subscription","params":{"action":"add_markets"}}', 12),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1,2],"action":"add_markets"}}', 12),
        ('{"id":1,"cmd":"update_subscription","params":{"sid":9,"action":"add_markets"}}', 7),
    ],
)
def test_a_wrong_command_is_answered_with_its_code_and_changes_nothing(
    floor: Floor, text: str | bytes, code: int
) -> None:
    assert code_of(floor.say_raw(text)) == code
    (listed,) = floor.say("list_subscriptions")
    assert listed["msg"] == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"sid": 1, "market_ticker": B}, 15),
        ({"sid": 1, "action": "fly", "market_ticker": B}, 13),
        ({"sid": 1, "action": "add_markets"}, 14),
        ({"sid": 1, "action": "add_markets", "market_tickers": "B"}, 11),
    ],
)
def test_an_error_about_a_subscription_takes_its_next_number(
    floor: Floor, params: dict[str, Any], code: int
) -> None:
    floor.say("subscribe", channels=["orderbook_delta"], market_ticker=A)
    (error,) = floor.say("update_subscription", **params)
    assert (error["msg"]["code"], error["sid"], error["seq"]) == (code, 1, 2)


def test_a_command_without_id_is_answered_without_one(floor: Floor) -> None:
    (reply,) = floor.say_raw('{"id":0,"cmd":"list_subscriptions"}')
    assert "id" not in reply


def test_a_closed_session_is_forgotten(floor: Floor) -> None:
    floor.say("subscribe", channels=["orderbook_delta", "ticker", "fill"], market_ticker=A)
    floor.hub.close(floor.session)
    floor.order(Side.BID, 4_000)
    assert floor.news() == []


def test_a_reader_that_is_too_slow_is_told_on_every_sid(floor: Floor) -> None:
    floor.say("subscribe", channels=["trade", "fill"], market_ticker=A)
    floor.hub.overflow(floor.session, NOW_MS)
    assert [(m["sid"], m["msg"]["code"]) for m in heard(floor.session)] == [(1, 25), (2, 25)]
    assert floor.hub.sessions == set()
