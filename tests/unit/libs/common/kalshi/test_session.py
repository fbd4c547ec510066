from typing import Any

import msgspec
import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import (
    BookDelta,
    BookSnapshot,
    FeedClosed,
    FeedEvent,
    FeedHeard,
    FeedStale,
    GroupUpdate,
    Lifecycle,
    OwnFill,
    OwnOrder,
    OwnPosition,
    PublicTrade,
    VenueFill,
    VenueOrderStatus,
)
from libs.common.kalshi.session import FRAME_LENGTH_MAX, HEALS_MAX, FeedSession
from libs.common.kalshi.subscriber import COMMAND_NS_MAX, LIVENESS_NS, SNAPSHOT_NS_MAX
from libs.common.messages.market import BandV1

BOOKS = ("orderbook_delta", "trade")
PRIVATE = ("fill", "user_orders", "market_positions", "order_group_updates")
S = 1_000_000_000


def read(commands: list[bytes]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(c) for c in commands]


class Feeding:
    """A session and the small server that a test plays."""

    def __init__(self, *channels: str, use_yes_price: bool = True, per_command: int = 500) -> None:
        self.session = FeedSession(channels or BOOKS, use_yes_price, tickers_per_command=per_command)
        self.now_ns = S

    def say(self, kind: str, **fields: Any) -> list[FeedEvent]:
        return self.session.receive(msgspec.json.encode({"type": kind, **fields}), self.now_ns)

    def subscribed(self, channel: str, sid: int, number: int = 1) -> list[FeedEvent]:
        return self.say("subscribed", id=number, msg={"channel": channel, "sid": sid})

    def snapshot(
        self, market: str, seq: int, sid: int = 1, *, yes: Any = None, no: Any = None, **more: Any
    ) -> list[FeedEvent]:
        msg = {"market_ticker": market, "market_id": "u", "clock": 7}
        msg |= {} if yes is None else {"yes_dollars_fp": yes}
        msg |= {} if no is None else {"no_dollars_fp": no}
        return self.say("orderbook_snapshot", sid=sid, seq=seq, msg=msg, **more)

    def delta(
        self, market: str, seq: int, sid: int = 1, *, stamp: int | None = None, **changes: Any
    ) -> list[FeedEvent]:
        msg = {
            "market_ticker": market,
            "price_dollars": "0.9600",
            "delta_fp": "-54.00",
            "side": "yes",
            "clock": 9,
            "ts_ms": 500,
        } | changes
        more = {} if stamp is None else {"sending_ts_ms": stamp}
        return self.say("orderbook_delta", sid=sid, seq=seq, msg=msg, **more)

    def commands(self) -> list[dict[str, Any]]:
        return read(self.session.commands())

    def begin(self, *markets: str) -> None:
        """Open, subscribe, and give each market an empty snapshot without a stamp."""
        self.session.open(markets)
        self.subscribed("orderbook_delta", 1)
        self.subscribed("trade", 2)
        for seq, market in enumerate(markets, 1):
            self.snapshot(market, seq)


def kinds(events: list[FeedEvent]) -> list[type]:
    return [type(e) for e in events]


# Opening -----------------------------------------------------------------------------------------


def test_opening_subscribes_filtered_channels_with_markets_and_always_says_which_prices() -> None:
    session = FeedSession((*BOOKS, "market_lifecycle_v2"))

    commands = read(session.open(["A", "B"]))

    assert commands == [
        {"id": 1, "cmd": "subscribe", "params": {"channels": ["market_lifecycle_v2"]}},
        {
            "id": 2,
            "cmd": "subscribe",
            "params": {
                "channels": ["orderbook_delta", "trade"],
                "market_tickers": ["A", "B"],
                "use_yes_price": True,
                "skip_ticker_ack": True,
            },
        },
    ]


def test_a_book_channel_without_markets_is_not_subscribed_because_that_would_mean_all() -> None:
    assert FeedSession(BOOKS).open([]) == []


def test_long_lists_of_markets_go_out_in_pieces_once_the_subscription_is_known() -> None:
    feeding = Feeding("orderbook_delta", per_command=2)
    first = read(feeding.session.open(["A", "B", "C", "D", "E"]))
    assert first[0]["params"]["market_tickers"] == ["A", "B"]

    feeding.subscribed("orderbook_delta", 9)

    assert [
        (c["cmd"], c["params"]["sid"], c["params"]["action"], c["params"]["market_tickers"])
        for c in feeding.commands()
    ] == [
        ("update_subscription", 9, "add_markets", ["C", "D"]),
        ("update_subscription", 9, "add_markets", ["E"]),
    ]


def test_markets_added_before_the_answer_are_asked_for_after_it() -> None:
    feeding = Feeding("orderbook_delta")
    feeding.session.open(["A"])
    feeding.session.add_markets(["B"])
    assert feeding.commands() == []

    feeding.subscribed("orderbook_delta", 1)

    assert feeding.commands()[0]["params"] == {"sid": 1, "action": "add_markets", "market_tickers": ["B"]}
    assert feeding.session.markets == ("A", "B")


def test_reopening_keeps_the_markets_and_counts_from_the_start() -> None:
    feeding = Feeding()
    feeding.begin("A", "B")
    assert feeding.session.close("lost") == [FeedClosed("lost")]

    again = read(feeding.session.open())

    assert again[0]["id"] == 1
    assert again[0]["params"]["market_tickers"] == ["A", "B"]
    feeding.subscribed("orderbook_delta", 1)
    assert kinds(feeding.snapshot("A", 1)) == [BookSnapshot]


# Books -------------------------------------------------------------------------------------------


def test_a_snapshot_is_one_yes_book_with_the_best_level_first() -> None:
    feeding = Feeding("orderbook_delta")
    feeding.session.open(["A"])
    feeding.subscribed("orderbook_delta", 1)

    events = feeding.snapshot(
        "A",
        1,
        yes=[["0.0800", "300.00"], ["0.2200", "333.00"]],
        no=[["0.5400", "20.00"], ["0.5600", "146.00"]],
        sending_ts_ms=900,
    )

    assert events == [
        BookSnapshot("A", ((2_200, 33_300), (800, 30_000)), ((5_400, 2_000), (5_600, 14_600)), 7, 900),
        FeedHeard(900),
    ]


def test_without_yes_prices_a_no_bid_is_an_ask_at_one_minus_it() -> None:
    feeding = Feeding("orderbook_delta", use_yes_price=False)
    feeding.session.open(["A"])
    feeding.subscribed("orderbook_delta", 1)

    snapshot = feeding.snapshot("A", 1, no=[["0.4700", "1.00"], ["0.4800", "3.00"]])[0]
    delta = feeding.delta("A", 2, side="no", price_dollars="0.4800", delta_fp="1.00")[0]

    assert isinstance(snapshot, BookSnapshot)
    assert snapshot.asks == ((5_200, 300), (5_300, 100))
    assert isinstance(delta, BookDelta)
    assert (delta.side, delta.price_e4, delta.change_e2) == (Side.ASK, 5_200, 100)


def test_a_delta_is_a_signed_change_at_a_yes_price() -> None:
    feeding = Feeding()
    feeding.begin("A")

    assert feeding.delta("A", 2, side="no", price_dollars="0.5400", stamp=10_000) == [
        BookDelta("A", Side.ASK, 5_400, -5_400, 9, 500),
        FeedHeard(10_000),
    ]


def test_deltas_before_a_markets_snapshot_count_but_tell_nothing() -> None:
    feeding = Feeding("orderbook_delta")
    feeding.session.open(["A", "B"])
    feeding.subscribed("orderbook_delta", 1)
    feeding.snapshot("A", 1)

    assert kinds(feeding.delta("B", 2, ts_ms=None)) == []
    assert kinds(feeding.delta("A", 3, ts_ms=None)) == [BookDelta]
    assert feeding.session.faults == {"before_snapshot": 1}


def test_numbers_count_over_all_markets_and_replies_of_a_subscription() -> None:
    feeding = Feeding()
    feeding.begin("A", "B")

    assert kinds(feeding.delta("A", 3, ts_ms=None)) == [BookDelta]
    feeding.say("ok", id=99, sid=1, seq=4, msg={"market_tickers": ["A", "B"]})
    feeding.say("error", sid=1, seq=5, msg={"code": 14, "msg": "Market Ticker required"})
    feeding.say("brand_new_type", sid=1, seq=6, msg={})
    feeding.say("trade", sid=2, seq=1, msg=trade())
    assert kinds(feeding.delta("B", 7, ts_ms=None)) == [BookDelta]
    assert "gap" not in feeding.session.faults


# Losses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seq", [5, 3, 2, 0], ids=["skipped", "repeated", "back", "zero"])
def test_a_number_that_is_not_the_next_makes_every_book_of_the_subscription_stale(seq: int) -> None:
    feeding = Feeding()
    feeding.begin("A", "B")
    feeding.delta("A", 3)
    feeding.commands()

    assert feeding.delta("B", seq) == [FeedStale(("A", "B"), "gap")]

    assert [(c["cmd"], c["params"]) for c in feeding.commands()] == [("unsubscribe", {"sids": [1]})]
    assert feeding.session.faults["gap"] == 1
    assert feeding.session.failure is None


def test_after_a_gap_the_books_come_back_only_with_new_snapshots() -> None:
    feeding = Feeding()
    feeding.begin("A")
    feeding.delta("A", 9)
    number = feeding.commands()[0]["id"]

    assert feeding.delta("A", 10) == []
    assert feeding.snapshot("A", 11) == []
    assert feeding.session.faults["retired"] == 2

    feeding.say("unsubscribed", id=number, sid=1, seq=12)
    again = feeding.commands()[0]
    assert (again["cmd"], again["params"]["channels"], again["params"]["market_tickers"]) == (
        "subscribe",
        ["orderbook_delta"],
        ["A"],
    )
    feeding.subscribed("orderbook_delta", 3, again["id"])
    assert feeding.delta("A", 1, sid=3, ts_ms=None) == []
    assert kinds(feeding.snapshot("A", 2, sid=3)) == [BookSnapshot]
    assert kinds(feeding.delta("A", 3, sid=3)) == [BookDelta, FeedHeard]


def test_an_unsubscribe_that_the_venue_refuses_is_as_good_as_done() -> None:
    feeding = Feeding()
    feeding.begin("A")
    feeding.delta("A", 9)
    number = feeding.commands()[0]["id"]

    feeding.say("error", id=number, msg={"code": 7, "msg": "Unknown subscription ID"})

    assert feeding.commands()[0]["cmd"] == "subscribe"


def test_a_frame_that_cannot_be_read_shows_as_a_gap_with_the_next() -> None:
    feeding = Feeding()
    feeding.begin("A")

    assert feeding.delta("A", 2, price_dollars="abc") == []
    assert feeding.session.receive(b"{not json", S) == []
    assert feeding.delta("A", 3) == [FeedStale(("A",), "gap")]
    assert feeding.session.faults == {"malformed": 2, "gap": 1}


@pytest.mark.parametrize("changes", [{"side": "maybe"}, {"delta_fp": 5}, {"price_dollars": None}])
def test_a_known_type_with_a_broken_field_is_malformed_and_takes_no_number(changes: dict[str, Any]) -> None:
    feeding = Feeding()
    feeding.begin("A")

    assert feeding.delta("A", 2, **changes) == []
    assert feeding.session.faults == {"malformed": 1}
    assert kinds(feeding.delta("A", 2, ts_ms=None)) == [BookDelta]


def test_oversized_and_foreign_frames_change_nothing() -> None:
    feeding = Feeding()
    feeding.begin("A")

    assert feeding.session.receive(b" " * (FRAME_LENGTH_MAX + 1), S) == []
    assert feeding.delta("A", 77, sid=55) == []
    assert feeding.say("novelty") == []
    assert feeding.session.receive(b"[]", S) == []
    assert feeding.session.receive(b"\xff\xfe", S) == []
    assert feeding.session.faults == {"oversize": 1, "foreign": 2, "malformed": 2}
    assert kinds(feeding.delta("A", 2, ts_ms=None)) == [BookDelta]


@pytest.mark.parametrize("code", [10, 25])
def test_a_terminal_error_makes_books_stale_and_subscribes_again_at_once(code: int) -> None:
    feeding = Feeding()
    feeding.begin("A")
    feeding.commands()

    events = feeding.say("error", sid=1, seq=2, msg={"code": code, "msg": "dead"})

    assert events == [FeedStale(("A",), f"error {code}: dead")]
    assert [c["cmd"] for c in feeding.commands()] == ["subscribe"]


def test_a_subscription_ended_by_the_venue_itself_is_made_anew() -> None:
    feeding = Feeding()
    feeding.begin("A")

    assert feeding.say("unsubscribed", sid=1, seq=2) == [FeedStale(("A",), "unsubscribed")]
    assert feeding.commands()[0]["cmd"] == "subscribe"


def test_losing_again_and_again_ends_the_session_instead_of_hammering() -> None:
    feeding = Feeding()
    feeding.begin("A")
    for n in range(HEALS_MAX + 1):
        assert feeding.session.failure is None
        feeding.say("error", sid=n * 10 + 1, seq=2 if n == 0 else 1, msg={"code": 25})
        feeding.subscribed("orderbook_delta", (n + 1) * 10 + 1, 0)

    assert feeding.session.failure == "too_many_losses"


def test_a_lost_trade_is_counted_and_the_next_ones_are_told() -> None:
    feeding = Feeding()
    feeding.begin("A")

    assert kinds(feeding.say("trade", sid=2, seq=5, msg=trade())) == [PublicTrade]
    assert kinds(feeding.say("trade", sid=2, seq=6, msg=trade())) == [PublicTrade]
    assert feeding.session.faults == {"gap": 1}
    assert feeding.session.failure is None


def test_a_loss_that_only_the_consumer_can_repair_ends_the_session() -> None:
    feeding = Feeding(*PRIVATE)
    feeding.session.open()
    feeding.subscribed("order_group_updates", 4)

    feeding.say("order_group_updates", sid=4, seq=3, msg={"event_type": "triggered", "order_group_id": "g"})

    assert feeding.session.failure == "gap on order_group_updates"


def test_a_terminal_error_on_a_private_channel_ends_the_session() -> None:
    feeding = Feeding(*PRIVATE)
    feeding.session.open()
    feeding.subscribed("fill", 1)

    feeding.say("error", sid=1, msg={"code": 25, "msg": "overflow"})

    assert feeding.session.failure == "error 25: overflow"


def test_a_refused_subscribe_ends_the_session() -> None:
    feeding = Feeding()
    feeding.session.open(["A"])

    feeding.say("error", id=1, msg={"code": 9, "msg": "Authentication required"})

    assert feeding.session.failure == "error 9: Authentication required"


def test_markets_that_the_venue_refuses_to_add_cost_no_others() -> None:
    feeding = Feeding("orderbook_delta")
    feeding.session.open(["A"])
    feeding.subscribed("orderbook_delta", 1)
    feeding.snapshot("A", 1)
    feeding.session.add_markets(["BAD"])
    number = feeding.commands()[0]["id"]

    assert feeding.say("error", id=number, msg={"code": 26, "msg": "limit"}) == [
        FeedStale(("BAD",), "error 26: limit")
    ]
    assert feeding.session.markets == ("A",)
    assert kinds(feeding.delta("A", 2, ts_ms=None)) == [BookDelta]


# Markets come and go -----------------------------------------------------------------------------


def test_a_removed_market_is_taken_back_and_its_late_frames_are_passed_over() -> None:
    feeding = Feeding("orderbook_delta")
    feeding.session.open(["A", "B"])
    feeding.subscribed("orderbook_delta", 1)
    feeding.snapshot("A", 1)
    feeding.snapshot("B", 2)

    feeding.session.remove_markets(["B"])

    assert feeding.commands()[0]["params"] == {"sid": 1, "action": "delete_markets", "market_tickers": ["B"]}
    assert feeding.delta("B", 3, ts_ms=None) == []
    assert feeding.snapshot("B", 4) == []
    assert kinds(feeding.delta("A", 5, ts_ms=None)) == [BookDelta]


def test_removing_the_last_market_unsubscribes_because_an_empty_list_would_mean_all() -> None:
    feeding = Feeding("trade")
    feeding.session.open(["A"])
    feeding.subscribed("trade", 1)
    feeding.session.remove_markets(["A"])
    command = feeding.commands()[0]
    assert command["cmd"] == "unsubscribe"
    feeding.session.add_markets(["B"])
    assert feeding.commands() == []

    feeding.say("unsubscribed", id=command["id"], sid=1)

    assert feeding.commands()[0]["params"]["market_tickers"] == ["B"]


# Time --------------------------------------------------------------------------------------------


def test_the_venues_time_moves_forward_only_and_in_steps() -> None:
    feeding = Feeding()
    feeding.begin("A")

    stamps = [1_000, 1_010, 1_030, 900, 1_050]
    told = [feeding.delta("A", seq, stamp=stamp)[1:] for seq, stamp in enumerate(stamps, 2)]

    assert told == [[FeedHeard(1_000)], [], [FeedHeard(1_030)], [], [FeedHeard(1_050)]]
    assert feeding.session.heard_ms == 1_050


def test_the_list_of_subscriptions_is_asked_for_every_second_and_its_answer_is_a_sign_of_life() -> None:
    feeding = Feeding()
    feeding.begin("A")
    feeding.session.tick(10 * S)
    asked = feeding.commands()
    assert [c["cmd"] for c in asked] == ["list_subscriptions"]

    feeding.session.tick(10 * S + LIVENESS_NS)
    assert feeding.commands() == []

    events = feeding.say("ok", id=asked[0]["id"], sending_ts_ms=5_000, msg=[{"channel": "trade", "sid": 2}])
    assert events == [FeedHeard(5_000)]
    feeding.session.tick(10 * S + 2 * LIVENESS_NS)
    assert [c["cmd"] for c in feeding.commands()] == ["list_subscriptions"]


def test_a_command_that_is_never_answered_ends_the_session() -> None:
    feeding = Feeding()
    feeding.session.open(["A"])
    feeding.session.tick(10 * S)

    feeding.session.tick(10 * S + COMMAND_NS_MAX + 1)

    assert feeding.session.failure == "subscribe_unanswered"


def test_a_snapshot_that_does_not_come_is_asked_for() -> None:
    feeding = Feeding("orderbook_delta")
    feeding.session.open(["A", "B"])
    feeding.subscribed("orderbook_delta", 1)
    feeding.snapshot("A", 1)
    feeding.session.tick(10 * S)
    feeding.commands()

    feeding.session.tick(10 * S + SNAPSHOT_NS_MAX + 1)

    asked = [c for c in feeding.commands() if c["cmd"] == "update_subscription"]
    assert asked[0]["params"] == {"sid": 1, "action": "get_snapshot", "market_tickers": ["B"]}
    assert kinds(feeding.snapshot("B", 2, id=asked[0]["id"])) == [BookSnapshot]


# Other channels ----------------------------------------------------------------------------------


def trade(**changes: Any) -> dict[str, Any]:
    return {
        "trade_id": "t1",
        "market_ticker": "A",
        "yes_price_dollars": "0.3600",
        "no_price_dollars": "0.6400",
        "count_fp": "136.00",
        "taker_side": "no",
        "taker_outcome_side": "no",
        "taker_book_side": "ask",
        "ts": 1_669_149_841,
        "ts_ms": 1_669_149_841_000,
    } | changes


def test_a_public_trade_tells_who_crossed() -> None:
    feeding = Feeding()
    feeding.begin("A")

    assert feeding.say("trade", sid=2, seq=1, msg=trade()) == [
        PublicTrade("A", "t1", 3_600, 13_600, Side.ASK, 1_669_149_841_000)
    ]


def test_own_fills_orders_positions_and_groups_come_in_our_units() -> None:
    feeding = Feeding(*PRIVATE)
    feeding.session.open()
    for sid, channel in enumerate(PRIVATE, 1):
        feeding.subscribed(channel, sid)

    fill = {
        "trade_id": "t",
        "order_id": "o",
        "client_order_id": "c",
        "market_ticker": "A",
        "exchange_index": 2,
        "is_taker": True,
        "side": "yes",
        "book_side": "bid",
        "yes_price_dollars": "0.7500",
        "count_fp": "278.00",
        "fee_cost": "0.010000",
        "post_position_fp": "-500.00",
        "ts_ms": 1_000,
    }
    assert feeding.say("fill", sid=1, msg=fill) == [
        OwnFill(VenueFill("t", "o", "c", "A", 2, Side.BID, 7_500, 27_800, 10_000, True, 1_000, -50_000))
    ]

    order = {
        "order_id": "o",
        "ticker": "A",
        "status": "a_new_word",
        "outcome_side": "no",
        "yes_price_dollars": "0.3500",
        "fill_count_fp": "0.00",
        "remaining_count_fp": "10.00",
        "initial_count_fp": "10.00",
        "client_order_id": None,
        "last_update_reason": "SelfTradeCancel",
        "expiration_ts_ms": 1_733_050_800_000,
        "created_ts_ms": 1_733_047_200_000,
    }
    told = feeding.say("user_order", sid=2, msg=order)[0]
    assert isinstance(told, OwnOrder)
    assert (told.order.side, told.order.status) == (Side.ASK, VenueOrderStatus.UNKNOWN)
    assert (told.order.client_order_id, told.order.reason) == ("", "SelfTradeCancel")
    assert (told.order.expires_ms, told.order.updated_ms) == (1_733_050_800_000, 1_733_047_200_000)

    position = {
        "market_ticker": "A",
        "position_fp": "-3.00",
        "position_cost_dollars": "50.0000",
        "realized_pnl_dollars": "-1.5",
        "fees_paid_dollars": "1.0000",
    }
    told = feeding.say("market_position", sid=3, msg=position)[0]
    assert isinstance(told, OwnPosition)
    assert (told.position.qty_e2, told.position.exposure_e6, told.position.realised_e6) == (
        -300,
        50_000_000,
        -1_500_000,
    )

    update = {
        "event_type": "limit_updated",
        "order_group_id": "g",
        "contracts_limit_fp": "150.00",
        "ts_ms": 5,
    }
    assert feeding.say("order_group_updates", sid=4, seq=1, msg=update) == [
        GroupUpdate("g", "limit_updated", 15_000, 5)
    ]


def test_a_markets_life_comes_with_what_changed() -> None:
    feeding = Feeding("market_lifecycle_v2")
    feeding.session.open()
    feeding.subscribed("market_lifecycle_v2", 1)
    bands = [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]

    created = {
        "event_type": "created",
        "market_ticker": "M",
        "exchange_index": 2,
        "open_ts": 1,
        "close_ts": 1_694_721_600,
        "price_ranges": bands,
        "additional_metadata": {"event_ticker": "E", "floor_strike": 4_487},
    }
    told = [
        feeding.say("market_lifecycle_v2", sid=1, seq=1, msg=created),
        feeding.say(
            "market_lifecycle_v2",
            sid=1,
            seq=2,
            msg={
                "event_type": "determined",
                "market_ticker": "M",
                "result": "yes",
                "settlement_value": "1.0000",
            },
        ),
        feeding.say("event_lifecycle", sid=1, seq=3, msg={"event_ticker": "E", "exchange_index": 2}),
        feeding.say(
            "event_fee_update",
            sid=1,
            seq=4,
            msg={"event_ticker": "E", "fee_type_override": "quadratic", "fee_multiplier_override": 0.5},
        ),
        feeding.say(
            "market_lifecycle_v2", sid=1, seq=5, msg={"event_type": "a_new_word", "market_ticker": "M"}
        ),
    ]

    assert [events[0] for events in told] == [
        Lifecycle(
            "created",
            "M",
            close_ms=1_694_721_600_000,
            shard=2,
            event="E",
            grid=(BandV1(start_e4=0, end_e4=10_000, step_e4=10),),
        ),
        Lifecycle("determined", "M", result="yes", settlement_value_e4=10_000),
        Lifecycle("event_lifecycle", "", event="E", shard=2),
        Lifecycle("event_fee_update", "", event="E", fee_type="quadratic", fee_multiplier_e4=5_000),
        Lifecycle("a_new_word", "M"),
    ]
