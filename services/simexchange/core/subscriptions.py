"""One connection and its sids: numbering, stamping and the words of a refusal.

kalshi-api 23.3 to 23.5: sids count from 1 per connection, one a channel; on a
sequenced channel every message of a sid takes the next number, replies and
scoped errors included. Messages are appended to the connection's ``out``, each
ending with a newline, each to be a frame of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

BOOK: Final = "orderbook_delta"
TICKER: Final = "ticker"
TRADE: Final = "trade"
FILL: Final = "fill"
ORDERS: Final = "user_orders"
POSITIONS: Final = "market_positions"
LIFECYCLE: Final = "market_lifecycle_v2"
GROUPS: Final = "order_group_updates"

SEQUENCED: Final = frozenset({BOOK, TRADE, LIFECYCLE, GROUPS})
FILTERED: Final = frozenset({BOOK, TICKER, TRADE, FILL, ORDERS, POSITIONS})
"""Channels with a market filter; on the others it is ignored."""
CHANNELS: Final = FILTERED | SEQUENCED
MARKETS_MAX: Final = 500_000

ERRORS: Final[Mapping[int, str]] = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    25: "Subscription buffer overflow",
    26: "Subscription market limit exceeded",
}

_json = msgspec.json.Encoder().encode


@lru_cache(maxsize=64)
def _head(kind: str) -> bytes:
    return b'{"type":"%b","sid":' % kind.encode()


class Subscription:
    """One sid of one connection."""

    __slots__ = (
        "account",
        "channel",
        "is_sequenced",
        "markets",
        "out",
        "seq",
        "sid",
        "skip_ticker_ack",
        "use_yes_price",
    )

    def __init__(self, session: Session, sid: int, channel: str) -> None:
        self.account = session.account
        self.out = session.out
        self.sid = sid
        self.channel = channel
        self.is_sequenced = channel in SEQUENCED
        self.markets: dict[str, None] | None = None
        """In order of subscription; None is every market."""
        self.use_yes_price = False
        self.skip_ticker_ack = False
        self.seq = 0

    def stamp(self) -> dict[str, object]:
        """Return sid and, on a sequenced channel, the next sequence number."""
        if not self.is_sequenced:
            return {"sid": self.sid}
        self.seq += 1
        return {"sid": self.sid, "seq": self.seq}

    def send(self, kind: str, body: bytes, now_ms: int, command_id: int = 0) -> None:
        """Append one message with this body."""
        own_id = b'"id":%d,' % command_id if command_id else b""
        if self.is_sequenced:
            self.seq += 1
            self.out.append(
                b'%b%d,"seq":%d,%b"sending_ts_ms":%d,"msg":%b}\n'
                % (_head(kind), self.sid, self.seq, own_id, now_ms, body)
            )
        else:
            self.out.append(
                b'%b%d,%b"sending_ts_ms":%d,"msg":%b}\n' % (_head(kind), self.sid, own_id, now_ms, body)
            )


class Session:
    """One connection; ``account`` is the member whose key signed the handshake."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.out: list[bytes] = []
        self.by_sid: dict[int, Subscription] = {}
        self.by_channel: dict[str, Subscription] = {}
        self.next_sid = 1

    def reply(self, now_ms: int, command_id: int, **fields: object) -> None:
        """Append a reply; ``id`` is left out where the command had none."""
        head: dict[str, object] = {"id": command_id} if command_id else {}
        self.out.append(_json({**head, **fields, "sending_ts_ms": now_ms}) + b"\n")

    def error(
        self, now_ms: int, command_id: int, code: int, subscription: Subscription | None = None
    ) -> None:
        """Append an error; scoped to a subscription it takes its next number."""
        scope = subscription.stamp() if subscription is not None else {}
        self.reply(now_ms, command_id, type="error", **scope, msg={"code": code, "msg": ERRORS[code]})


class CommandError(Exception):
    """A command that is answered with an error of section 23.4."""

    def __init__(self, code: int, subscription: Subscription | None = None) -> None:
        super().__init__(ERRORS[code])
        self.code = code
        self.subscription = subscription
