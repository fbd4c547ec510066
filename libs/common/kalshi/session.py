"""One WebSocket session with the venue, without the socket: frames in, events and commands out.

The session subscribes, counts, notices loss and heals. It is deterministic:
equal frames at equal times give equal events and equal commands.

Rules of the file:

1. The number of every frame on a sequenced subscription is checked, replies and
   unknown types included. A number that is not the next: the book channel's
   markets are stale, the subscription is dropped and made anew. Other channels
   that cannot heal end the session (`failure`), and the shell reconnects.
2. Content is read before the number is taken. A frame whose content cannot be
   read therefore shows as a gap with the next frame, by itself.
3. Deltas count only after their market's snapshot on this sid.
4. `FeedHeard` carries the venue's own time and only ever moves forward.
5. A command unanswered for too long, or healing without end, ends the session.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4
from libs.common.kalshi.feed_events import life_of, private_of, snapshot_of, trade_of
from libs.common.kalshi.model import BookDelta, FeedClosed, FeedEvent, FeedHeard, FeedStale, FeedSubscribed
from libs.common.kalshi.subscriber import Pending, Subscriber
from libs.common.kalshi.subscription import HEALING, ORDERBOOK, Subscription
from libs.common.kalshi.wire_feed import (
    ENVELOPE_DECODER,
    FRAME_DECODER,
    FRAME_TYPES,
    DeltaFrame,
    Envelope,
    ErrorFrame,
    EventFeeFrame,
    EventLifecycleFrame,
    LifecycleFrame,
    LifeFrame,
    OkFrame,
    OtherFrame,
    PrivateFrame,
    SnapshotFrame,
    SubscribedFrame,
    TradeFrame,
    UnsubscribedFrame,
)
from libs.common.kalshi.wire_text import MalformedWire, price_e4, qty_e2

FRAME_LENGTH_MAX: Final = 8 * 1024 * 1024
TICKERS_PER_COMMAND_MAX: Final = 500
HEARD_STEP_MS: Final = 20
"""`FeedHeard` is sent in steps of at least this, so that a burst is not told twice."""
HEALS_MAX: Final = 8
HEALS_WITHIN_NS: Final = 10_000_000_000

_TERMINAL: Final = frozenset({10, 25})
_decode = FRAME_DECODER.decode


class FeedSession:
    """What is subscribed on one connection, and what was heard.

    Args:
        channels: Names of the venue's channels, subscribed in this order.
        use_yes_price: Sent with every subscription; False only for recordings made without it.
        tickers_per_command: Bound of one command's list of markets.
    """

    def __init__(
        self,
        channels: Sequence[str],
        use_yes_price: bool = True,  # noqa: FBT001, FBT002 - the venue's own flag, agreed between the parts
        *,
        tickers_per_command: int = TICKERS_PER_COMMAND_MAX,
    ) -> None:
        assert channels, "a session without channels"
        self._is_yes_price = use_yes_price
        self._desk = Subscriber(
            channels, use_yes_price=use_yes_price, tickers_per_command=tickers_per_command
        )
        self._by_sid = self._desk.by_sid
        self._heard_ms = 0
        self._now_ns = 0
        self._heals: deque[int] = deque(maxlen=HEALS_MAX)
        self._is_told_subscribed = False
        self.faults: Counter[str] = Counter()
        """Frames that changed nothing, and losses, by kind; kept over reconnects."""
        self.failure: str | None = None
        """Why the connection is of no more use; the shell closes it and connects again."""

    @property
    def markets(self) -> tuple[str, ...]:
        """Return the wanted markets of the filtered channels."""
        return self._desk.markets

    @property
    def heard_ms(self) -> int:
        """Return the newest exchange time heard on this connection, 0 if none."""
        return self._heard_ms

    def open(self, markets: Iterable[str] | None = None) -> list[bytes]:
        """Begin on a new connection and return the first commands.

        Args:
            markets: The wanted markets; None keeps those of before (a reconnect).
        """
        self._heard_ms = 0
        self._heals.clear()
        self._is_told_subscribed = False
        self.failure = None
        self._desk.open(markets)
        return self._desk.commands()

    def commands(self) -> list[bytes]:
        """Return and forget the commands that are to be sent, in order."""
        return self._desk.commands()

    @property
    def has_commands(self) -> bool:
        """Return whether `commands` would return any."""
        return self._desk.has_commands

    def add_markets(self, markets: Iterable[str]) -> None:
        """Want more markets; commands follow in `commands`."""
        self._desk.add(markets)

    def remove_markets(self, markets: Iterable[str]) -> None:
        """Want these markets no more; their late frames are passed over."""
        self._desk.remove(markets)

    def tick(self, now_ns: int) -> None:
        """Ask for a sign of life, for snapshots that did not come, and notice silence.

        Call it a few times a second, then send `commands` and look at `failure`.

        Args:
            now_ns: Monotonic.
        """
        self._now_ns = now_ns
        if self.failure is None:
            self.failure = self._desk.tick(now_ns)

    def close(self, reason: str) -> list[FeedEvent]:
        """End the session: everything it told is history."""
        self._desk.close()
        return [FeedClosed(reason)]

    def receive(self, frame: bytes | str, now_ns: int) -> list[FeedEvent]:
        """Return what a frame says, in our units.

        Args:
            frame: One text frame.
            now_ns: Monotonic arrival.
        """
        self._now_ns = now_ns
        if len(frame) > FRAME_LENGTH_MAX:
            self.faults["oversize"] += 1
            return []
        try:
            message = _decode(frame)
            return self._on_delta(message) if isinstance(message, DeltaFrame) else self._on_frame(message)
        except msgspec.ValidationError:
            return self._on_unlisted(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MalformedWire):
            # The number was not taken: the next frame of this sid shows the gap (rule 2).
            self.faults["malformed"] += 1
            return []

    # Content ---------------------------------------------------------------------------------------

    def _on_delta(self, frame: DeltaFrame) -> list[FeedEvent]:
        sub = self._by_sid.get(frame.sid)
        if sub is None or sub.channel != ORDERBOOK:
            return self._foreign(frame.sid)
        if frame.seq != sub.last_seq + 1:
            return self._on_gap(sub)
        msg = frame.msg
        price: int = price_e4(msg.price_dollars)
        change = qty_e2(msg.delta_fp)
        sub.last_seq = frame.seq
        stamp = frame.sending_ts_ms or msg.ts_ms
        if msg.market_ticker not in sub.live:
            self.faults["before_snapshot"] += 1
            return self._heard(stamp)
        if msg.side == "yes":
            side = Side.BID
        else:
            side = Side.ASK
            if not self._is_yes_price:
                price = DOLLAR_E4 - price
        delta = BookDelta(msg.market_ticker, side, price, change, msg.clock or 0, msg.ts_ms or stamp or 0)
        if stamp is not None and stamp >= self._heard_ms + HEARD_STEP_MS:
            self._heard_ms = stamp
            return [delta, FeedHeard(stamp)]
        return [delta]

    def _on_frame(self, frame: OtherFrame | Envelope) -> list[FeedEvent]:  # noqa: PLR0911 - one per kind
        if isinstance(frame, SubscribedFrame):
            if self._desk.begin(frame.msg.channel, frame.msg.sid, frame.id) is None:
                return self._foreign(frame.msg.sid)
            return [*self._subscribed(), *self._heard(frame.sending_ts_ms)]
        if isinstance(frame, UnsubscribedFrame | OkFrame | ErrorFrame):
            return self._on_reply(frame)
        sub = self._by_sid.get(frame.sid) if frame.sid is not None else None
        if sub is None:
            return self._foreign(frame.sid)
        if isinstance(frame, SnapshotFrame):
            return self._on_snapshot(frame, sub)
        events = self._content(frame)
        seq: int | None = getattr(frame, "seq", None)
        if not self._is_next(sub, seq):
            # A lost trade cannot be had again; this one is as good as any.
            return self._on_gap(sub) if sub.channel not in HEALING else [*events, *self._on_gap(sub)]
        return [*events, *self._heard(frame.sending_ts_ms)]

    def _on_snapshot(self, frame: SnapshotFrame, sub: Subscription) -> list[FeedEvent]:
        snapshot = snapshot_of(frame, is_yes_price=self._is_yes_price)
        if not self._is_next(sub, frame.seq):
            return self._on_gap(sub)
        if snapshot.market not in sub.markets:
            return self._heard(frame.sending_ts_ms)
        sub.live.add(snapshot.market)
        return [snapshot, *self._heard(frame.sending_ts_ms)]

    def _content(self, frame: TradeFrame | LifeFrame | PrivateFrame | Envelope) -> list[FeedEvent]:
        match frame:
            case TradeFrame():
                return [trade_of(frame)]
            case LifecycleFrame() | EventLifecycleFrame() | EventFeeFrame():
                return [life_of(frame)]
            case Envelope():
                self.faults["unknown_type"] += 1
                return []
            case _:
                return [private_of(frame)]

    def _on_unlisted(self, frame: bytes | str) -> list[FeedEvent]:
        # Either a type that is new to us, whose number counts, or a known type with a broken content.
        try:
            envelope = ENVELOPE_DECODER.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.faults["malformed"] += 1
            return []
        if envelope.type in FRAME_TYPES:
            self.faults["malformed"] += 1
            return []
        return self._on_frame(envelope)

    # Replies and losses ----------------------------------------------------------------------------

    def _on_reply(self, frame: UnsubscribedFrame | OkFrame | ErrorFrame) -> list[FeedEvent]:
        events: list[FeedEvent] = []
        sub = self._by_sid.get(frame.sid) if frame.sid is not None else None
        if sub is not None and not self._is_next(sub, frame.seq):
            events += self._on_gap(sub)
        pending = self._desk.answered(frame.id)
        if isinstance(frame, ErrorFrame):
            self.faults[f"error_{frame.msg.code}"] += 1
            events += self._on_error(frame, sub, pending)
        elif isinstance(frame, UnsubscribedFrame) and sub is not None and sub.sid == frame.sid:
            # Nobody here asked for that: the venue dropped it.
            events += self._on_end(sub, "unsubscribed")
        return events + self._heard(frame.sending_ts_ms)

    def _on_error(
        self, frame: ErrorFrame, sub: Subscription | None, pending: Pending | None
    ) -> list[FeedEvent]:
        text = f"error {frame.msg.code}: {frame.msg.msg or ''}"[:200]
        if frame.msg.code in _TERMINAL:
            if sub is not None:
                return self._on_end(sub, text)
            self.failure = text
        elif pending is not None and pending.name == "subscribe":
            self.failure = text
        elif pending is not None and pending.name == "add_markets":
            # One refused list must not cost the books that work.
            self._desk.refuse(pending)
            return [FeedStale(tuple(pending.markets), text)]
        return []

    def _on_end(self, sub: Subscription, reason: str) -> list[FeedEvent]:
        """Treat a subscription that is dead at the venue: subscribe again, or end the session."""
        if sub.channel not in HEALING:
            self.failure = reason
            return []
        stale = self._stale(sub, reason)
        self._desk.retire(sub)
        if self._may_heal():
            self._desk.sync(sub)
        return stale

    def _on_gap(self, sub: Subscription) -> list[FeedEvent]:
        self.faults["gap"] += 1
        if sub.channel not in HEALING:
            self.failure = f"gap on {sub.channel}"
            return []
        if sub.channel != ORDERBOOK:
            return []
        stale = self._stale(sub, "gap")
        if self._may_heal():
            self._desk.renew(sub)
        else:
            self._desk.retire(sub)
        return stale

    def _may_heal(self) -> bool:
        # Losing again and again at once means that the connection, or the reader, cannot carry the load.
        is_full = len(self._heals) == HEALS_MAX
        if is_full and self._now_ns - self._heals[0] < HEALS_WITHIN_NS:
            self.failure = "too_many_losses"
            return False
        self._heals.append(self._now_ns)
        return True

    def _is_next(self, sub: Subscription, seq: int | None) -> bool:
        if seq is None or not sub.is_sequenced:
            return True
        is_next = seq == sub.last_seq + 1
        if is_next or sub.channel != ORDERBOOK:
            sub.last_seq = seq
        return is_next

    def _stale(self, sub: Subscription, reason: str) -> list[FeedEvent]:
        if sub.channel != ORDERBOOK or not sub.markets:
            return []
        return [FeedStale(tuple(sub.markets), reason)]

    def _subscribed(self) -> list[FeedEvent]:
        # Once a connection, and for channels that hear everything of theirs: books have their snapshots.
        if self._is_told_subscribed or not self._desk.is_all_unfiltered:
            return []
        self._is_told_subscribed = self._desk.is_all_subscribed
        return [FeedSubscribed()] if self._is_told_subscribed else []

    def _heard(self, stamp_ms: int | None) -> list[FeedEvent]:
        if stamp_ms is None or stamp_ms < self._heard_ms + HEARD_STEP_MS:
            return []
        self._heard_ms = stamp_ms
        return [FeedHeard(stamp_ms)]

    def _foreign(self, sid: int | None) -> list[FeedEvent]:
        self.faults["retired" if sid in self._desk.retired else "foreign"] += 1
        return []
