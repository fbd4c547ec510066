"""Whatever the wire does to the frames, the books told are books the venue had."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.side import Side
from libs.common.domain.units import format_price, format_qty
from libs.common.kalshi.model import BookDelta, BookSnapshot, FeedStale
from libs.common.kalshi.session import FeedSession

MARKETS = ("A", "B", "C")
Levels = dict[tuple[str, int], int]


class Venue:
    """A server with true books, one subscription, and a count."""

    def __init__(self) -> None:
        self.books: dict[str, Levels] = {m: {} for m in MARKETS}
        self.sid = 0
        self.seq = 0

    def frame(self, kind: str, msg: dict[str, Any]) -> bytes:
        self.seq += 1
        return msgspec.json.encode({"type": kind, "sid": self.sid, "seq": self.seq, "msg": msg})

    def subscribe(self, number: int) -> list[bytes]:
        self.sid += 1
        self.seq = 0
        ack = {"type": "subscribed", "id": number, "msg": {"channel": "orderbook_delta", "sid": self.sid}}
        return [msgspec.json.encode(ack), *(self.snapshot(m) for m in MARKETS)]

    def snapshot(self, market: str) -> bytes:
        def side(name: str) -> list[list[str]]:
            book = sorted((p, q) for (s, p), q in self.books[market].items() if s == name)
            return [[format_price(p), format_qty(q)] for p, q in book]

        msg = {"market_ticker": market, "yes_dollars_fp": side("yes"), "no_dollars_fp": side("no")}
        return self.frame("orderbook_snapshot", msg)

    def change(self, market: str, side: str, price: int, wish: int) -> bytes:
        book = self.books[market]
        change = max(wish, -book.get((side, price), 0))
        book[side, price] = book.get((side, price), 0) + change
        if not book[side, price]:
            del book[side, price]
        msg = {
            "market_ticker": market,
            "side": side,
            "price_dollars": format_price(price),
            "delta_fp": format_qty(change),
        }
        return self.frame("orderbook_delta", msg)


class Reader:
    """What a consumer builds from the events; a stale book is thrown away."""

    def __init__(self) -> None:
        self.books: dict[str, Levels] = {}

    def take(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, FeedStale):
                for market in event.markets:
                    self.books.pop(market, None)
            elif isinstance(event, BookSnapshot):
                bids = {("yes", p): q for p, q in event.bids}
                self.books[event.market] = bids | {("no", p): q for p, q in event.asks}
            elif isinstance(event, BookDelta):
                key = ("yes" if event.side is Side.BID else "no", event.price_e4)
                book = self.books[event.market]
                book[key] = book.get(key, 0) + event.change_e2
                assert book[key] >= 0
                if not book[key]:
                    del book[key]


CHANGES = st.tuples(
    st.sampled_from(MARKETS), st.sampled_from(["yes", "no"]), st.integers(1, 5), st.integers(-300, 300)
)
FATES = st.sampled_from(["arrives"] * 8 + ["lost", "twice", "garbled", "swapped"])


@given(st.lists(st.tuples(CHANGES, FATES), max_size=80))
def test_books_are_the_venues_or_stale_whatever_is_lost_doubled_garbled_or_swapped(
    steps: list[tuple[tuple[str, str, int, int], str]],
) -> None:
    venue, reader, session = Venue(), Reader(), FeedSession(("orderbook_delta",))
    past: dict[str, list[Levels]] = {m: [{}] for m in MARKETS}
    held: list[bytes] = []

    def deliver(frame: bytes) -> None:
        reader.take(session.receive(frame, 0))
        # The venue answers commands at once, and its answers arrive.
        for command in map(msgspec.json.decode, session.commands()):
            if command["cmd"] == "unsubscribe":
                gone = {"type": "unsubscribed", "id": command["id"], "sid": command["params"]["sids"][0]}
                deliver(msgspec.json.encode(gone))
            elif command["cmd"] == "subscribe":
                for answer in venue.subscribe(command["id"]):
                    deliver(answer)

    session.open(MARKETS)
    for answer in venue.subscribe(1):
        deliver(answer)
    for (market, side, price, wish), fate in steps:
        frame = venue.change(market, side, price * 1_000, wish)
        past[market].append(dict(venue.books[market]))
        if fate == "swapped":
            held.append(frame)
            continue
        if fate != "lost":
            deliver(b'{"type":"orderbook_delta",' if fate == "garbled" else frame)
        if fate == "twice":
            deliver(frame)
        while held:
            deliver(held.pop())
        for name, book in reader.books.items():
            assert book in past[name]
    if session.failure is None:
        # One more frame shows any loss that is still unseen; then everything is exact again.
        deliver(venue.change("A", "yes", 9_000, 100))
        assert reader.books == {m: venue.books[m] for m in MARKETS} or session.failure is not None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_the_session_raise(frame: bytes) -> None:
    session = FeedSession(("orderbook_delta", "trade", "fill"))
    session.open(MARKETS)

    assert session.receive(frame, 0) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TYPES = st.sampled_from(
    [
        "orderbook_delta",
        "orderbook_snapshot",
        "trade",
        "fill",
        "user_order",
        "ok",
        "error",
        "subscribed",
        "new",
    ]
)


@given(
    TYPES, st.dictionaries(st.sampled_from(["sid", "seq", "id", "msg", "sending_ts_ms"]), JSON, max_size=5)
)
def test_no_frame_of_any_shape_makes_the_session_raise(kind: str, fields: dict[str, Any]) -> None:
    session = FeedSession(("orderbook_delta", "trade", "fill"))
    session.open(MARKETS)
    for sid, channel in enumerate(("orderbook_delta", "trade", "fill"), 1):
        session.receive(
            msgspec.json.encode({"type": "subscribed", "msg": {"channel": channel, "sid": sid}}), 0
        )

    session.receive(msgspec.json.encode({"type": kind, "sid": 1, **fields}), 0)
